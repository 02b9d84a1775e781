"""Objectives: values and gradients by hand, and gradients against differences of the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli import InputError, Mixer, Problem, zoo
from aioli.objectives import OBJECTIVES, get_objective, objective_of


def problem(objective: str, **changes) -> Problem:
    values = dict(groups=("a", "b", "c"), group_tokens=(10**6,) * 3, total_steps=400, step_tokens=8)
    return Problem(**(values | dict(objective=objective, reference_losses=(1.0, 2.0, 3.0)) | changes))


def test_worst_excess_by_hand():
    of = objective_of(problem("worst_excess"))
    weights = np.full(3, 1 / 3)
    losses = np.array([1.5, 3.0, 3.9])  # excess .5, 1, .9, though the largest loss is the third
    assert of.value(losses, weights) == pytest.approx(1.0)
    assert of.gradient(losses, weights).tolist() == [0, 1, 0]
    assert of.gradient(np.array([2.0, 3.0, 3.0]), weights).tolist() == [0.5, 0.5, 0]
    assert of.value(np.array([0.5, 1.0, 2.5]), weights) == pytest.approx(-0.5)  # all below: still the worst
    assert of.gradient(np.array([1.5, 3.0, 9.0]), np.array([0.5, 0.5, 0.0])).tolist() == [0, 1, 0]


def test_mean_excess_by_hand():
    of = objective_of(problem("mean_excess"))
    weights = np.array([0.5, 0.25, 0.25])
    assert of.value(np.array([1.4, 1.0, 3.8]), weights) == pytest.approx(0.5 * 0.4 + 0.25 * 0.8)
    np.testing.assert_allclose(of.gradient(np.array([1.4, 1.0, 3.8]), weights), [2 / 3, 0, 1 / 3])
    assert of.gradient(np.array([1.0, 2.1, 0.0]), weights).tolist() == [0, 1, 0]  # at the reference: reached
    done = np.array([0.9, 1.9, 3.0])
    assert of.value(done, weights) == 0
    assert of.gradient(done, weights).tolist() == weights.tolist()  # all reached: the mean loss again


@given(
    st.sampled_from(sorted(OBJECTIVES)),
    st.lists(st.floats(0, 8), min_size=3, max_size=3, unique=True),
    st.lists(st.floats(0.1, 1), min_size=3, max_size=3),
)
def test_gradients_are_those_of_the_values(name, losses, weights):
    of, losses = objective_of(problem(name)), np.array(losses)
    weights = np.array(weights) / sum(weights)
    excess = np.sort(losses - (np.array([1.0, 2, 3]) if of.excess else 0))
    if np.diff(excess).min() < 1e-4 or (of.excess and np.abs(excess).min() < 1e-4):
        return  # a kink
    gradient = of.gradient(losses, weights)
    assert gradient.sum() == pytest.approx(1)
    h = 1e-6 * np.eye(3)
    slope = np.array([(of.value(losses + e, weights) - of.value(losses - e, weights)) / 2e-6 for e in h])
    if slope.sum() > 1e-9:
        np.testing.assert_allclose(gradient, slope / slope.sum(), atol=1e-6)
    else:  # nothing left above its reference
        np.testing.assert_allclose(gradient, weights)


@pytest.mark.parametrize("name", ["worst_excess", "mean_excess"])
def test_an_excess_without_references_is_refused_before_the_first_step(name):
    bare = problem(name, reference_losses=None)
    for method in (zoo.stratified(), zoo.aioli(), zoo.matched()):
        with pytest.raises(InputError, match=rf"{name} needs reference_losses: for each target \(a, b, c\)"):
            Mixer(method, bare)
    plain = problem("mean_loss", reference_losses=None)
    for method in (zoo.aioli(objective=name), zoo.matched(objective=name)):
        with pytest.raises(InputError, match="reference_losses"):
            method.init(plain)
    with pytest.raises(InputError, match="reference_losses"):
        get_objective(name).gradient(np.ones(3), np.ones(3) / 3)


def test_matched_follows_the_excess_of_its_training_losses():
    mixer = Mixer(zoo.matched(round_steps=1, smoothing=0.0, floor=0.0), problem("mean_excess"))
    mixer.advance([1, 1, 1])
    mixer.tell({"train_loss": [0.5, 2.5, 3.5]})
    np.testing.assert_allclose(mixer.request.proportions, [0, 0.5, 0.5])
