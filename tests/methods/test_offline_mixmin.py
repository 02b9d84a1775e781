"""MixMin and AutoScale: worked numbers, and the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.methods.offline_mixmin import MixMin, autoscale

LIKELIHOODS = np.array([[-10.0, -14, -30, -21], [-12, -11, -28, -24], [-11, -13, -25, -26]])
TOKENS = np.array([4.0, 5, 10, 8])


@pytest.mark.parametrize(
    ("steps", "proportions", "objective"),
    [
        (1, [0.350706, 0.327374, 0.321920], 2.603267),
        (100, [0.505437, 0.287980, 0.206583], 2.597596),
    ],
)
def test_published_steps(steps, proportions, objective):
    found = MixMin(rate=1, steps=steps, tolerance=0).solve(LIKELIHOODS, TOKENS)
    assert found.proportions == pytest.approx(proportions, abs=1e-6)
    assert found.objective == pytest.approx(objective, abs=1e-6)
    assert found.steps == steps


def test_the_optimum_has_no_gap_left():
    found = MixMin().solve(LIKELIHOODS, TOKENS)
    assert found.proportions == pytest.approx([0.505440, 0.287984, 0.206576], abs=2e-6)
    assert found.gap <= 1e-9 and found.steps < 10_000


@given(st.integers(0, 10**6))
def test_no_mixture_is_better_by_more_than_the_gap(seed):
    random = np.random.default_rng(seed)
    likelihoods, tokens = -random.gamma(2, 20, (4, 9)), random.integers(1, 90, 9).astype(float)
    found = MixMin(steps=200).solve(likelihoods, tokens)
    for p in random.dirichlet(np.full(4, 0.5), 50):
        value = -np.mean(np.logaddexp.reduce(likelihoods + np.log(p + 1e-300)[:, None], axis=0) / tokens)
        assert value >= found.objective - found.gap - 1e-12


@pytest.mark.parametrize(
    ("likelihoods", "tokens", "said"),
    [
        (LIKELIHOODS[:, :3], TOKENS, r"got \(3, 3\) and \(4,\)"),
        (np.where(LIKELIHOODS == -25, -np.inf, LIKELIHOODS), TOKENS, "document 3 under model 3"),
        (LIKELIHOODS, np.array([4.0, 0, 10, 8]), "document 2 has 0"),
    ],
)
def test_likelihoods_that_cannot_be_used(likelihoods, tokens, said):
    with pytest.raises(InputError, match=said):
        MixMin().solve(likelihoods, tokens)


def test_autoscale_refuses_counts_of_nothing():
    with pytest.raises(InputError, match="must be positive"):
        autoscale(np.array([1.0, 0]), np.array([1.0, 2]))
