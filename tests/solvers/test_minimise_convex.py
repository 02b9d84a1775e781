"""The convex optimum: against a generic solver's own formulation, and what must hold for every problem."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from benchmarks.solve import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.solvers.convex_laws import KINDS, Law, feasible, golden_losses, losses_of, problem_of

from aioli.solvers import convex, evaluate
from aioli.solvers.formulate import mixture_program, proportions_of
from aioli.solvers.minimise import minimise, minimise_convex
from aioli.solvers.problem import MixtureProblem
from aioli.solvers.search import search
from aioli.static_law import ConvexLosses

OBJECTIVES = ("mean_loss", "mean_perplexity", "worst_target", "worst_excess", "mean_excess")


def expression(losses: ConvexLosses, p: cp.Variable) -> list[cp.Expression]:
    """The losses in the words of the modelling language."""
    found = [losses.constant[i] + losses.linear[i] @ p for i in range(losses.constant.size)]
    exponentials, powers, inverses = losses[2:]
    for i, w, a, t in zip(*(exponentials or [[]] * 4)[:4], strict=True):
        found[i] = found[i] + w * cp.exp(a + t @ p)
    for i, w, c, e in zip(*(powers or [[]] * 4)[:4], strict=True):
        found[i] = found[i] + w * sum(c[j] * cp.power(p[j], -e[j], approx=False) for j in range(len(c)))
    columns = (*inverses[:4], inverses.powers) if inverses else [[]] * 5
    for i, w, c, g, a in zip(*columns, strict=True):
        total = sum(c[j] * cp.power(p[j], g[j], approx=False) for j in range(len(c)))
        found[i] = found[i] + w * cp.power(total, -a, approx=False)
    return found


def value_of(problem: MixtureProblem, losses: list[cp.Expression]) -> cp.Expression:
    w, base = problem.weights, problem.baselines
    if problem.objective == "mean_loss":
        return sum(w[i] * one for i, one in enumerate(losses))
    if problem.objective == "mean_perplexity":
        return cp.log_sum_exp(cp.hstack([one + np.log(w[i]) for i, one in enumerate(losses)]))
    if problem.objective == "worst_target":
        return cp.maximum(*losses, -100)
    if problem.objective == "worst_excess":
        return cp.maximum(*(one - base[i] for i, one in enumerate(losses)), -100)
    return sum(w[i] * cp.pos(one - base[i]) for i, one in enumerate(losses))


def generic(problem: MixtureProblem, laws: list[ConvexLosses]) -> float:
    """The optimum by cvxpy."""
    p, q = cp.Variable(problem.m), problem.reference
    every = [expression(law, p) for law in laws]
    divergence = cp.sum(cp.rel_entr(p, q))
    rules = [cp.sum(p) == 1, p >= problem.lower, p <= np.minimum(problem.upper, 1)]
    rules += [divergence <= problem.max_kl] if np.isfinite(problem.max_kl) else []
    rules += [cp.norm1(p - q) / 2 <= problem.max_variation] if np.isfinite(problem.max_variation) else []
    if problem.loss_limits is not None:
        rules += [
            one <= top for one, top in zip(every[0], problem.loss_limits, strict=True) if np.isfinite(top)
        ]
    value = value_of(problem, every[0])
    if problem.caution:
        level, share = cp.Variable(), 1 / ((1 - problem.caution) * len(every[1:]))
        value = level + share * sum(cp.pos(value_of(problem, one) - level) for one in every[1:])
    solved = cp.Problem(cp.Minimize(value + problem.kl * divergence), rules)
    return float(solved.solve(solver=cp.CLARABEL))


def settings_of(seed: int, losses: ConvexLosses, q: np.ndarray) -> dict[str, object]:
    here = convex.values(losses, q)
    limits = np.where(np.arange(here.size) % 2, np.inf, here + 0.01)
    choices = [
        {},
        {"kl": 0.05},
        {"max_kl": 0.05},
        {"max_variation": 0.1},
        {"loss_limits": limits},
        {"kl": 0.01, "max_kl": 0.1, "max_variation": 0.2, "loss_limits": limits},
        {"caution": 0.6},
    ]
    return choices[seed % len(choices)]


@pytest.mark.parametrize("seed", range(28))
def test_it_is_what_a_generic_solver_finds(seed):
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    losses = losses_of(KINDS[seed % 4], rng, m, n)
    plain = problem_of(rng, losses, objective=OBJECTIVES[seed % 5], baselines=rng.uniform(1, 1.5, n))
    problem = replace(plain, **settings_of(seed, losses, plain.reference))
    many = [losses_of(KINDS[seed % 4], rng, m, n) for _ in range(5)] if problem.caution else []
    found = minimise(Law(losses), problem, [Law(one) for one in many])
    expected = generic(problem, [losses, *many])
    assert found.objective == pytest.approx(expected, rel=2e-7, abs=2e-7)
    assert feasible(problem, losses, found.proportions)
    assert found.gap < 1e-8


@pytest.mark.parametrize("seed", range(12))
def test_the_cone_program_and_the_interior_point_method_agree(seed):
    rng = np.random.default_rng(100 + seed)
    losses = losses_of(KINDS[seed % 4], rng, 9, 3)
    plain = problem_of(rng, losses, objective=OBJECTIVES[seed % 5], baselines=np.full(3, 1.2))
    problem = replace(plain, **settings_of(seed, losses, plain.reference))
    many = [losses_of(KINDS[seed % 4], rng, 9, 3) for _ in range(4)] if problem.caution else []
    program, p = mixture_program(losses, problem, many)
    solved = program.solve()
    at = proportions_of(problem, p, solved)
    every = np.array([convex.values(one, at) for one in many]) if many else None
    found = minimise_convex(losses, problem, many)
    assert solved.status == "optimal" and found.solver == "interior point"
    value = evaluate.objective(problem, at, convex.values(losses, at), every)
    assert found.objective == pytest.approx(value, rel=1e-7, abs=1e-8)
    assert solved.bound == pytest.approx(found.objective, rel=1e-7, abs=1e-8)


@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(2, 8), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_feasible_and_no_allowed_mixture_is_better(seed, kind, m, n):
    rng = np.random.default_rng(seed)
    losses = losses_of(kind, rng, m, n)
    plain = problem_of(rng, losses, objective=OBJECTIVES[seed % 3])
    problem = replace(
        plain, **{k: v for k, v in settings_of(seed, losses, plain.reference).items() if k != "caution"}
    )
    found = minimise(Law(losses), problem)
    assert feasible(problem, losses, found.proportions)
    q = problem.reference
    others = q + rng.uniform(0, 1, (200, 1)) * (rng.dirichlet(np.ones(m), 200) - q)
    others = np.vstack([others, found.proportions + rng.uniform(0, 1, (50, 1)) * (q - found.proportions)])
    for p in others:
        if feasible(problem, losses, p, off=0.0):
            value = evaluate.objective(problem, p, convex.values(losses, p))
            assert value >= found.objective - 1e-9


@given(st.integers(0, 10**6), st.sampled_from(KINDS))
@settings(max_examples=20, deadline=None)
def test_the_order_of_groups_does_not_matter(seed, kind):
    rng = np.random.default_rng(seed)
    losses = losses_of(kind, rng, 6, 3)
    problem = problem_of(rng, losses, kl=0.05, max_kl=0.2)
    order = rng.permutation(6)
    kinds = [
        None
        if t is None
        else t._replace(second=t.second[:, order], first=t.first if t.first.ndim == 1 else t.first[:, order])
        for t in losses[2:]
    ]
    turned = ConvexLosses(losses.constant, losses.linear[:, order], *kinds)
    moved = {what: getattr(problem, what)[order] for what in ("lower", "upper", "reference")}
    there = minimise(Law(turned), replace(problem, **moved))
    here = minimise(Law(losses), problem)
    assert there.objective == pytest.approx(here.objective, rel=1e-9)
    np.testing.assert_allclose(there.proportions, here.proportions[order], atol=1e-5)


def test_bounds_that_leave_one_mixture():
    held = np.array([0.2, 0.3, 0.5])
    law = Law(golden_losses([[-1.5, 0.4, 0.2]]))
    for lower, upper in ((held, held), (held, np.ones(3)), (np.zeros(3), held)):
        np.testing.assert_allclose(minimise(law, MixtureProblem([1.0], lower, upper)).proportions, held)


def test_a_limit_at_exactly_what_can_be_reached():
    law = Law(golden_losses([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]]))
    problem = MixtureProblem([0.5, 0.5], np.zeros(3), np.ones(3))
    least = minimise(law, replace(problem, weights=[1.0, 0.0])).losses[0]
    found = minimise(law, replace(problem, loss_limits=[least, np.inf]))
    assert found.losses[0] <= least + 1e-9
    np.testing.assert_allclose(found.proportions, [1, 0, 0], atol=1e-5)


def test_search_comes_to_the_same_optimum():
    rng = np.random.default_rng(3)
    losses = losses_of("exponential", rng, 5, 3)
    problem = problem_of(rng, losses, kl=0.03, max_variation=0.3)
    local = search(Law(losses, told=False), problem)
    best = minimise(Law(losses), problem)
    assert local.status == "local" and feasible(problem, losses, local.proportions)
    assert best.objective - 1e-9 <= local.objective <= best.objective + 1e-6


@pytest.mark.parametrize("seed", [77, 107])
def test_tight_distances_and_limits_on_many_groups(seed):
    """Once a solver that stopped short here was taken at its word: the gap by duality has to be known."""
    losses, problem, _ = drawn(seed)
    found = minimise_convex(losses, problem)
    assert found.gap < 1e-8 and feasible(problem, losses, found.proportions)
