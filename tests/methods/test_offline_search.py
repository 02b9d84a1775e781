"""The search over drawn mixtures, on laws whose best mixture is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.methods.offline_search import BestCandidates
from aioli.protocol import Array
from aioli.solvers.problem import MixtureProblem

TARGET = np.array([0.5, 0.3, 0.2])


@dataclass(frozen=True)
class Bowl:
    """Two targets, each the squared distance from one point (and a nat)."""

    centres: Array

    def predict(self, mixtures, size=None, tokens=None):
        return 1 + ((mixtures[:, None, :] - self.centres) ** 2).sum(axis=2)


LAW = Bowl(np.array([TARGET, TARGET]))


def problem(**changes) -> MixtureProblem:
    given = {"weights": [0.5, 0.5], "lower": np.zeros(3), "upper": np.ones(3)}
    return MixtureProblem(**(given | changes))


def test_the_mean_of_the_best_is_near_the_optimum_and_repeatable():
    search = BestCandidates(candidates=20_000, best=64)
    found = search.solve(LAW, problem(), seed=3)
    assert found.proportions == pytest.approx(TARGET, abs=0.02)
    assert found.losses == pytest.approx(LAW.predict(found.proportions[None])[0])
    assert found.status == "local" and found.proportions.sum() == pytest.approx(1, abs=1e-12)
    assert np.array_equal(search.solve(LAW, problem(), seed=3).proportions, found.proportions)


def test_bounds_hold_and_the_constrained_optimum_is_found():
    bounded = problem(lower=np.array([0, 0, 0.3]), upper=np.array([0.35, 1, 1]))
    found = BestCandidates(candidates=20_000, best=64).solve(LAW, bounded)
    assert found.proportions == pytest.approx([0.35, 0.35, 0.3], abs=0.02)
    assert (found.proportions >= bounded.lower - 1e-9).all()
    assert (found.proportions <= bounded.upper + 1e-9).all()


def test_limits_on_distance_and_losses_drop_candidates():
    away = problem(reference=np.array([0.1, 0.1, 0.8]), max_variation=0.2)
    found = BestCandidates(candidates=20_000, best=32).solve(LAW, away)
    assert np.abs(found.proportions - away.reference).sum() / 2 <= 0.2 + 1e-9
    assert "outside the limits" in found.notes[0]
    two = Bowl(np.array([TARGET, [0.1, 0.1, 0.8]]))
    limit = problem(loss_limits=np.array([np.inf, 1.1]))
    best, dropped = BestCandidates(candidates=5_000, best=10).ranked(two, limit)
    assert (two.predict(best)[:, 1] <= 1.1).all() and dropped > 0


def test_a_group_that_the_reference_lacks_is_not_drawn():
    found = BestCandidates(candidates=2_000, best=8).solve(LAW, problem(reference=np.array([0.6, 0.4, 0])))
    assert found.proportions[2] == 0


def test_proposals_are_new_and_among_the_best():
    search = BestCandidates(candidates=4_000, best=50)
    best, _ = search.ranked(LAW, problem())
    proposed = search.propose(best, best[:20], 10)
    assert all((np.abs(best[20:] - p).sum(axis=1) == 0).any() for p in proposed)
    assert len(np.unique(proposed, axis=0)) == 10
    with pytest.raises(InputError, match="10 new runs were asked for, and 0"):
        search.propose(best, best, 10)


@pytest.mark.parametrize(
    ("search", "changes", "said"),
    [
        ({"candidates": 10, "best": 11}, {}, "best must be from 1"),
        ({"strength": 0.0}, {}, "strength must be positive"),
        ({"candidates": 200, "best": 100}, {"loss_limits": np.array([1.0, 1.0])}, "0 of 200 candidates"),
        ({}, {"caution": 0.5}, "takes no caution"),
    ],
)
def test_searches_that_cannot_be_made(search, changes, said):
    with pytest.raises(InputError, match=said):
        BestCandidates(**search).solve(LAW, problem(**changes))
