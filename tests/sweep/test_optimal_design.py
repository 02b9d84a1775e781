"""Optimal designs: known optima, exchanges that help, and runs that complement earlier ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.sweep.designs import dirichlet, distances, one_hot
from aioli.sweep.optimal_design import FORMS, candidate_mixtures, choose, optimal, slopes
from aioli.sweep.region import Region


def criterion(features: np.ndarray, which: str) -> float:
    """log det or minus the trace of the inverse; more is better."""
    information = features.T @ features
    return np.linalg.slogdet(information)[1] if which == "D" else -np.trace(np.linalg.inv(information))


@pytest.mark.parametrize("which", ["D", "A"])
def test_of_a_linear_law_the_vertices_are_optimal(which: str) -> None:
    region = Region.simplex(5)
    assert np.array_equal(
        np.sort(optimal("linear", 5, region, criterion=which), axis=0), np.sort(np.eye(5), axis=0)
    )
    candidates = candidate_mixtures(region)
    repeated = np.concatenate([candidates] * 3)
    chosen = repeated[choose(repeated[None], 15, criterion=which)]
    assert chosen.max(axis=1).min() == 1 and np.array_equal(chosen.sum(axis=0), np.full(5, 3.0))


@pytest.mark.parametrize("which", ["D", "A"])
def test_exchanges_reach_the_best_of_all_subsets(which: str) -> None:
    better = 0
    for seed in range(8):
        features = np.random.default_rng(seed).normal(size=(1, 12, 3))
        values = sorted(criterion(features[0, list(rows)], which) for rows in combinations(range(12), 5))
        found = criterion(features[0, choose(features, 5, criterion=which)], which)
        assert found >= values[-8]  # of 792
        better += found == pytest.approx(values[-1])
    assert better >= 6


@pytest.mark.parametrize("law", ["log_linear", "additive"])
@pytest.mark.parametrize("which", ["D", "A"])
def test_it_beats_random_runs_under_parameters_that_were_not_used(law: str, which: str) -> None:
    region, m = Region.simplex(4), 4
    form, rng = FORMS[law], np.random.default_rng(99)
    made = optimal(law, 18, region, criterion=which, seed=1)
    random = [dirichlet(np.full(m, 1 / m), 18, region, seed=seed) for seed in range(10)]
    gains = []
    for _ in range(20):
        truth = form.draw(rng, m)
        ours = criterion(slopes(form.predict, truth, made), which)
        gains.append(np.mean([ours > criterion(slopes(form.predict, truth, each), which) for each in random]))
    assert np.mean(gains) > (
        0.9 if which == "D" else 0.65
    )  # the best runs for A depend more on the parameters


def test_runs_that_are_there_already_are_complemented() -> None:
    region = Region.simplex(4)
    done = np.eye(4)[:2]
    more = optimal("linear", 2, region, done=done)
    assert np.array_equal(np.sort(more, axis=0), np.sort(np.eye(4)[2:], axis=0))
    again = optimal("log_linear", 6, region, done=optimal("log_linear", 6, region))
    assert distances(again, optimal("log_linear", 6, region)).min() > 0


def test_slopes_are_the_derivatives_of_the_log_linear_law() -> None:
    parameters, mixtures = np.array([2.0, -1.0, 0.3, 0.5]), np.random.default_rng(0).dirichlet(np.ones(3), 6)
    exact = np.column_stack([np.ones(6), np.exp(mixtures @ parameters[1:])[:, None] * mixtures])
    assert slopes(FORMS["log_linear"].predict, parameters, mixtures) == pytest.approx(exact, abs=1e-8)


def test_it_keeps_to_the_region() -> None:
    region = Region(np.array([0.1, 0, 0, 0.2]), np.array([0.5, 0.4, 1, 0.2]), 0.02)
    made = optimal("additive", 20, region)
    assert region.contains(made).all() and len(made) == 20
    assert distances(made, one_hot(region)).min() == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_designed() -> None:
    with pytest.raises(InputError, match="no optimal design for the law 'loglinear'"):
        optimal("loglinear", 5, Region.simplex(3))
    with pytest.raises(InputError, match="is D or A, got 'E'"):
        optimal("linear", 5, Region.simplex(3), criterion="E")
    with pytest.raises(InputError, match="leave 4 candidates for an optimal design, 9 runs"):
        choose(np.ones((1, 4, 2)), 9)
