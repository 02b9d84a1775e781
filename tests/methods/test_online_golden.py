"""Skill-It, dynamic batch loading and online data mixing against rules worked step by step."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.methods.odm import Odm, OdmState
from aioli.protocol import Observation
from aioli.testing.worlds import DecayWorld, run

GRAPH = ((0.50, 0.10, 0.05), (0.08, 0.60, 0.12), (0.02, 0.15, 0.40))


def problem(steps=100, names=("a", "b", "c"), **changes) -> Problem:
    return Problem(names, (10**6,) * len(names), steps, 64, **changes)


def round_of(mixer: Mixer, losses=None) -> np.ndarray:
    """Answer the round's measurement if it asks for one, train it, return the proportions it trained on."""
    if mixer.request.steps == 0:
        mixer.tell({Signal.VALIDATION_LOSS: losses})
    p = mixer.request.proportions
    for _ in range(mixer.request.steps):
        mixer.advance([2, 1, 1])
    mixer.tell({})
    return p


def test_skill_it():
    mixer = Mixer(zoo.skill_it(GRAPH, round_steps=10), problem(warmup_steps=30))
    np.testing.assert_allclose(round_of(mixer), [0.328376, 0.345212, 0.326412], atol=1e-6)
    for losses, expected in (
        ([4.0, 3.5, 3.8], [0.321417, 0.370755, 0.307828]),
        ([3.6, 3.3, 3.5], [0.306464, 0.409158, 0.284377]),
        ([3.4, 3.1, 3.3], [0.291542, 0.446029, 0.262430]),
        ([3.2, 3.0, 3.1], [0.291205, 0.442760, 0.266035]),
    ):
        assert mixer.request.phase == "measure"
        np.testing.assert_allclose(round_of(mixer, losses), expected, atol=1e-6)


def test_skill_it_depends_only_on_graph_times_eta():
    tenth = tuple(tuple(v / 10 for v in row) for row in GRAPH)
    a = Mixer(zoo.skill_it(GRAPH, eta=0.2, round_steps=10), problem())
    b = Mixer(zoo.skill_it(tenth, eta=2.0, round_steps=10), problem())
    for losses in (None, [4.0, 3.5, 3.8], [3.0, 3.5, 3.3]):
        np.testing.assert_allclose(round_of(a, losses), round_of(b, losses), rtol=1e-12)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [(False, [0.696548, 0.154060, 0.149391]), (True, [0.673577, 0.181958, 0.144465])],
)
def test_dynamic_batch_loading(clip, expected):
    targets, prior = {"a": 2.0, "b": 1.2, "c": 2.3}, (0.67, 0.20, 0.13)
    mixer = Mixer(zoo.sheared(targets, clip=clip, prior=prior, round_steps=10), problem())
    np.testing.assert_allclose(round_of(mixer), prior)
    np.testing.assert_allclose(round_of(mixer, [2.1, 1.0, 2.5]), expected, atol=1e-6)


def test_dynamic_batch_loading_evens_out_the_distance_to_the_targets():
    run_problem = problem(2000)
    world = DecayWorld(run_problem, 64, np.ones(3), np.array([3.0, 1.5, 1.5]), np.full(3, 2.0))
    targets = {"a": 1.3, "b": 1.3, "c": 1.3}
    mixer = run(Mixer(zoo.sheared(targets, eta=0.1), run_problem), world)
    assert mixer.drawn[0] > 1.3 * mixer.drawn[1]
    assert np.ptp(world.losses()) < 1.5 / 4


