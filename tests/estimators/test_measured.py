"""Estimators that read gradients or excess losses: what matrix they make, and where it leads."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.estimators import Alignment, Directional, ExcessOverReference
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.protocol import Observation
from aioli.solvers import ExponentiatedGradient
from aioli.testing.worlds import Bowls, DecayWorld, GradientWorld, run

NAN = np.nan


def problem(steps=200, **changes) -> Problem:
    return Problem(("a", "b", "c"), (9**6,) * 3, steps, 512, **changes)


def learned(estimator, run_problem: Problem, *rounds: dict) -> np.ndarray:
    """The matrix after some rounds' measurements."""
    state = None
    for number, values in enumerate(rounds):
        state = estimator.begin(run_problem, number, state)
        request = estimator.request(run_problem, state, run_problem.uniform)
        assert request.steps == estimator.measure_steps and request.observe == estimator.needs
        seen = Observation(number, np.zeros(3), {s: np.array(v) for s, v in values.items()}, 0.01)
        state = estimator.update(run_problem, state, seen)
        assert estimator.request(run_problem, state, run_problem.uniform) is None
    return estimator.matrix(run_problem, state)


def test_alignment_keeps_what_it_last_saw_of_a_group_and_is_neutral_about_one_it_never_saw():
    two = problem(targets=("t", "u"))
    losses = [2.0, 3.0]
    first = {Signal.GRADIENT_ALIGNMENT: [[1.0, NAN, 4.0], [0.5, NAN, -0.5]], Signal.VALIDATION_LOSS: losses}
    np.testing.assert_allclose(learned(Alignment(), two, first), [[1.0, 2.5, 4.0], [0.5, 0.0, -0.5]])
    then = {Signal.GRADIENT_ALIGNMENT: [[NAN, 3.0, 2.0], [NAN, 1.0, 2.0]], Signal.VALIDATION_LOSS: losses}
    np.testing.assert_allclose(learned(Alignment(), two, first, then), [[1.0, 3.0, 2.0], [0.5, 1.0, 2.0]])


def test_directional_gives_the_column_sums_whatever_the_weights():
    matrix = learned(Directional(), problem(targets=("t", "u")), {Signal.DIRECTIONAL: [0.3, NAN, -0.1]})
    np.testing.assert_allclose(np.array([1.5, 0.5]) @ matrix, [0.3, 0.1, -0.1])


def test_excess_is_diagonal_and_zero_before_a_group_is_seen():
    rounds = [{Signal.EXCESS_LOSS: [0.3, NAN, 0.1]}, {Signal.EXCESS_LOSS: [NAN, NAN, 0.2]}]
    np.testing.assert_allclose(learned(ExcessOverReference(), problem(), *rounds), np.diag([0.3, 0.0, 0.2]))


def test_nothing_measured_leaves_the_mixture_alone():
    for estimator, values in (
        (Directional(), {Signal.DIRECTIONAL: [NAN] * 3}),
        (Alignment(), {Signal.GRADIENT_ALIGNMENT: np.full((3, 3), NAN), Signal.VALIDATION_LOSS: np.ones(3)}),
    ):
        method, run_of = Lmo(Linear(), estimator, ExponentiatedGradient(1.0)), problem()
        arrays = {signal: np.array(value) for signal, value in values.items()}
        state = method.update(run_of, method.init(run_of), Observation(0, np.zeros(3), arrays))
        np.testing.assert_allclose(method.request(run_of, state).proportions, np.full(3, 1 / 3))
        with pytest.raises(InputError, match="batch due next"):  # a loop that shows nothing is told so
            Mixer(method, run_of).tell(values)


def target_world(steps: int) -> GradientWorld:
    data = Bowls(3 * np.eye(3), np.ones((3, 3)), np.ones(3))
    target = Bowls(np.array([[0.0, 3.0, 0.5]]), np.ones((1, 3)), np.ones(1))
    return GradientWorld(
        problem(steps, targets=("t",)), 30, data, np.zeros(3), np.ones(3), rate=0.02, held_out=target
    )


@pytest.mark.parametrize("measure_steps", [0, 3])
@pytest.mark.parametrize("part", [Alignment, Directional])
def test_gradients_find_the_group_that_leads_to_the_target(part, measure_steps):
    world = target_world(400)
    method = zoo.lmo(part(measure_steps), ExponentiatedGradient(eta=0.5))
    mixer = run(Mixer(method, world.problem), world)
    plain = target_world(400)
    run(Mixer(zoo.stratified(), plain.problem), plain)
    assert mixer.drawn.argmax() == 1 and mixer.state.step == 400
    assert world.losses()[0] < plain.losses()[0] - 0.5


def test_the_named_directional_method_does_the_same():
    world = target_world(400)
    mixer = run(Mixer(zoo.directional(eta=0.5), world.problem), world)
    assert mixer.drawn.argmax() == 1 and mixer.drawn.argmin() == 0


def test_alignment_serves_objectives_that_read_the_losses():
    """For the worst target only the group that helps it is raised."""
    data = Bowls(np.array([[0.0, 4.0], [1.0, 0.0], [0.5, 0.0]]), np.ones((3, 2)), np.ones(3))
    world = GradientWorld(
        problem(400, objective="worst_target"), 30, data, np.zeros(2), np.ones(3), rate=0.01
    )
    mixer = run(Mixer(zoo.lmo(Alignment(), ExponentiatedGradient(eta=1.0)), world.problem), world)
    assert mixer.drawn.argmax() == 0 and mixer.state.proportions[0] > 0.5


def test_measuring_over_whole_rounds_needs_no_peeks():
    world = DecayWorld(problem(60), 12, np.ones(3), np.ones(3), np.ones(3))
    estimator = ExcessOverReference(measure_steps=1)
    mixer = Mixer(Lmo(Linear(), estimator, ExponentiatedGradient(1.0), round_steps=1), world.problem)
    segments = 0
    while not mixer.done:
        assert mixer.request.steps == 1
        run(mixer, world, stop=lambda m: True)
        mixer.tell(world.measure(mixer.request.observe, mixer.segment_drawn), 0.1)
        segments += 1
    assert segments == 60


@pytest.mark.parametrize("estimator", [Alignment(50), Directional(50)])
def test_a_measurement_longer_than_the_round_is_refused(estimator):
    with pytest.raises(InputError, match="50 steps, a round has 20"):
        Mixer(Lmo(Linear(), estimator, ExponentiatedGradient(1.0), round_steps=20), problem())
