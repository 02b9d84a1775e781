"""DoReMi and DoGE: numbers worked by hand, and worlds where the right mixture is known."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.protocol import answer
from aioli.testing.worlds import Bowls, DecayWorld, GradientWorld, run

NAN = np.nan


def problem(steps=2, groups=3, **changes) -> Problem:
    names = tuple("abcdefgh"[:groups])
    return Problem(names, (1000,) * groups, steps, 80, **changes)


def one_step(mixer: Mixer, values, drawn, rate: float = 5e-4) -> np.ndarray:
    """Answer the peek, train the batch; returns the loss weights it was trained with."""
    assert mixer.request.steps == 0 and mixer.request.phase == "measure"
    mixer.tell(values, rate)
    request = mixer.request
    assert request.steps == 1 and request.loss_weights is not None
    np.testing.assert_allclose(request.proportions, mixer.problem.uniform)
    mixer.advance(drawn)
    mixer.tell({}, rate)
    return np.asarray(request.loss_weights)


def excess(*groups) -> dict:
    """Tokens' losses above the reference, clipped one by one, then averaged; None: not in the batch."""
    means = [NAN if tokens is None else np.maximum(tokens, 0).mean() for tokens in groups]
    return {Signal.EXCESS_LOSS: np.array(means)}


def test_doremi():
    mixer = Mixer(zoo.doremi(), problem())
    first = one_step(mixer, excess([0.4, -0.2, 0.1, 0.5], [-0.3, -0.1, 0.2], [0.3, 0.1]), [4, 3, 2])
    np.testing.assert_allclose(first, [0.359206, 0.299091, 0.341703], atol=1e-6)
    second = one_step(mixer, excess([0.2, -0.1, 0.3], [0.6, 0.2, -0.4, 0.4], None), [3, 4, 0])
    np.testing.assert_allclose(second, [0.340717, 0.324177, 0.335107], atol=1e-6)
    assert second[:2] @ [3.1, 2.7] == pytest.approx(1.931499, abs=1e-6)  # the paper's loss of the second step
    given = answer(mixer.method, mixer.problem, mixer.state)
    np.testing.assert_allclose(given, [0.349961, 0.311634, 0.338405], atol=1e-6)
    released = (first + second + 1 / 3) / 3  # the release averages the start, too
    np.testing.assert_allclose(released, [0.344419, 0.318867, 0.336714], atol=1e-6)


def test_doremi_clips_tokens_before_it_averages():
    mixer = Mixer(zoo.doremi(smoothing=0.0), problem())
    weights = one_step(mixer, excess([0.4, -0.2, 0.1, 0.5], [-0.3, -0.1, 0.2], [0.3, 0.1]), [4, 3, 2])
    assert np.log(weights[0] / weights[1]) == pytest.approx(0.25 - 0.2 / 3)  # not .20 - 0


def test_doremi_raises_the_group_with_the_largest_excess_and_lowers_the_worst_excess():
    """All groups can reach their references; the slow one is the worst until it is weighted up."""
    run_problem = problem(600)
    excesses = {}
    for name in ("stratified", "doremi"):
        rate = np.array([6.0, 6.0, 1.5])
        world = DecayWorld(run_problem, 30, np.ones(3), np.full(3, 2.0), rate)
        world.reference = np.full(3, 1.4)
        mixer = run(Mixer(getattr(zoo, name)(), run_problem), world)
        excesses[name] = (world.losses() - world.reference).max()
        if name == "doremi":
            mixture = answer(mixer.method, run_problem, mixer.state)
            assert mixture.argmax() == 2 and mixture[2] > 0.5
    assert excesses["doremi"] < excesses["stratified"] - 0.3


GRADIENTS = np.array([[1.0, 0.5, 0, 0], [0.2, -1.0, 0.4, 0], [0, 0.3, 0.9, 1.2]])
TARGET = np.array([0.9, 0.8, 1.2, 3.1])


def alignment(groups: np.ndarray, target: np.ndarray) -> dict:
    norms = np.linalg.norm(groups, axis=1)
    return {Signal.GRADIENT_ALIGNMENT: (groups @ target)[None], Signal.GRADIENT_NORM: norms}


def test_doge():
    mixer = Mixer(zoo.doge(), problem(targets=("t",)))
    first = one_step(mixer, alignment(GRADIENTS, TARGET), [3, 3, 3])
    np.testing.assert_allclose(first, [0.321448, 0.305131, 0.373421], atol=1e-6)
    second = one_step(mixer, alignment(GRADIENTS, TARGET), [3, 3, 3])
    np.testing.assert_allclose(second, [0.307638, 0.277199, 0.415162], atol=1e-6)
    given = answer(mixer.method, mixer.problem, mixer.state)
    np.testing.assert_allclose(given, [0.314543, 0.291165, 0.394292], atol=1e-6)


