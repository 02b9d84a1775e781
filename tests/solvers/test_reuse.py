"""Mixture reuse: what collapses, what comes back, and the two ways to count the divergence."""

from __future__ import annotations

import numpy as np
import pytest
from tests.solvers.convex_laws import golden_losses, losses_of

from aioli.errors import InputError
from aioli.solvers.evaluate import divergence
from aioli.solvers.minimise import minimise_convex
from aioli.solvers.problem import MixtureProblem
from aioli.solvers.reuse import KEPT, Reuse
from aioli.table import Table

GROUPS = ("a", "b", "c", "d", "e")
BEFORE = {"a": 0.5, "b": 0.3, "c": 0.2}
PRIOR = np.array([0.4, 0.1, 0.1, 0.3, 0.1])
CHANGE = Reuse.of(BEFORE, GROUPS)


def problem(**given) -> MixtureProblem:
    caps = np.array([4 * 100 / 1000, 4 * 20 / 1000, 4 * 50 / 1000, 1, 1])
    values = {
        "weights": [0.5, 0.5],
        "lower": np.zeros(5),
        "upper": caps,
        "reference": PRIOR,
        "groups": GROUPS,
    }
    return MixtureProblem(**(values | given))


def test_golden_expansion_and_cap():
    p = np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(CHANGE.expand(p), [0.35, 0.21, 0.14, 0.20, 0.10])
    np.testing.assert_allclose(CHANGE.collapse(CHANGE.expand(p)), p)
    collapsed, _ = CHANGE.problem(problem())
    assert collapsed.groups == (KEPT, "d", "e")
    np.testing.assert_allclose(collapsed.upper, [0.266667, 1, 1], atol=1e-6)
    np.testing.assert_allclose(collapsed.reference, [0.6, 0.3, 0.1])


def test_golden_divergences():
    p = np.array([0.7, 0.2, 0.1])
    collapsed, nothing = CHANGE.problem(problem(kl=1.0))
    expanded, constant = CHANGE.problem(problem(kl=1.0), expanded=True)
    assert nothing == 0
    assert divergence(p, collapsed.reference) == pytest.approx(0.026812, abs=1e-6)
    assert divergence(p, expanded.reference) + constant == pytest.approx(0.075084, abs=1e-6)
    assert divergence(CHANGE.expand(p), PRIOR) == pytest.approx(0.075084, abs=1e-6)
    assert pytest.approx(0.7 * 0.068959, abs=1e-6) == 0.075084 - 0.026812


@pytest.mark.parametrize("expanded", [False, True])
def test_the_collapsed_problem_is_the_whole_one_with_frozen_ratios(expanded):
    losses = losses_of("exponential", np.random.default_rng(0), 5, 2)
    whole = problem(kl=0.1, max_kl=0.5)
    small, constant = CHANGE.problem(whole, expanded)
    found = minimise_convex(CHANGE.losses(losses), small)
    p = CHANGE.expand(found.proportions)
    assert (p <= whole.upper + 1e-9).all() and p.sum() == pytest.approx(1)
    value = found.losses.mean() + 0.1 * divergence(p, PRIOR)
    if expanded:
        assert found.objective + constant == pytest.approx(value, abs=1e-9)
        assert divergence(p, PRIOR) <= 0.5 + 1e-9
    for other in np.random.default_rng(1).dirichlet(np.ones(3), 300):
        if (other <= small.upper).all() and divergence(other, small.reference) <= small.max_kl:
            there = CHANGE.losses(losses)
            reached = minimise_convex(there, MixtureProblem(small.weights, other, other)).losses.mean()
            assert reached + 0.1 * divergence(other, small.reference) >= found.objective - 1e-9


def test_a_law_collapses_exactly():
    losses = golden_losses([[-1.5, 0.4, 0.2, 0.1, -0.3]])
    np.testing.assert_allclose(CHANGE.losses(losses).exponentials.second, [[-0.59, 0.1, -0.3]])
    with pytest.raises(InputError, match="powers"):
        CHANGE.losses(losses_of("power", np.random.default_rng(0), 5, 1))


def test_removing_drops_and_renormalises():
    change = Reuse.of(BEFORE, ("a", "b"))
    assert change.affected == () and change.collapsed_groups == (KEPT,)
    np.testing.assert_allclose(change.expand(np.ones(1)), [0.625, 0.375])


def test_split_merged_and_revised_groups_are_affected():
    split = Reuse.of(BEFORE, ("a", "b", "c1", "c2"), {"c1": ("c",), "c2": ("c",)})
    assert split.affected == ("c1", "c2")
    merged = Reuse.of(BEFORE, ("a", "bc"), {"bc": ("b", "c")})
    assert merged.affected == ("bc",) and merged.ratios.tolist() == [1, 0]
    revised = Reuse.of(BEFORE, ("a", "b", "c"), revised=["b"])
    np.testing.assert_allclose(revised.ratios, [5 / 7, 0, 2 / 7])


def test_a_new_swarm_collapses_and_strays_are_refused():
    rows = CHANGE.expand(np.random.default_rng(0).dirichlet(np.ones(3), 4))
    table = Table(GROUPS, tuple("1234"), rows, targets=("x",), losses=np.arange(1.0, 5)[:, None])
    small = CHANGE.table(table)
    assert small.groups == (KEPT, "d", "e")
    np.testing.assert_allclose(CHANGE.expand(small.mixtures), rows)
    rows[2] = 0.2
    with pytest.raises(InputError, match="run 3 does not keep the ratios"):
        CHANGE.table(Table(GROUPS, tuple("1234"), rows, targets=("x",), losses=table.losses))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Reuse.of(BEFORE, ("a", "d"), {"d": ("z",)}), "cannot come from 'z'"),
        (lambda: Reuse.of(BEFORE, ("a", "b"), revised=["x"]), "unknown group 'x'"),
        (lambda: Reuse.of(BEFORE, ("a",), revised=["a"]), "nothing to reuse"),
        (lambda: CHANGE.problem(problem(lower=[0, 0, 0.08, 0, 0])), "need 0.4 .* cap of b"),
    ],
)
def test_bad_changes(make, told):
    with pytest.raises(InputError, match=told):
        make()
