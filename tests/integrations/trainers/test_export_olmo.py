"""Source mixtures loaded, and mixtures of small token files built, by ai2-olmo-core."""

from __future__ import annotations

import numpy as np
import pytest
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList
from olmo_core.exceptions import OLMoConfigurationError

from aioli.export.blend import Blend
from aioli.export.formats import export_text

GROUPS = ("web", "no", "7: tiny #1", "absent")
SHARES = np.array([0.6, 0.3, 0.1, 0.0])
TOKENS = {"web": 60_000, "no": 10_000, "7: tiny #1": 20_000}
BUDGET, SEQUENCE = 40_960, 64


@pytest.fixture
def paths(tmp_path):
    found = {}
    for number, (group, tokens) in enumerate(TOKENS.items()):
        array = np.memmap(tmp_path / f"{number}.npy", dtype=np.uint16, mode="w+", shape=(tokens,))
        array[:] = number
        array.flush()
        found[group] = {str(tmp_path / f"{number}.npy"): float(tokens)}
    return found


def load(tmp_path, blend) -> SourceMixtureList:
    (tmp_path / "mix.yaml").write_text(export_text(blend, "olmo-core"))
    found = SourceMixtureList.from_yaml(tmp_path / "mix.yaml")
    found.validate()
    return found


def build(sources: SourceMixtureList):
    config = SourceMixtureDatasetConfig(
        source_list=sources,
        requested_tokens=BUDGET,
        global_batch_size=SEQUENCE * 4,
        render_tables=False,
        quiet=True,
    )
    return config.build(npdtype=np.uint16, sequence_length=SEQUENCE)


def test_loads_and_validates(tmp_path, paths):
    found = load(tmp_path, Blend(GROUPS, SHARES, paths))
    assert [source.source_name for source in found.sources] == list(GROUPS[:3])
    assert [source.target_ratio for source in found.sources] == pytest.approx(SHARES[:3])
    for source in found.sources:
        source.validate()


def test_the_built_mixture_has_the_shares(tmp_path, paths):
    sizes = {group: float(tokens) for group, tokens in TOKENS.items()}
    found = build(load(tmp_path, Blend(GROUPS, SHARES, paths, sizes, budget=BUDGET)))
    tokens = np.array([sum(path.tokens for path in source.path_tokens) for source in found.sources])
    assert tokens / tokens.sum() == pytest.approx(SHARES[:3], abs=2 * SEQUENCE / BUDGET)


def test_without_the_budget_the_library_refuses_what_must_repeat(tmp_path, paths):
    with pytest.raises(OLMoConfigurationError, match="Insufficient tokens for source: no"):
        build(load(tmp_path, Blend(GROUPS, SHARES, paths)))