def test_doge_clips_gradients_and_scores():
    mixer = Mixer(zoo.doge(), problem(targets=("t",)))
    weights = one_step(mixer, alignment(3 * GRADIENTS, 2 * TARGET), [3, 3, 3])
    np.testing.assert_allclose(weights, [0.327008, 0.294652, 0.378340], atol=1e-6)
    clipped = Mixer(zoo.doge(clip=1.0), problem(targets=("t",)))
    unit = GRADIENTS / np.linalg.norm(GRADIENTS, axis=1, keepdims=True)
    once = one_step(clipped, alignment(GRADIENTS, TARGET), [3, 3, 3])
    np.testing.assert_allclose(
        once, one_step(Mixer(zoo.doge(), problem(targets=("t",))), alignment(unit, TARGET), [3, 3, 3])
    )


def test_doge_leaves_a_group_that_is_absent_out_of_the_mean_norm():
    values = alignment(GRADIENTS, TARGET)
    values[Signal.GRADIENT_ALIGNMENT][:, 1] = values[Signal.GRADIENT_NORM][1] = NAN
    weights = one_step(Mixer(zoo.doge(), problem(targets=("t",))), values, [3, 0, 3])
    mean = np.linalg.norm(GRADIENTS[[0, 2]], axis=1).mean()
    score = 0.05 * np.array([1.3, 0, 5.04]) / (mean + 1e-6)  # learning rate / mu
    np.testing.assert_allclose(weights, np.exp(score) / np.exp(score).sum(), rtol=1e-9)


def test_doge_pools_targets_by_their_weights():
    target = np.array([TARGET, -TARGET])
    values = {
        Signal.GRADIENT_ALIGNMENT: target @ GRADIENTS.T,
        Signal.GRADIENT_NORM: np.linalg.norm(GRADIENTS, axis=1),
    }
    even = Mixer(zoo.doge(), problem(targets=("t", "u")))
    np.testing.assert_allclose(one_step(even, values, [3, 3, 3]), np.full(3, 1 / 3))
    first = Mixer(zoo.doge(), problem(targets=("t", "u"), target_weights=(1.0, 0.0)))
    np.testing.assert_allclose(one_step(first, values, [3, 3, 3]), [0.321448, 0.305131, 0.373421], atol=1e-6)


def test_doge_says_that_it_needs_the_learning_rate():
    mixer = Mixer(zoo.doge(), problem(targets=("t",)))
    with pytest.raises(InputError, match="learning rate"):
        mixer.tell(alignment(GRADIENTS, TARGET))


def aligned_world(steps: int) -> GradientWorld:
    """Three groups pull a model of three weights each their own way; the target lies towards the second."""
    data = Bowls(3 * np.eye(3), np.ones((3, 3)), np.ones(3))
    target = Bowls(np.array([[0.0, 3.0, 0.3]]), np.ones((1, 3)), np.ones(1))
    return GradientWorld(
        problem(steps, targets=("t",)), 30, data, np.zeros(3), np.ones(3), rate=0.02, held_out=target
    )


@pytest.mark.parametrize("settings", [{}, {"resample": True}])
def test_doge_raises_the_group_that_points_at_the_target(settings):
    world = aligned_world(200)
    mixer = run(Mixer(zoo.doge(**settings), world.problem), world)
    mixture = answer(mixer.method, world.problem, mixer.state)
    assert mixture.argmax() == 1 and mixture[1] > 0.6
    assert mixture[2] > mixture[0]
    plain = aligned_world(200)
    run(Mixer(zoo.stratified(), plain.problem), plain)
    assert world.losses()[0] < plain.losses()[0] - 0.5


def test_resampling_draws_on_the_weights_instead():
    world = aligned_world(100)
    mixer = run(Mixer(zoo.doge(resample=True), world.problem), world)
    assert mixer.drawn[1] > 1.5 * mixer.drawn[0]
    world = aligned_world(100)
    mixer = run(Mixer(zoo.doge(), world.problem), world)
    assert np.ptp(mixer.drawn) <= 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mixer(zoo.doremi(), problem(targets=("t",))), "says nothing about other targets"),
        (lambda: zoo.doremi(resample=True, sampling=(0.5, 0.3, 0.2)), "leave sampling out"),
        (lambda: Mixer(zoo.doremi(sampling=(0.5, 0.5)), problem()), "expected 3 proportions"),
        (lambda: zoo.doge(mu=0.0), "mu must be positive"),
        (lambda: zoo.doge(clip=0.0), "clip"),
    ],
)
def test_mistakes_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
