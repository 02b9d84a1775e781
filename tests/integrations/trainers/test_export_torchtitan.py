"""torchtitan's config module run, and its interleaving drawn from with the weights in it."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from torch.utils.data import IterableDataset
from torchtitan.hf_datasets.interleaved import InterleavedDataset
from torchtitan.hf_datasets.text_datasets import InterleavedHuggingFaceTextDataLoader

from aioli.export.blend import Blend
from aioli.export.formats import export_text

GROUPS = ("c4", 'it\'s "quoted"', "absent")
SHARES = np.array([0.75, 0.25, 0.0])


class Endless(IterableDataset):
    def __init__(self, name: str) -> None:
        self.name = name

    def __iter__(self):
        return itertools.repeat(self.name)

    def state_dict(self):
        return {}

    def load_state_dict(self, state) -> None:
        del state


def test_the_config_is_built_and_draws_the_shares():
    paths = {"c4": {"allenai/c4": None}}
    module: dict[str, object] = {}
    exec(export_text(Blend(GROUPS, SHARES, paths), "torchtitan"), module)
    config = module["dataloader"]
    assert isinstance(config, InterleavedHuggingFaceTextDataLoader.Config)
    assert [source.dataset for source in config.sources] == list(GROUPS[:2])
    assert config.sources[0].dataset_path == "allenai/c4" and config.sources[0].infinite
    drawn = InterleavedDataset(
        [Endless(source.dataset) for source in config.sources],
        [source.weight for source in config.sources],
        seed=config.seed,
        stopping_strategy=config.stopping_strategy,
    )
    counts = Counter(itertools.islice(drawn, 20_000))
    for group, share in zip(GROUPS[:2], SHARES, strict=False):
        assert counts[group] / 20_000 == pytest.approx(share, abs=0.013)
