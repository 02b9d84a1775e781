"""The module for `datasets.interleave_datasets`, run: tokens are drawn in the shares asked for.

LLaMA-Factory hands its `interleave_probs` to the same function; its parsing (split at commas, strip, float)
is repeated here from its sources, because its pins do not install beside ours.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import yaml
from datasets import Dataset, interleave_datasets

from aioli.export.blend import Blend
from aioli.export.formats import export_text

GROUPS = ("books", "chat's", "code", "none")
SHARES = np.array([0.5, 0.3, 0.2, 0.0])
LENGTHS = {"books": 900.0, "chat's": 100.0, "code": 300.0}
DRAWS = 20_000


@pytest.fixture
def sources():
    rows = {group: int(length) for group, length in LENGTHS.items()}
    return {
        group: Dataset.from_dict({"group": [group] * 50, "tokens": [length] * 50})
        .to_iterable_dataset()
        .repeat(None)
        for group, length in rows.items()
    }


@pytest.fixture
def blend():
    return Blend(GROUPS, SHARES, lengths=LENGTHS)


def check_tokens(drawn):
    tokens: Counter[str] = Counter()
    for row in drawn.take(DRAWS):
        tokens[row["group"]] += row["tokens"]
    total = sum(tokens.values())
    for group, share in zip(GROUPS[:3], SHARES, strict=False):
        assert tokens[group] / total == pytest.approx(share, abs=0.015)  # 4 standard errors are below .013


def test_the_module_draws_the_shares_of_tokens(blend, sources):
    module: dict[str, object] = {}
    exec(export_text(blend, "hf-interleave"), module)
    check_tokens(module["mix"](sources, seed=1))  # type: ignore[operator]


def test_llama_factory_probabilities_draw_the_shares_of_tokens(blend, sources):
    found = yaml.safe_load(export_text(blend, "llama-factory"))
    assert found["mix_strategy"] == "interleave_over" and found["streaming"] is True
    names = [name.strip() for name in found["dataset"].split(",")]
    weights = list(map(float, (item.strip() for item in found["interleave_probs"].split(","))))
    drawn = interleave_datasets(
        [sources[name] for name in names],
        probabilities=weights,
        seed=2,
        stopping_strategy="all_exhausted",
    )
    check_tokens(drawn)


def test_one_dataset_keeps_its_probability_a_string():
    blend = Blend(("a", "b"), np.array([1.0, 0.0]), lengths={"a": 5.0})
    assert yaml.safe_load(export_text(blend, "llama-factory"))["interleave_probs"] == "1"
