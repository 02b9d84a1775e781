"""Trees, Gaussian process, averages and the effective-data law."""

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.laws.static.additive import Additive, FittedAdditive
from aioli.laws.static.average import Average, stacked_weights
from aioli.laws.static.effective import Effective, FittedEffective
from aioli.laws.static.gaussian_process import GaussianProcess
from aioli.laws.static.log_linear import FittedLogLinear, LogLinear
from aioli.laws.static.trees import Trees
from aioli.solvers import convex
from aioli.table import Table

TRUTH = FittedLogLinear(np.array([2.0, 1.5]), np.array([[-1.2, 0.3, 0.1], [0.2, -0.9, 0.4]]))
LAWS = [
    Trees(rounds=40),
    GaussianProcess(),
    Effective(),
    Average((LogLinear(), Additive()), (0.3, 0.7)),
    Average((LogLinear(), Trees(rounds=20)), "stacked"),
]


def planted(k, noise=0.003, seed=0, truth=TRUTH, **more):
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(3), k)
    losses = truth.predict(mixtures) + noise * rng.normal(size=(k, len(truth.floors)))
    targets = tuple(f"t{i}" for i in range(losses.shape[1]))
    names = tuple(map(str, range(k)))
    return Table(("a", "b", "c"), names, mixtures, targets=targets, losses=losses, **more)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_round_trip_repeat_and_refit(law):
    table, new = planted(60), planted(15, seed=1).mixtures
    fitted = law.fit(table, seed=3)
    assert np.array_equal(fitted.predict(new), law.fit(table, seed=3).predict(new))
    assert np.array_equal(fitted.predict(new), law.from_json(fitted.to_json()).predict(new))
    weights = np.random.default_rng(0).exponential(size=(2, 60))
    again = law.refit(fitted, table, weights)
    assert len(again) == 2
    for one in again:
        assert 0 < np.abs(one.predict(new) - fitted.predict(new)).max() < 0.3
    corner = fitted.predict(np.eye(3))
    assert corner.shape == (3, 2) and np.isfinite(corner).all()
    with pytest.raises(InputError):
        law.from_json({"columns": {}})


@pytest.mark.parametrize(("law", "error"), [(Trees(rounds=300), 0.08), (GaussianProcess(), 0.01)])
def test_they_learn_a_smooth_world(law, error):
    new = planted(50, noise=0.0, seed=9)
    predicted = law.fit(planted(120)).predict(new.mixtures)
    assert np.abs(predicted - new.losses).mean() < error
    assert law.fit(planted(60)).convex() is None and law.parameters(3) is None


@pytest.mark.parametrize("law", [Trees(rounds=300), GaussianProcess()], ids=lambda law: law.name)
def test_scale_is_a_column_where_it_varies(law):
    rng = np.random.default_rng(0)
    size = rng.choice([1e6, 1e8], 80)
    plain = planted(80)
    losses = plain.losses + np.where(size > 1e7, 0.0, 1.0)[:, None]
    table = Table(plain.groups, plain.names, plain.mixtures, size, targets=plain.targets, losses=losses)
    at = plain.mixtures[:5]
    fitted = law.fit(table)
    gap = fitted.predict(at, size=np.full(5, 1e6)) - fitted.predict(at, size=np.full(5, 1e8))
    assert gap.min() > 0.6 and gap.mean() == pytest.approx(1.0, abs=0.25)


def test_gaussian_process_weight_zero_is_absence():
    table = planted(30)
    law = GaussianProcess()
    fitted = law.fit(table)
    weights = np.ones((1, 30))
    weights[0, :5] = 0
    (without,) = law.refit(fitted, table, weights)
    assert len(without.inputs) == 25
    assert not np.allclose(
        without.predict(table.mixtures[:5]), fitted.predict(table.mixtures[:5]), atol=1e-12
    )


def test_average_is_the_mean_and_convex_where_its_members_are():
    table, new = planted(40), planted(10, seed=4).mixtures
    law = Average((LogLinear(), Additive()), (0.3, 0.7))
    fitted = law.fit(table)
    by_hand = 0.3 * LogLinear().fit(table).predict(new) + 0.7 * Additive().fit(table).predict(new)
    assert np.allclose(fitted.predict(new), by_hand, atol=1e-12)
    losses = fitted.convex()
    assert losses is not None
    assert np.allclose([convex.values(losses, p) for p in new], by_hand, atol=1e-9)
    assert law.parameters(3) == 4 + 7
    assert Average((LogLinear(), Trees(rounds=5))).fit(table).convex() is None


def test_stacking_prefers_the_law_that_is_right():
    truth = np.linspace(1, 2, 30)[:, None]
    noise = np.random.default_rng(0).normal(size=(30, 1))
    weights = stacked_weights([truth + 0.01 * noise, truth + 0.5 * np.sin(9 * truth)], truth)
    assert weights[0] > 0.97 and weights.sum() == pytest.approx(1, abs=1e-12)


def test_effective_law_recovers_its_own_world_and_contains_the_additive_one():
    coefficients = np.array([[3.0, 0.4, 0.2], [0.3, 2.0, 0.9]])
    exponents = np.array([[0.4, 0.5, 0.6], [0.5, 0.3, 0.7]])
    truth = FittedEffective(np.array([1.0, 1.5]), coefficients, exponents, np.array([0.3, 0.6]))
    new = planted(40, seed=5, truth=truth, noise=0.0)
    fitted = Effective().fit(planted(120, noise=0.0, truth=truth))
    assert np.abs(fitted.predict(new.mixtures) - new.losses).mean() < 1e-3
    one = FittedEffective(truth.floors, coefficients, exponents, np.ones(2))
    same = FittedAdditive(truth.floors, coefficients, exponents)
    assert np.allclose(one.predict(new.mixtures), same.predict(new.mixtures), atol=1e-12)


def test_effective_slopes_are_the_derivatives():
    table = planted(20)
    law = Effective()
    theta = np.array([[1.0, 2.0, 0.5, 0.3, 0.4, 0.6, 0.9, 0.35]])
    curve = law.curve(table)
    values, slopes = curve.slopes(theta)
    for j in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[0, j] = 1e-6
        numeric = (curve.values(theta + step) - curve.values(theta - step)) / 2e-6
        assert np.allclose(numeric, slopes[:, j], atol=1e-7)
    assert np.allclose(values, curve.values(theta))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Trees(rounds=0),
        lambda: GaussianProcess(nu=1.0),
        lambda: Average((LogLinear(),)),
        lambda: Average((LogLinear(), Additive()), (0.5, 0.2)),
        lambda: Effective(huber=0.0),
        lambda: Trees().fit(planted(3)),
        lambda: Effective().fit(planted(7)),
    ],
)
def test_settings_and_tables_that_cannot_be(build):
    with pytest.raises(InputError):
        build()


def test_effective_law_is_the_same_to_a_convex_solver():
    rng = np.random.default_rng(5)
    law = FittedEffective(
        np.array([1.0, 2.0]), rng.exponential(1, (2, 3)), rng.uniform(0.2, 1, (2, 3)), np.array([0.4, 2.5])
    )
    mixtures = rng.dirichlet(np.ones(3), 20)
    losses = law.convex()
    terms = losses.inverses
    sums = (terms.first * mixtures[:, None, :] ** terms.second).sum(axis=2)
    np.testing.assert_allclose(
        losses.constant + terms.weight * sums**-terms.powers, law.predict(mixtures), rtol=1e-12
    )
