"""Fidelity: worked numbers, intervals, what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.analysis.fidelity import fidelity_of, similarity
from aioli.errors import InputError

OURS = np.array([0.08875, 0.17625, 0.13875])
TRUTH = np.array([0.37, 0.31, 0.19])


def test_worked_numbers_raw_and_centred() -> None:
    raw, centred = fidelity_of(OURS, TRUTH), fidelity_of(OURS, TRUTH, centre=True)
    assert raw[:3] == pytest.approx((0.204848, 0.909696, -0.5), abs=1e-6)
    assert centred[:3] == pytest.approx((-0.451945, -0.403890, -0.5), abs=1e-6)


@given(st.floats(0.01, 100), st.floats(-1, 1))
def test_units_do_not_matter_and_trends_only_to_the_raw_form(unit: float, trend: float) -> None:
    scaled = fidelity_of(unit * OURS, TRUTH)
    assert scaled.similarity == pytest.approx(similarity(OURS, TRUTH).similarity)
    moved = fidelity_of(OURS + trend, TRUTH, centre=True)
    assert moved.similarity == pytest.approx(fidelity_of(OURS, TRUTH, centre=True).similarity, abs=1e-6)


def test_the_wrong_sign_is_not_faithful() -> None:
    assert fidelity_of(TRUTH, TRUTH).similarity == pytest.approx(1)
    assert fidelity_of(-TRUTH, TRUTH).similarity == pytest.approx(-1)


def test_constant_sums_have_no_similarity() -> None:
    found = fidelity_of(np.ones(3), TRUTH, np.full(3, 0.1))
    assert np.isnan(found.similarity) and np.isnan(found.low)


def test_the_interval_narrows_with_the_errors_and_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(8.0)
    ours = truth + rng.normal(size=8)
    wide = fidelity_of(ours, truth, np.full(8, 1.0))
    narrow = fidelity_of(ours, truth, np.full(8, 0.1))
    assert (
        wide.low < narrow.low <= narrow.similarity + 0.02 and wide.high - wide.low > narrow.high - narrow.low
    )


def test_few_degrees_of_freedom_leave_the_sign_of_two_groups_open() -> None:
    """Below -3 standard errors lie 4.8% of Student's t with 2 degrees of freedom, of a normal .1%."""
    ours, truth, errors = np.array([0.1, -0.1]), np.array([0.15, -0.15]), np.full(2, np.sqrt(2) * 0.05)
    known = fidelity_of(ours, truth, errors, centre=True)
    estimated = fidelity_of(ours, truth, errors, centre=True, freedom=2)
    assert (known.low, known.high) == pytest.approx((1, 1))
    assert (estimated.low, estimated.high) == pytest.approx((-1, 1))


def test_errors_that_are_common_to_all_groups_do_not_touch_the_centred_form() -> None:
    common = np.full((1, 3), 0.5)
    found = fidelity_of(OURS, TRUTH, common, centre=True)
    assert (found.low, found.high) == pytest.approx((found.similarity, found.similarity), abs=1e-9)
    raw = fidelity_of(OURS, TRUTH, common)
    assert raw.high - raw.low > 0.1


def test_other_groups_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="3 groups are compared with those of 2"):
        fidelity_of(OURS, TRUTH[:2])
