"""Tables of measured runs: what is accepted, and the one message for each way they can be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.table import Runs, Table

GROUPS, TARGETS = ("law", "code"), ("law", "code", "news")
MIXTURES = [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]
LOSSES = [[2.0, 3.0, 2.5], [2.1, 2.9, 2.6], [1.9, 3.3, 2.7]]


def table(**changes: Any) -> Table:
    fields: dict[str, Any] = {
        "groups": GROUPS,
        "names": ("1", "2", "3"),
        "mixtures": MIXTURES,
        "targets": TARGETS,
        "losses": LOSSES,
    }
    return Table(**(fields | changes))


def test_a_table_knows_its_sizes_and_cannot_be_changed() -> None:
    found = table()
    assert (len(found), found.m, found.n) == (3, 2, 3)
    with pytest.raises(ValueError, match="read-only"):
        found.losses[0, 0] = 0.0


@given(st.lists(st.floats(0.981, 1.019), min_size=3, max_size=3))
def test_rounded_rows_are_renormalised(sums: list[float]) -> None:
    found = table(mixtures=np.array(MIXTURES) * np.array(sums)[:, None])
    np.testing.assert_allclose(found.mixtures, MIXTURES, atol=1e-12)


def test_rows_are_chosen_by_number_or_by_mask() -> None:
    found = table(tokens=[1e6, 2e6, 3e6])
    by_number, by_mask = found.rows([2, 0]), found.rows(np.array([True, False, True]))
    assert by_number.names == ("3", "1") and by_mask.names == ("1", "3")
    np.testing.assert_array_equal(by_number.losses, np.array(LOSSES)[[2, 0]])
    np.testing.assert_array_equal(by_mask.tokens, [1e6, 3e6])


def test_repetitions_and_scales_are_rows_of_their_own() -> None:
    repeated = table(mixtures=[MIXTURES[0], MIXTURES[0], MIXTURES[1]])
    assert len(repeated) == 3
    scaled = table(names=("1", "1", "2"), mixtures=[MIXTURES[0]] * 3, tokens=[1e6, 2e6, 1e6])
    keys = scaled.keys()
    assert [name for name, _, _ in keys] == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mixtures": [[0.5, 0.5], [0.25, 0.70], [1, 0]]}, "run 2 sum to 0.95, expected 1"),
        ({"mixtures": [[50, 50], [25, 75], [100, 0]]}, "none is a percentage"),
        ({"mixtures": [[1.5, -0.5], [0.25, 0.75], [1, 0]]}, "must not be negative, got -0.5 in run 1"),
        ({"losses": [[2, 3, np.nan], *LOSSES[1:]]}, "row 1, column news, is nan"),
        ({"losses": [[2, 3, np.inf], *LOSSES[1:]]}, "is inf"),
        ({"losses": [[2, 3, 0.0], *LOSSES[1:]]}, "a loss must be positive"),
        ({"losses": [["a", 3, 1], *LOSSES[1:]]}, "losses must be numbers"),
        ({"losses": LOSSES[:2]}, r"need 3 rows of 3 numbers, got \(2, 3\)"),
        ({"names": ("1", "2", "1"), "mixtures": MIXTURES}, "twice with different losses"),
        (
            {"names": ("1", "2", "1"), "losses": [LOSSES[0], LOSSES[1], LOSSES[0]]},
            "run 1 is there twice with different mixtures",
        ),
        (
            {"mixtures": [MIXTURES[0]] * 3, "losses": [LOSSES[0], LOSSES[1], LOSSES[0]]},
            "runs 1 and 3 have the same mixture and the same losses",
        ),
        ({"groups": ("law", "law")}, "unique, got twice: law"),
        ({"targets": ()}, "at least one target"),
        ({"size": [1.0, 2.0]}, "size needs one positive number a run"),
        ({"tokens": [1.0, -2.0, 3.0]}, "tokens needs one positive number"),
        ({"names": (), "mixtures": np.zeros((0, 2)), "losses": np.zeros((0, 3))}, "need some rows"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        table(**changes)


def test_runs_without_losses_are_for_prediction() -> None:
    runs = Runs(groups=GROUPS, names=("a", "b"), mixtures=[[0.5, 0.5], [0.5, 0.5]])
    assert len(runs) == 2
    with pytest.raises(InputError, match="run a is there twice"):
        Runs(groups=GROUPS, names=("a", "a"), mixtures=[[0.5, 0.5], [0.5, 0.5]])
