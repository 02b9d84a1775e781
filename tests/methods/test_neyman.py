"""Importance-weighted sampling: the same expected gradient, with less variance."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.data.loader import Loader
from aioli.testing.worlds import Bowls, GradientWorld, run


def problem(steps=400, groups=3, **changes) -> Problem:
    return Problem(tuple(f"g{i}" for i in range(groups)), (1000,) * groups, steps, 512, **changes)


def trained(run_problem: Problem, variances, batch: int, **settings) -> Mixer:
    """A mixer that was told the variances and asks for its first weighted segment."""
    mixer = Mixer(zoo.neyman(**settings), run_problem)
    for _ in range(mixer.request.steps):
        mixer.advance(np.full(run_problem.m, batch / run_problem.m))
    mixer.tell({})
    assert mixer.request.steps == 0 and mixer.request.observe == {Signal.GRADIENT_VARIANCE}
    mixer.tell({Signal.GRADIENT_VARIANCE: variances})
    return mixer


def test_proportions_follow_weights_times_deviations():
    run_problem = problem(target_weights=(0.5, 0.25, 0.25))
    request = trained(run_problem, [1.0, 4.0, 16.0], 64).request
    np.testing.assert_allclose(request.proportions, np.array([0.5, 0.5, 1.0]) / 2)
    np.testing.assert_allclose(request.loss_weights, [0.5, 0.25, 0.25])  # every group is in every batch


@pytest.mark.parametrize("batch", [4, 16, 64])
def test_the_expected_gradient_is_that_of_the_objective(batch):
    """Over batches that the loader deals, the mean loss weight of each group present is its target weight.

    Exactly for groups with a sequence in every batch; just below that, two may fall into one batch.
    """
    run_problem = problem(8000, groups=7)
    variances = np.array([0.01, 1.0, 4.0, 9.0, 0.25, 100.0, 2.0])
    request = trained(run_problem, variances, batch, round_steps=5000).request
    rows = {name: np.zeros((50, 2), dtype=np.uint16) for name in run_problem.groups}
    total = np.zeros(7)
    for step in Loader(rows, batch, seed=0).segment(request.proportions, 4000):
        total += request.loss_weights * (step.drawn > 0)
    np.testing.assert_allclose(total / 4000, run_problem.weights, rtol=5e-2)
    always = batch * request.proportions >= 1
    assert always.any()
    np.testing.assert_allclose(total[always] / 4000, run_problem.weights[always], rtol=1e-12)


def test_the_gradient_has_less_variance_than_stratified_sampling():
    """With n_j sequences of group j, sum_j w_j x (mean over them) varies by sum_j w_j^2 s_j^2 / n_j."""
    run_problem, deviation = problem(), np.array([0.2, 1.0, 3.0])
    request = trained(run_problem, deviation**2, 60).request

    def variance(p):
        return (request.loss_weights**2 * deviation**2 / (60 * p)).sum()

    best = (run_problem.weights @ deviation) ** 2 / 60  # Cauchy-Schwarz: what no allocation goes below
    assert variance(request.proportions) == pytest.approx(best)
    assert best < 0.7 * variance(run_problem.uniform)


def test_training_goes_where_stratified_training_goes():
    """In a world that steps along mean gradients only the direction matters, and it is the same."""
    data = Bowls(
        np.array([[0.0, 1.0], [2.0, 0.0], [1.0, -1.0]]), np.array([[1, 2], [2, 1], [1, 1.0]]), np.ones(3)
    )
    end = {}
    for name in ("stratified", "neyman"):
        world = GradientWorld(problem(300), 60, data, np.array([4.0, 4.0]), np.array([0.5, 1.0, 4.0]))
        mixer = run(Mixer(getattr(zoo, name)(), world.problem), world)
        end[name] = world.theta
    np.testing.assert_allclose(end["neyman"], end["stratified"], atol=1e-9)
    assert mixer.drawn[2] > 3 * mixer.drawn[0]


def test_variances_are_smoothed_and_gaps_are_filled():
    mixer = trained(problem(), [1.0, np.nan, 9.0], 60, round_steps=1, smoothing=0.5)
    np.testing.assert_allclose(mixer.request.proportions, np.array([1, np.sqrt(5), 3]) / (4 + np.sqrt(5)))
    mixer.advance([20, 20, 20])
    mixer.tell({})
    mixer.tell({Signal.GRADIENT_VARIANCE: [3.0, 4.0, np.nan]})
    np.testing.assert_allclose(mixer.state.variance, [2.0, 4.0, 9.0])


def test_a_group_without_noise_keeps_its_floor():
    request = trained(problem(), [0.0, 1.0, 1.0], 60, floor=0.3).request
    assert request.proportions[0] == pytest.approx(0.1 / 1.1)
    np.testing.assert_allclose(trained(problem(), [0.0, 0.0, 0.0], 60).request.proportions, np.full(3, 1 / 3))


@pytest.mark.parametrize(
    "changes", [{"targets": ("x",)}, {"objective": "worst_target"}, {"objective": "mean_perplexity"}]
)
def test_another_objective_is_refused(changes):
    with pytest.raises(InputError, match="mean_loss"):
        Mixer(zoo.neyman(), problem(**changes))