def test_online_data_mixing():
    method, three = Odm(memory=0.9, warmup_steps=10), problem()
    state = OdmState(10, np.zeros(3), 1 / 3, np.array([0.5, 0.3, 0.2]))
    nan = np.nan
    for step, losses, exploration, reward, p in (
        (11, [3.0, 2.5, nan], 0.182459, [0.6, 0.833333, 0], [0.338557, 0.351182, 0.310261]),
        (12, [2.8, 2.6, 3.4], 0.174691, [1.367040, 1.490356, 1.095852], [0.334695, 0.338335, 0.326970]),
        (13, [nan, nan, 3.2], 0.167838, [1.367040, 1.490356, 1.964949], [0.326365, 0.329817, 0.343818]),
    ):
        drawn = np.isfinite(losses).astype(float)
        state = method.update(three, state, Observation(step, drawn, {Signal.TRAIN_LOSS: np.array(losses)}))
        assert state.exploration == pytest.approx(exploration, abs=1e-6)
        np.testing.assert_allclose(state.reward, reward, atol=1e-6)
        np.testing.assert_allclose(state.proportions, p, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "linear",
            [[0.464198, 0.353343, 0.182459], [0.359474, 0.305446, 0.335079], [0.323017, 0.277645, 0.399338]],
        ),
        (
            "cumulative",
            [[0.338557, 0.351182, 0.310261], [0.335018, 0.339366, 0.325616], [0.325628, 0.329722, 0.344650]],
        ),
    ],
)
def test_online_data_mixing_as_released(form, expected):
    """Through the mixer: ten steps of warm-up on the given weights, then three updates."""
    mixer = Mixer(zoo.odm_released(form, warmup_steps=10, prior=(0.5, 0.3, 0.2)), problem())
    assert mixer.request.phase == "warmup" and mixer.request.steps == 10
    np.testing.assert_allclose(mixer.request.proportions, [0.5, 0.3, 0.2])
    for _ in range(10):
        mixer.advance([2, 1, 1])
    mixer.tell({})
    for losses, p in zip(([3.0, 2.5, np.nan], [2.8, 2.6, 3.4], [np.nan, np.nan, 3.2]), expected, strict=True):
        mixer.advance(np.isfinite(losses).astype(float))
        mixer.tell({Signal.TRAIN_LOSS: losses})
        np.testing.assert_allclose(mixer.request.proportions, p, atol=1e-6)


def test_online_data_mixing_leaves_a_group_excluded_by_the_prior_out():
    world = DecayWorld(problem(100), 16, np.ones(3), np.ones(3), np.ones(3))
    mixer = run(Mixer(zoo.odm(prior=(0.5, 0.5, 0.0)), world.problem), world)
    assert mixer.drawn[2] == 0 and mixer.state.proportions[:2].min() > 0


@pytest.mark.parametrize(("method", "most"), [(zoo.odm(), 0.9), (zoo.odm_released("cumulative"), 0.75)])
def test_online_data_mixing_brings_the_hard_group_down_to_the_others(method, most):
    """All groups could be equally good; stratified training leaves one far behind."""
    run_problem, gaps = problem(1000), {}
    for name, chosen in (("stratified", zoo.stratified()), ("odm", method)):
        world = DecayWorld(run_problem, 64, np.ones(3), np.array([4.0, 1.0, 1.0]), np.full(3, 3.0))
        run(Mixer(chosen, run_problem), world)
        gaps[name] = np.ptp(world.losses())
    assert gaps["odm"] < most * gaps["stratified"]


def test_online_data_mixing_never_falls_below_its_exploration_floor():
    run_problem = problem(400)
    world = DecayWorld(run_problem, 64, np.ones(3), np.array([9.0, 0.1, 0.1]), np.full(3, 0.1))
    mixer = Mixer(zoo.odm(warmup_steps=5), run_problem)
    while not mixer.done:
        run(mixer, world, stop=lambda m: True)
        if mixer.segment_over:
            mixer.tell(world.measure(mixer.request.observe, mixer.segment_drawn))
        if mixer.step > 20:
            floor = min(1 / 3, np.sqrt(np.log(3) / (3 * mixer.step)))
            assert mixer.state.proportions.min() >= floor - 1e-12
    assert mixer.state.proportions.argmax() == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: zoo.skill_it(((1.0, 2.0), (1.0,))), "rows of equal length"),
        (lambda: zoo.skill_it(((float("nan"),),)), "finite matrix"),
        (lambda: Mixer(zoo.skill_it(((1.0, 2.0),)), problem()), "1 rows and 2 columns"),
        (lambda: Mixer(zoo.sheared({"a": 1.0}), problem()), "missing: b, c"),
        (lambda: Mixer(zoo.sheared({"aa": 1.0}), problem()), "did you mean 'a'"),
        (lambda: Mixer(zoo.sheared({}), problem(targets=("x",))), "targets must be the groups"),
        (lambda: zoo.odm(memory=1.0), "memory must be in"),
        (lambda: zoo.odm_released("other"), "form must be"),
    ],
)
def test_mistakes_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
