"""Mixtures within noise of the best, sensitivities and prices: against planted truths and re-solving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.solvers.convex_laws import Law, golden_losses, losses_of, problem_of

from aioli.errors import InputError
from aioli.solvers import convex, evaluate
from aioli.solvers.minimise import minimise
from aioli.solvers.near_optimal import near_optimal
from aioli.solvers.search import search
from aioli.solvers.sensitivity import sensitivity
from aioli.static_law import ConvexLosses


def disturbed(losses: ConvexLosses, rng: np.random.Generator, noise: float) -> ConvexLosses:
    terms = losses.exponentials
    return losses._replace(
        exponentials=terms._replace(second=terms.second + rng.normal(0, noise, terms.second.shape))
    )


def test_ranges_contain_the_planted_optimum_about_as_often_as_said():
    rng, hits = np.random.default_rng(0), 0
    truth = losses_of("exponential", rng, 4, 3)
    problem = problem_of(rng, truth)
    best = minimise(Law(truth), problem).proportions
    for _ in range(12):
        fitted = disturbed(truth, rng, 0.1)
        many = [Law(disturbed(fitted, rng, 0.1)) for _ in range(20)]
        found = near_optimal(Law(fitted), problem, many)
        hits += bool((best >= found.lower - 1e-6).all() and (best <= found.upper + 1e-6).all())
    assert hits >= 9


@pytest.mark.parametrize("given", [{}, {"kl": 0.05, "max_variation": 0.3}, {"objective": "worst_target"}])
def test_ranges_are_tight_and_members_belong(given):
    rng = np.random.default_rng(5)
    losses = losses_of("inverse", rng, 4, 2)
    problem = problem_of(rng, losses, **given)
    found = near_optimal(Law(losses), problem, tolerance=0.002)
    assert found.exact and len(found.members) >= 2
    for p in found.members:
        value = evaluate.objective(problem, p, convex.values(losses, p))
        assert value <= found.best.objective + 0.002 + 1e-8
        assert (p >= found.lower - 1e-8).all() and (p <= found.upper + 1e-8).all()
    for group in np.flatnonzero(found.upper < problem.box[1] - 1e-6):
        lower = problem.lower.copy()
        lower[group] = found.upper[group] + 1e-4
        held = minimise(Law(losses), replace(problem, lower=lower))
        assert held.objective > found.best.objective + 0.002


def test_sampled_ranges_lie_within_the_exact_ones():
    rng = np.random.default_rng(5)
    losses = losses_of("exponential", rng, 3, 2)
    problem = problem_of(rng, losses)
    exact = near_optimal(Law(losses), problem, tolerance=0.01)
    tried = near_optimal(Law(losses, told=False), problem, tolerance=0.01)
    assert not tried.exact
    assert (tried.lower >= exact.lower - 1e-5).all() and (tried.upper <= exact.upper + 1e-5).all()
    assert ((tried.upper - tried.lower) >= 0.5 * (exact.upper - exact.lower)).all()


def test_near_optimal_needs_noise_or_a_tolerance():
    rng = np.random.default_rng(0)
    losses = losses_of("exponential", rng, 3, 2)
    with pytest.raises(InputError, match="bootstrap"):
        near_optimal(Law(losses), problem_of(rng, losses))


OLMIX = Law(golden_losses([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upper": [1, 0.35, 1]}, "cap of b"),
        ({"lower": [0, 0, 0.1]}, "floor of c"),
        ({"lower": [0, 0, 0.1], "upper": [1, 1, 0.1]}, "fixed c"),
        ({"loss_limits": [0.45, np.inf]}, "limit of x"),
        ({"max_kl": 0.05}, "max_kl"),
        ({"max_variation": 0.07}, "max_variation"),
    ],
)
def test_prices_are_what_solving_again_shows(changes, expected):
    rng = np.random.default_rng(0)
    plain = problem_of(
        rng,
        OLMIX.losses,
        lower=np.zeros(3),
        upper=np.ones(3),
        weights=[0.5, 0.5],
        reference=[0.6, 0.3, 0.1],
        kl=0.01,
        groups=("a", "b", "c"),
        targets=("x", "y"),
    )
    problem = replace(plain, **changes)
    best = minimise(OLMIX, problem)
    prices = sensitivity(OLMIX, problem, best).prices
    assert tuple(prices) == best.binding == (expected,)
    step, ends = 1e-5, []
    for sign in (1, -1):
        moved = {}
        for what, value in changes.items():
            value = np.array(value, dtype=float)
            loose = (value < 1) & (value > 0) if what in ("lower", "upper") else np.isfinite(value)
            moved[what] = np.where(loose, value + sign * step, value)
        moved = {what: value if value.ndim else float(value) for what, value in moved.items()}
        ends.append(minimise(OLMIX, replace(problem, **moved)).objective)
    assert prices[expected] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=1e-5)


def test_a_point_more_is_the_best_that_can_be_done_with_it():
    rng = np.random.default_rng(2)
    losses = losses_of("exponential", rng, 4, 2)
    problem = problem_of(rng, losses)
    best = minimise(Law(losses), problem)
    told = sensitivity(Law(losses), problem, best)
    for group in np.flatnonzero(np.isfinite(told.objective)):
        held = best.proportions[group] + 0.01
        lower, upper = problem.lower.copy(), problem.upper.copy()
        lower[group] = upper[group] = held
        again = minimise(Law(losses), replace(problem, lower=lower, upper=upper))
        assert told.objective[group] == pytest.approx(again.objective - best.objective, abs=1e-9)
        np.testing.assert_allclose(told.losses[group], again.losses - best.losses, atol=1e-6)
        assert told.objective[group] == pytest.approx(problem.weights @ told.losses[group], abs=1e-6)


class Bumps:
    """Two valleys, the deeper one planted at `best`."""

    best = np.array([0.15, 0.6, 0.25])

    def predict(self, mixtures, size=None, tokens=None):
        deep = ((mixtures - self.best) ** 2).sum(axis=1)
        wide = ((mixtures - np.array([0.8, 0.1, 0.1])) ** 2).sum(axis=1)
        return (3 - np.exp(-deep / 0.01) - 0.8 * np.exp(-wide / 0.2))[:, None]

    def convex(self, size=None, tokens=None):
        return None

    def to_json(self):
        return {}


def test_search_finds_the_planted_valley():
    rng = np.random.default_rng(0)
    problem = problem_of(rng, golden_losses([[0.0, 0, 0]]), lower=np.zeros(3), upper=np.ones(3))
    found = minimise(Bumps(), problem, seed=4)
    np.testing.assert_allclose(found.proportions, Bumps.best, atol=2e-3)
    assert np.array_equal(found.proportions, search(Bumps(), problem, seed=4).proportions)
    capped = minimise(Bumps(), replace(problem, upper=[1, 0.5, 1]))
    np.testing.assert_allclose(capped.proportions, [0.8, 0.1, 0.1], atol=2e-3)
