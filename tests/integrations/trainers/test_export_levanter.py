"""Levanter's config decoded by draccus, and its mixture drawn from."""

from __future__ import annotations

import draccus
import numpy as np
import pytest
import yaml
from levanter.data import ListAsyncDataset
from levanter.data.mixture import MixtureDataset, rescale_mixture_schedule_for_batch_schedule
from levanter.data.text import LmDataConfig
from levanter.schedule import BatchSchedule

from aioli.export.blend import Blend, Stage
from aioli.export.formats import export_text

GROUPS = ("web", "no", "1e3", "absent")
SHARES = np.array([0.6, 0.3, 0.1, 0.0])
PATHS = {group: {f"/d/{group}.jsonl": None} for group in GROUPS}


def decoded(blend: Blend) -> LmDataConfig:
    return draccus.decode(LmDataConfig, yaml.safe_load(export_text(blend, "levanter"))["data"])


def mixture(config: LmDataConfig, batch: int) -> MixtureDataset:
    weights = config.train_weights
    if isinstance(weights, list):
        weights = rescale_mixture_schedule_for_batch_schedule(weights, BatchSchedule(batch))
    sources = {name: ListAsyncDataset([name] * 10) for name in config.components}
    return MixtureDataset(
        sources, weights, config.mixture_block_size, key=0, stop_strategy=config.stop_strategy
    )


def shares(drawn: list[str]) -> list[float]:
    return [drawn.count(group) / len(drawn) for group in GROUPS]


def test_constant_weights_are_decoded_and_drawn():
    config = decoded(Blend(GROUPS, SHARES, PATHS))
    assert config.train_weights == pytest.approx(dict(zip(GROUPS[:3], SHARES, strict=False)))
    assert set(config.components) == set(GROUPS[:3])
    drawn = mixture(config, 32).as_sync_dataset().get_batch(range(2048))
    assert shares(drawn) == pytest.approx(SHARES, abs=len(GROUPS) / 2048)


@pytest.mark.filterwarnings("ignore")
def test_stages_begin_where_levanter_allows_it():
    later = np.array([0.1, 0.2, 0.3, 0.4])
    stages = (Stage(0, SHARES), Stage(500, later))  # 500 steps of 96 are no whole number of blocks
    mean = (SHARES + later) / 2
    config = decoded(Blend(GROUPS, mean, PATHS, stages=stages, steps=1000, batch=96))
    start = config.train_weights[1][0]  # type: ignore[index]
    assert abs(start - 500) <= 32
    drawn = mixture(config, 96).as_sync_dataset()
    before = drawn.get_batch(range(start * 96 - 2048, start * 96))
    after = drawn.get_batch(range(start * 96, start * 96 + 2048))
    assert shares(before) == pytest.approx(SHARES, abs=len(GROUPS) / 2048)
    assert shares(after) == pytest.approx(later, abs=len(GROUPS) / 2048)
