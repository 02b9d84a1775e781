"""Published and worked numbers of the laws, and what is special to one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from aioli.errors import InputError
from aioli.laws.static.additive import Additive, FittedAdditive
from aioli.laws.static.bimix import BiMix, FittedBiMix
from aioli.laws.static.joint import FittedJoint, Joint
from aioli.laws.static.log_linear import LogLinear
from aioli.laws.static.robust import huber_sum
from aioli.table import Table

E, C, G = np.array([1.2]), np.array([[2.0, 1.0, 0.5]]), np.array([[0.5, 0.4, 0.6]])


def two_group_optimum(k, b, w):
    """Share of the first group that minimises the weighted losses exp(k_i p_i + b_i)."""
    share = (k[1] + b[1] - b[0] + np.log(w[1] * k[1] / (w[0] * k[0]))) / (k[0] + k[1])
    return np.clip(share, 0, 1)


@pytest.mark.parametrize(
    "k, b, w, best",
    [
        ([-1.2, -0.8], [0.3, 0.1], [0.5, 0.5], 0.702733),
        ([0.9, 0.8], [0.1, 0.2], [0.5, 0.5], 0.460128),
        ([-1.2, -0.8], [0.3, 0.1], [2 / 3, 1 / 3], 1.0),
    ],
)
def test_two_group_log_linear_optimum(k, b, w, best):
    share = np.linspace(0.02, 0.98, 15)
    mixtures = np.column_stack([share, 1 - share])
    losses = np.array([1.0, 1.5]) + np.exp(np.array(k) * mixtures + b)
    fitted = LogLinear().fit(Table(("a", "b"), range(15), mixtures, targets=("a", "b"), losses=losses))
    slopes = fitted.slopes
    found = two_group_optimum(
        (slopes[0, 0] - slopes[0, 1], slopes[1, 1] - slopes[1, 0]), (slopes[0, 1], slopes[1, 0]), w
    )
    assert found == pytest.approx(best, abs=1e-6)


def test_bimix_values():
    law = FittedBiMix(np.zeros(1), C, np.array([[0.5, 0.3, 0.2]]), 1e-12)
    best = np.array([0.664677, 0.247232, 0.088091])
    assert law.predict(best[None])[0, 0] == pytest.approx(4.786741, abs=1e-6)
    equal = FittedBiMix(np.zeros(1), C, np.full((1, 3), 0.5), 1e-12)
    best = np.array([0.493386, 0.310814, 0.195800])
    slopes = C[0] * 0.5 * best**-1.5
    assert slopes == pytest.approx(slopes[0], rel=1e-5)
    moved = best + 0.01 * (np.eye(3) - np.roll(np.eye(3), 1, axis=1))
    assert (equal.predict(moved) > equal.predict(best[None])).all()


def test_additive_and_joint_values():
    best = np.array([[0.785876, 0.177649, 0.036475]])
    assert FittedAdditive(E, C, G).predict(best)[0, 0] == pytest.approx(1.626885, abs=1e-6)
    rates = np.array([400.0]), np.array([0.34]), np.array([410.0]), np.array([0.28])
    joint = FittedJoint(E, C, G, *rates)
    at = np.array([[0.5, 0.3, 0.2]]), np.array([1e8]), np.array([2e9])
    assert joint.predict(*at)[0, 0] == pytest.approx(3.431906, abs=1e-6)


@pytest.mark.parametrize("law", [LogLinear(), Additive(), BiMix()])
def test_scipy_finds_nothing_lower(law):
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(3), 40)
    losses = FittedAdditive(E, C, G).predict(mixtures) + 0.02 * rng.standard_t(2, (40, 1))
    table = Table(("a", "b", "c"), range(40), mixtures, targets=("t",), losses=losses)
    curve = law.curve(table)
    lower, upper = (bound[0] for bound in law.bounds(table, losses.min(axis=0)))

    def objective(theta):
        return huber_sum(losses.T - curve.values(theta[None]), np.ones((1, 40)), law.huber)[0]

    fitted = law.fit(table).predict(mixtures)
    ours = huber_sum((losses - fitted).T, np.ones((1, 40)), law.huber)[0]
    bounds = list(zip(np.maximum(lower, -20), np.minimum(upper, 20), strict=True))
    theirs = [
        minimize(objective, rng.uniform(0.1, 0.9, lower.size), method="L-BFGS-B", bounds=bounds).fun
        for _ in range(10)
    ]
    assert ours <= min(theirs) * (1 + 1e-6)


def test_an_exponent_above_one_is_not_convex():
    planted = FittedAdditive(E, C, np.array([[0.5, 2.0, 0.6]]))
    mixtures = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    names = {"targets": ("t",), "losses": planted.predict(mixtures)}
    table = Table(("a", "b", "c"), range(40), mixtures, **names)
    wide = Additive(largest_exponent=3.0).fit(table)
    assert wide.exponents == pytest.approx(planted.exponents, rel=1e-6)
    assert wide.convex() is None
    bound = Additive().fit(table)
    assert bound.exponents.max() <= 1
    assert bound.convex() is not None


def test_a_group_that_no_run_uses_is_taken_to_help_nothing_or_as_the_average_run():
    mixtures = np.hstack([np.random.default_rng(0).dirichlet(np.ones(3), 40), np.zeros((40, 1))])
    losses = FittedAdditive(E, C, G).predict(mixtures[:, :3])
    table = Table(("a", "b", "c", "never"), range(40), mixtures, targets=("t",), losses=losses)
    assert Additive().fit(table).coefficients[0, 3] == 0
    corner = np.array([[0, 0, 0, 1.0]])
    assert losses.min() < LogLinear().fit(table).predict(corner)[0, 0] < losses.max()


def test_bimix_of_own_proportions():
    mixtures = np.random.default_rng(0).dirichlet(np.full(3, 3.0), 8)
    losses = 1.5 + np.array([0.5, 0.8]) * mixtures[:, [2, 0]] ** np.array([-0.4, -0.2])
    table = Table(("a", "b", "c"), range(8), mixtures, targets=("c", "a"), losses=losses)
    fitted = BiMix(own=True).fit(table)
    assert fitted.coefficients == pytest.approx(np.array([[0, 0, 0.5], [0.8, 0, 0]]), rel=1e-6)
    again = BiMix(own=True).refit(fitted, table, np.ones((2, 8)))[1]
    assert again.predict(mixtures) == pytest.approx(losses, abs=1e-6)
    with pytest.raises(InputError, match="x is none"):
        BiMix(own=True).fit(replace(table, targets=("c", "x")))


def test_joint_law_leaves_out_what_does_not_vary():
    rng = np.random.default_rng(0)
    mixtures, size = rng.dirichlet(np.ones(3), 40), 10 ** rng.uniform(6, 8, 40)
    losses = FittedAdditive(E, C, G).predict(mixtures) + 400 * size[:, None] ** -0.34
    same = np.full(40, 1e9)
    table = Table(("a", "b", "c"), range(40), mixtures, size, same, ("t",), losses)
    fitted = Joint().fit(table)
    assert fitted.size_exponents == pytest.approx([0.34], rel=1e-6)
    assert fitted.token_factors == pytest.approx([0])
    assert fitted.predict(mixtures, size) == pytest.approx(losses, abs=1e-6)
    with pytest.raises(InputError, match="for which size"):
        fitted.predict(mixtures)
    with pytest.raises(InputError, match="for which size"):
        fitted.convex(tokens=1e9)
    for constant in (None, same):
        with pytest.raises(InputError, match="neither varies"):
            Joint().fit(replace(table, size=constant))


@pytest.mark.parametrize("call", [lambda: LogLinear(huber=0), lambda: Additive(largest_exponent=0),
                                  lambda: BiMix(least=0), lambda: Joint(starts_kept=0)])  # fmt: skip
def test_settings_without_sense_are_refused(call):
    with pytest.raises(InputError, match="expected"):
        call()
