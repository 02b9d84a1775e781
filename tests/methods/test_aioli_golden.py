"""Aioli against numbers worked by hand: three groups, two sweeps, ten sequences a probe."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import Mixer, Problem, Signal, zoo
from aioli.estimators.probes import Probes, probed_group
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.solvers import ExponentiatedGradient

START = np.array([4.000, 3.800, 4.200])
AFTER = {  # (sweep, probe) -> losses measured after it
    (0, 1): [3.970, 3.700, 4.170],
    (0, 0): [3.870, 3.680, 4.150],
    (0, 2): [3.860, 3.670, 4.020],
    (1, 2): [3.850, 3.660, 3.910],
    (1, 1): [3.830, 3.570, 3.890],
    (1, 0): [3.745, 3.555, 3.880],
}
COUNTS = {
    (0, 0): [5, 3, 2],
    (1, 0): [5, 3, 2],
    (0, 1): [3, 5, 2],
    (1, 1): [2, 5, 3],
    (0, 2): [2, 3, 5],
    (1, 2): [2, 3, 5],
}
ORDER = ((1, 0, 2), (2, 1, 0))
MATRIX = [
    [0.228125, -0.040625, -0.046875],
    [-0.095625, 0.298125, -0.120625],
    [-0.043750, -0.081250, 0.306250],
]


def problem(**changes) -> Problem:
    """A run whose name hashing gives exactly the probe order of the worked example."""
    for seed in range(10_000):
        found = Problem(("a", "b", "c"), (1000,) * 3, 12, 80, seed=seed, **changes)
        estimator = Probes(2, 1, 0.5)
        state = estimator.begin(found, 0, None)
        orders = [probed_group(found, state._replace(position=i)) for i in range(6)]
        if tuple(orders) == ORDER[0] + ORDER[1]:
            return found
    raise AssertionError("no seed gives the order")


def play(method: Lmo, run: Problem) -> Mixer:
    """Feed one round of the example to a mixer, up to the first training request."""
    mixer = Mixer(method, run)
    assert mixer.request.steps == 0 and mixer.request.phase == "measure"
    mixer.tell({Signal.VALIDATION_LOSS: START})
    for sweep, order in enumerate(ORDER):
        for probe in order:
            assert mixer.request.phase == "probe"
            assert np.argmax(mixer.request.proportions) == probe
            mixer.advance(COUNTS[sweep, probe])
            mixer.tell({Signal.VALIDATION_LOSS: AFTER[sweep, probe]})
    assert mixer.request.phase == "train"
    return mixer


def aioli(eta: float, **changes) -> Lmo:
    return zoo.aioli(eta=eta, sweeps=2, probe_steps=1, focus=0.5, round_steps=12, **changes)


@pytest.mark.filterwarnings("ignore:probing takes")
@pytest.mark.parametrize(
    ("eta", "prior", "expected"),
    [
        (0.2, None, [0.331284, 0.335200, 0.333516]),
        (1.0, None, [0.323138, 0.342691, 0.334171]),
        (0.2, (0.5, 0.3, 0.2), [0.497565, 0.302068, 0.200367]),
        (1.0, (0.5, 0.3, 0.2), [0.487814, 0.310399, 0.201787]),
    ],
)
def test_round_from_realised_counts(eta, prior, expected):
    mixer = play(aioli(eta, prior=prior), problem())
    np.testing.assert_allclose(mixer.state.matrix, MATRIX, atol=1e-6)
    np.testing.assert_allclose(mixer.request.proportions, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:probing takes")
def test_diagonal_variant():
    mixer = play(aioli(0.2, diagonal=True), problem())
    np.testing.assert_allclose(np.diag(mixer.state.matrix), [0.185, 0.190, 0.240], atol=1e-6)
    np.testing.assert_allclose(mixer.request.proportions, [0.331162, 0.331700, 0.337138], atol=1e-6)


@pytest.mark.filterwarnings("ignore:probing takes")
def test_detrended_matrix_has_zero_row_means_and_ignores_a_common_trend():
    plain = play(aioli(0.2), problem()).state.matrix
    detrended = play(aioli(0.2, detrend=True), problem()).state.matrix
    np.testing.assert_allclose(detrended, plain - plain.mean(axis=1, keepdims=True), atol=1e-12)


SECOND = np.array([[0.02, 0.06, 0.01], [0.03, 0.01, 0.02], [-0.02, 0.03, 0.05]])
UNIFORM = np.full(3, 1 / 3)


@pytest.mark.parametrize(
    ("memory", "first", "second"),
    [
        (0.5, [0.332308, 0.334266, 0.333426], [0.331114, 0.335082, 0.333804]),
        (None, [0.332308, 0.334266, 0.333426], [0.328902, 0.336832, 0.334266]),
    ],
)
def test_two_rounds_released_average_against_accumulation(memory, first, second):
    run, solver, law = (
        problem(),
        ExponentiatedGradient(0.1, memory=memory or 0.0, restart=memory is not None),
        Linear(),
    )
    state, p = solver.step(run, solver.init(run, UNIFORM), law, UNIFORM, np.array(MATRIX), np.ones(3))
    np.testing.assert_allclose(p, first, atol=1e-6)
    state, p = solver.step(run, state, law, p, SECOND, np.ones(3))
    np.testing.assert_allclose(p, second, atol=1e-6)


def test_released_average_never_moves_a_ratio_beyond_e_to_the_eta():
    run, solver = problem(), ExponentiatedGradient(1.0, memory=0.1, restart=True)
    state, p = solver.init(run, UNIFORM), UNIFORM
    for _ in range(50):
        state, p = solver.step(run, state, Linear(), p, np.diag([1.0, 0.0, 0.0]), np.ones(3))
    assert p[0] / p[1] <= np.e + 1e-12


@pytest.mark.parametrize(
    ("weights", "p", "expected"),
    [
        ([0.25, 0.75], [0.5, 0.3, 0.2], [0.467941, 0.330305, 0.201754]),
        ([1, 1], [0.5, 0.3, 0.2], [0.517418, 0.295310, 0.187272]),
        ([0.25, 0.75], [0.6, 0.4, 0.0], [0.560444, 0.439556, 0.0]),
    ],
)
def test_exponentiated_gradient_without_normalisation(weights, p, expected):
    run = Problem(("a", "b", "c"), (1,) * 3, 1, 1, targets=("x", "y"))
    solver = ExponentiatedGradient(5.0, normalise=False)
    matrix = np.array([[0.10, 0.02, 0.04], [0.01, 0.08, 0.05]])
    _, q = solver.step(
        run, solver.init(run, UNIFORM), Linear(), np.array(p), matrix, np.array(weights, float)
    )
    np.testing.assert_allclose(q, expected, atol=1e-6)
    assert (q == 0).tolist() == (np.array(p) == 0).tolist()


def step(matrix, eta=1.0, normalise=True):
    run = Problem(("a", "b", "c"), (1,) * 3, 1, 1, targets=tuple(f"t{i}" for i in range(len(matrix))))
    solver = ExponentiatedGradient(eta, normalise=normalise)
    return solver.step(
        run, solver.init(run, UNIFORM), Linear(), UNIFORM, np.array(matrix), np.ones(len(matrix))
    )[1]


def test_a_trend_common_to_all_probes_acts_only_through_normalisation():
    everywhere, one_row = np.array(MATRIX) + 0.05, np.array(MATRIX)
    one_row[0] += 0.05
    np.testing.assert_allclose(step(everywhere), step(MATRIX), atol=1e-12)
    np.testing.assert_allclose(step(one_row, normalise=False), [0.318196, 0.347293, 0.334511], atol=1e-6)
    np.testing.assert_allclose(step(one_row), [0.324066, 0.341832, 0.334102], atol=1e-6)


def test_one_target_and_the_zero_matrix():
    np.testing.assert_allclose(step([[0.03, -0.01, 0.02]], 0.2), [0.349182, 0.311471, 0.339347], atol=1e-6)
    np.testing.assert_allclose(step(np.zeros((2, 3))), UNIFORM)
