"""Matched sampling in a world with exact losses: its batches are unbiased gradients of the objective."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import Mixer, Problem, Signal, zoo
from aioli.objectives import get_objective
from aioli.testing.worlds import Bowls, GradientWorld, run

DATA = Bowls(
    np.array([[0.0, 1.0], [2.0, 0.0], [1.0, -2.0]]),
    np.array([[1.0, 2.0], [0.7, 1.0], [1.0, 0.4]]),
    np.array([1.0, 1.5, 0.8]),
)


def make_world(steps: int = 400, **changes) -> GradientWorld:
    problem = Problem(("a", "b", "c"), (9**6,) * 3, steps, 512, **changes)
    return GradientWorld(problem, 300, DATA, np.array([3.0, 2.0]), np.ones(3), rate=0.02)


def numeric_gradient(objective, weights, theta: np.ndarray) -> np.ndarray:
    def value(at):
        return objective.value(DATA.losses(at), weights)

    return np.array([(value(theta + h) - value(theta - h)) / 2e-6 for h in 1e-6 * np.eye(2)])


@pytest.mark.parametrize(
    ("settings", "objective"),
    [
        ({}, get_objective("mean_loss")),
        ({"objective": "mean_perplexity"}, get_objective("mean_perplexity")),
        ({"objective": "worst_target", "floor": 0.0}, get_objective("worst_target")),
        ({"tau": 0.2, "floor": 0.0}, get_objective("mean_loss", 0.2)),
        ({"tau": 7.0, "floor": 0.0}, get_objective("mean_loss", 7.0)),
    ],
    ids=["mean loss", "mean perplexity", "worst target", "tau 0.2", "tau 7"],
)
@pytest.mark.parametrize("theta", [(3.0, 2.0), (0.3, -1.0), (1.2, 0.4)])
def test_the_expected_batch_is_the_gradient_of_the_objective_up_to_scale(settings, objective, theta):
    """A batch's loss is a mean of group losses, each with its proportion: so is its expected gradient."""
    problem = make_world(target_weights=(0.5, 0.2, 0.3)).problem
    mixer, theta = Mixer(zoo.matched(**settings), problem), np.array(theta)
    mixer.advance([1, 1, 1])
    for _ in range(mixer.request.steps):
        mixer.advance([1, 1, 1])
    mixer.tell({Signal.TRAIN_LOSS: DATA.losses(theta)})
    expected = mixer.request.proportions @ DATA.gradients(theta)
    gradient = numeric_gradient(objective, problem.weights, theta)
    cosine = expected @ gradient / np.linalg.norm(expected) / np.linalg.norm(gradient)
    assert cosine == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("objective", ["mean_loss", "mean_perplexity"])
def test_training_ends_at_the_objective_s_minimum(objective):
    """The minimum is where the matched mixture's gradients cancel; stratified training is elsewhere."""
    world = make_world(3000, objective=objective)
    run(Mixer(zoo.matched(), world.problem), world)
    gradient = numeric_gradient(get_objective(objective), world.problem.weights, world.theta)
    assert np.abs(gradient).max() < 0.02 * np.abs(DATA.gradients(world.theta)).max()


def test_the_worst_target_is_brought_down():
    """The least largest loss is 1.913 (by direct search); rounds must be short beside the model's pace."""
    ends = []
    for method in (zoo.stratified(), zoo.matched(round_steps=1)):
        world = make_world(2000, objective="worst_target")
        run(Mixer(method, world.problem), world)
        ends.append(world.losses().max())
    assert ends[1] < 1.92 < 1.99 < ends[0]
