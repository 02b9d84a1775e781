"""Held-out scores, the learning curve, and laws of steps and sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.fitting.planted import LOG_LINEAR, planted

from aioli.errors import InputError
from aioli.fitting.assess import assess, learning_curve
from aioli.fitting.hull import distance_outside
from aioli.fitting.nested import extrapolate, extrapolate_size, extrapolate_tokens
from aioli.fitting.registry import build_law, describe_law
from aioli.laws.static.held_out import folds, mixture_of
from aioli.table import Table


def test_the_right_law_is_perfect_without_noise():
    scores = assess(build_law("log_linear"), planted(LOG_LINEAR, 30, noise=0.0))
    assert scores.columns == ("x", "y", "objective")
    assert scores.r2.min() > 1 - 1e-6 and scores.spearman.min() > 0.999 and scores.regret.max() == 0


def test_repetitions_are_held_out_together():
    table = planted(LOG_LINEAR, 30)
    mixtures = table.mixtures[np.arange(30) // 3]
    again = Table(table.groups, table.names, mixtures, targets=table.targets, losses=table.losses)
    fold, which = folds(again, 5, seed=3), mixture_of(again)
    assert all(len(set(fold[which == one])) == 1 for one in range(10))
    assert sorted(np.bincount(fold).tolist()) == [6] * 5


def test_more_runs_predict_better():
    curve = learning_curve(build_law("log_linear"), planted(LOG_LINEAR, 80, 0.02), [6, 40], repeats=5)
    assert curve.mae[1].mean() < 0.75 * curve.mae[0].mean()
    with pytest.raises(InputError, match="counts from 1 to 77"):
        learning_curve(build_law("log_linear"), planted(LOG_LINEAR, 80), [78])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_outside_agrees_with_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    trained, point = rng.dirichlet(np.ones(4), 6), rng.dirichlet(np.ones(4))
    system = np.vstack([trained.T, np.ones(6)])
    inside = linprog(np.zeros(6), A_eq=system, b_eq=np.append(point, 1)).status == 0
    assert (distance_outside(point[None], trained)[0] == 0) == inside
    assert distance_outside(trained.mean(axis=0)[None], trained)[0] == 0


def _scaled(what, scale, losses):
    """Two runs at every scale; losses [2, scales, n]."""
    runs, points, n = losses.shape
    mixtures = np.repeat([[0.3, 0.7], [0.6, 0.4]], points, axis=0)
    names = tuple(np.repeat(["r", "s"], points))
    targets = tuple(f"t{i}" for i in range(n))
    values = np.tile(scale, runs)
    return Table(("a", "b"), names, mixtures, targets=targets, losses=losses.reshape(-1, n), **{what: values})


def test_the_step_law_finds_each_runs_exponent():
    steps = np.array([1e4, 2e4, 3e4, 4e4])
    beta = np.array([0.3, 0.6])
    floors, factors = np.array([[1.5, 2.0], [1.2, 2.4]]), np.array([[8.0, 5.0], [90.0, 60.0]])
    losses = floors[:, None] + factors[:, None] * steps[:, None] ** -beta[:, None, None]
    found = extrapolate_tokens(_scaled("tokens", steps, losses), 1e6)
    assert np.allclose(found.exponents, beta, atol=1e-6)
    assert np.allclose(found.table.losses, floors + factors * 1e6 ** -beta[:, None], atol=1e-6)
    assert found.table.names == ("r", "s") and (found.table.tokens == 1e6).all() and found.error < 1e-8


def test_the_size_law_ties_one_exponent_and_resists_an_outlier():
    sizes = np.array([1e6, 3e6, 1e7, 3e7, 1e8])
    floors, factors = np.array([[1.5, 2.0], [1.2, 2.4]]), np.array([[80.0, 50.0], [60.0, 90.0]])
    losses = floors[:, None] + factors[:, None] * sizes[:, None] ** -0.34
    clean = extrapolate_size(_scaled("size", sizes, losses), 1e9)
    assert clean.exponents == pytest.approx([0.34, 0.34], abs=1e-6)
    assert np.allclose(clean.table.losses, floors + factors * 1e9**-0.34, atol=1e-6)
    losses[0, 2, 0] += 1.0
    bent = extrapolate(_scaled("size", sizes, losses), size=1e9)
    assert np.allclose(bent.table.losses[1], clean.table.losses[1], atol=0.1)


def test_a_law_of_scale_needs_three_points():
    losses = np.array([[[3.0], [2.0]], [[3.1], [2.2]]])
    with pytest.raises(InputError, match="run r has 2 values of tokens, and a law of tokens needs 3"):
        extrapolate_tokens(_scaled("tokens", np.array([1e4, 2e4]), losses), 1e6)
    with pytest.raises(InputError, match="the table records no size"):
        extrapolate(planted(LOG_LINEAR, 5), size=1e9)


@pytest.mark.parametrize(
    "plain",
    [
        {"log_linear": {"huber": 0.1}},
        "trees",
        {"average": {"members": ["linear", {"additive": {"huber": 0.1}}], "weights": [0.25, 0.75]}},
        {"average": {"members": ["linear", "effective"], "weights": "stacked"}},
    ],
)
def test_laws_to_plain_values_and_back(plain):
    law = build_law(plain)
    assert build_law(describe_law(law)) == law


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ("tree", "did you mean 'trees'"),
        ({"average": {"members": "linear"}}, "law 'average': members must be a list of laws"),
        ({"average": {}}, "law 'average' needs members"),
        ({"trees": {"rounds": "many"}}, "law 'trees': rounds must be int, got 'many'"),
        ({"average": {"members": ["linear", "trees"], "weights": [0.5, 0.6]}}, "2 weights >= 0 with sum 1"),
    ],
)
def test_unknown_laws_and_settings(plain, message):
    with pytest.raises(InputError, match=message):
        build_law(plain)
