"""What a run's constraints allow: refused before the first step, or kept to its end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli import InputError, Mixer, Problem, Request, zoo
from aioli.constraints import Limits
from aioli.data.loader import Loader
from aioli.methods.static import Static
from aioli.protocol import Constraints


def problem(tokens=(100, 200, 700), steps=10, **constraints) -> Problem:
    names = tuple("abcdefgh"[: len(tokens)])
    return Problem(names, tokens, steps, 100, constraints=Constraints(**constraints))


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        ({"max_repeats": {"aa": 2}}, ["constraints.max_repeats names an unknown group 'aa'", "'a'"]),
        ({"floors": {"d": 0.1}}, ["constraints.floors names an unknown group 'd'"]),
        ({"max_repeats": -1}, ["constraints.max_repeats must be a positive finite number, got -1"]),
        ({"max_repeats": {"a": float("nan")}}, ["constraints.max_repeats of 'a' must be", "got nan"]),
        ({"max_repeats": True}, ["constraints.max_repeats must be a number, got True"]),
        ({"floors": -0.1}, ["constraints.floors must be a proportion from 0 to 1, got -0.1"]),
        ({"fixed": {"a": 1.5}}, ["constraints.fixed of 'a' must be a proportion from 0 to 1, got 1.5"]),
        ({"max_change": 0}, ["constraints.max_change must be a positive finite number, got 0"]),
        ({"floors": 0.4}, ["floors of the free groups sum to 1.2", "a 0.4, b 0.4, c 0.4", "more than 1"]),
        ({"floors": 0.3, "fixed": {"a": 0.5}}, ["sum to 0.6", "fixed proportions to 0.5", "together 1.1"]),
        ({"fixed": {"a": 0.6, "b": 0.6}}, ["constraints.fixed sums to 1.2, more than 1", "a 0.6, b 0.6"]),
        ({"fixed": {"a": 0.2, "b": 0.2, "c": 0.2}}, ["sums to 0.6", "leaves no group with data", "free"]),
        ({"fixed": {"a": 0.1}, "floors": {"a": 0.2}}, ["holds 'a' at 0.1, below its floor of 0.2"]),
        ({"max_repeats": 0.5}, ["leaves 500 tokens for a run of 1,000", "allow 1 repeats of every group"]),
        ({"max_repeats": {"a": 1, "c": 1}, "fixed": {"b": 0.1}}, ["leaves 800 tokens for a run of 900"]),
        (
            {"max_repeats": 2, "floors": {"a": 0.3}},
            ["floor of 'a', 0.3, needs 300 of the run's 1,000", "allows 200 (2 x 100)", "0.2", "of 'a' to 3"],
        ),
        ({"max_repeats": 2, "fixed": {"b": 0.5}}, ["fixed proportion of 'b', 0.5, needs 500", "allows 400"]),
    ],
)
def test_constraints_that_cannot_be_met_are_refused_with_the_numbers(constraints, said):
    with pytest.raises(InputError) as caught:
        Mixer(zoo.stratified(), problem(**constraints))
    assert all(part in str(caught.value) for part in said), caught.value


def test_a_group_without_data_has_no_floor_and_cannot_be_given_one():
    for name in ("floors", "fixed"):
        with pytest.raises(InputError, match=rf"constraints.{name} asks for 0.1 of 'b', which has no data"):
            Limits.of(problem((100, 0, 900), **{name: {"b": 0.1}}))
    bounds = Limits.of(problem((100, 0, 900), floors=0.2)).bounds(0, np.zeros(3))
    assert (bounds.lower[1], bounds.upper[1]) == (0, 0)


def test_the_cap_is_what_is_left_over_the_rest_of_the_run():
    limits = Limits.of(problem(max_repeats={"a": 2}))
    np.testing.assert_allclose(limits.bounds(0, np.zeros(3)).upper, [0.2, 1, 1])
    drawn = np.array([1.0, 0.0, 4.0])  # 5 steps of one sequence of 100 tokens
    np.testing.assert_allclose(limits.bounds(5, drawn).upper, [100 / 500, 1, 1])
    np.testing.assert_allclose(limits.bounds(9, np.array([1.0, 4, 4])).upper, [1, 1, 1])
    np.testing.assert_allclose(limits.bounds(9, np.array([3.0, 3, 3])).upper, [0, 1, 1])


def test_a_probe_may_use_the_budget_that_floors_do_not_need():
    limits = Limits.of(problem(max_repeats={"a": 2, "b": 2}, floors={"a": 0.1}))
    bounds = limits.bounds(0, np.zeros(3), np.full(3, 1 / 3), probe_steps=2)
    # of a's 200 tokens the 8 steps after the probe need 80; b's 400 would fill the probe twice
    np.testing.assert_allclose(bounds.upper, [120 / 200, 1, 1])
    np.testing.assert_allclose(bounds.lower, [0.1, 0, 0])


def test_max_change_is_measured_from_the_last_training_mixture():
    limits = Limits.of(problem(max_change=0.1))
    previous = np.array([0.5, 0.45, 0.05])
    bounds = limits.bounds(3, np.ones(3), previous)
    np.testing.assert_allclose(bounds.lower, [0.4, 0.35, 0])
    np.testing.assert_allclose(bounds.upper, [0.6, 0.55, 0.15])
    np.testing.assert_allclose(limits.bounds(3, np.ones(3), previous, probe_steps=1).upper, [1, 1, 1])


def test_the_stronger_constraint_holds_and_the_weaker_as_far_as_there_is_room():
    limits = Limits.of(problem(max_repeats={"a": 2}, fixed={"a": 0.2}, floors={"b": 0.6}, max_change=0.1))
    start = limits.restrict(np.array([0.1, 0.1, 0.8]), 0, np.zeros(3))
    np.testing.assert_allclose(start, [0.2, 0.6, 0.2])  # fixed and the floor hold
    exhausted = np.array([2.5, 3.0, 2.5])  # 8 steps that took more of a than there was
    after = limits.restrict(np.array([0.1, 0.1, 0.8]), 8, exhausted, previous=start)
    assert after[0] == 0  # cap before fixed and before max_change
    assert after[1] >= 0.6 and abs(after - start)[1:].max() <= 0.2 + 1e-12
    np.testing.assert_allclose(after.sum(), 1)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_some_mixture_is_always_allowed(data):
    m, steps = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 30))
    size = dict(min_size=m, max_size=m)
    tokens = tuple(data.draw(st.lists(st.integers(0, 2000), **size)))
    share = st.floats(0, 1)
    names = tuple("abcdef"[:m])
    fixed = {name: data.draw(share) for name in data.draw(st.sets(st.sampled_from(names)))}
    given_constraints = Constraints(
        data.draw(st.one_of(st.none(), st.floats(0.1, 20), st.just(steps * 50 / max(sum(tokens), 1)))),
        data.draw(st.one_of(st.none(), st.floats(0, 0.3))),
        fixed or None,
        data.draw(st.one_of(st.none(), st.floats(1e-3, 1))),
    )
    try:
        limits = Limits.of(Problem(names, tokens, steps, 50, constraints=given_constraints))
    except InputError:
        return
    step = data.draw(st.integers(0, steps))
    drawn, p, previous = (np.array(data.draw(st.lists(st.floats(0, 100), **size))) for _ in range(3))
    p = (p + 1e-9) / (p + 1e-9).sum()
    previous = (previous + 1e-9) / (previous + 1e-9).sum()
    for probe in (None, data.draw(st.integers(1, max(1, steps - step)))):
        x = limits.restrict(p, step, drawn, previous, probe)
        assert abs(x.sum() - 1) < 1e-9 and (x >= 0).all()
        assert not x[np.array(tokens) == 0].any()


@dataclass(frozen=True)
class Weighted(Static):
    def request(self, problem, state):
        return super().request(problem, state)._replace(loss_weights=np.array([3.0, 1.0, 0.5]))


def test_requests_are_restricted_and_loss_weights_are_not():
    mixer = Mixer(Weighted((0.5, 0.25, 0.25)), problem(max_repeats={"a": 2}))
    np.testing.assert_allclose(mixer.request.proportions, [0.2, 0.4, 0.4])
    assert mixer.request.loss_weights is not None
    assert mixer.request.loss_weights.tolist() == [3.0, 1.0, 0.5]


@dataclass(frozen=True)
class Moody(Static):
    """Asks for one group after another and nothing else: a probe of 2 steps, then a step of training."""

    def request(self, problem: Problem, state) -> Request:
        p = np.eye(3)[state.step // 3 % 3]
        return Request(p, 1) if state.step % 3 == 2 else Request(p, 2, phase="probe")


def test_probes_do_not_count_as_training_mixtures_and_changes_add_up_over_a_resume():
    told = problem((9000, 9000, 9000), steps=24, max_change=0.25)
    mixer, seen = Mixer(Moody((1, 0, 0)), told), []
    while not mixer.done:
        fresh = Mixer(Moody((1, 0, 0)), told)
        fresh.load_state_dict(mixer.state_dict())
        np.testing.assert_array_equal(fresh.request.proportions, mixer.request.proportions)
        seen.append((mixer.request.phase, mixer.request.proportions))
        for _ in range(mixer.request.steps):
            mixer.advance([1, 1, 1])
            if not mixer.segment_over:
                fresh = Mixer(Moody((1, 0, 0)), told)
                fresh.load_state_dict(mixer.state_dict())
                np.testing.assert_array_equal(fresh.request.proportions, mixer.request.proportions)
        mixer.tell({})
    assert all(p.max() == 1 for phase, p in seen if phase == "probe")
    trained = [p for phase, p in seen if phase != "probe"]
    steps = np.abs(np.diff(trained, axis=0)).max(axis=1)
    assert steps.max() == pytest.approx(0.25)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_real_loader_keeps_to_the_budgets(seed):
    rng = np.random.default_rng(seed)
    m, batch, steps = int(rng.integers(2, 7)), int(rng.integers(2, 12)), int(rng.integers(10, 60))
    rows = rng.integers(3, 60, m)
    repeats = steps * batch / rows.sum() * rng.choice([1.0, 1.3, 3.0])
    names = tuple("abcdefg"[:m])
    told = Problem(
        names, tuple(rows.tolist()), steps, batch, constraints=Constraints(max_repeats=float(repeats))
    )
    arrays = {name: np.zeros((int(n), 2), np.uint16) for name, n in zip(names, rows, strict=True)}
    loader, limits, drawn, step = Loader(arrays, batch, seed=0), Limits.of(told), np.zeros(m), 0
    left = False
    while step < steps:
        length = int(min(rng.integers(1, 12), steps - step))
        probe = length if rng.random() < 0.3 else None
        p = limits.restrict(rng.dirichlet(np.full(m, 0.5)) + 0.0, step, drawn, probe_steps=probe)
        left = left or bool((p == 0).any())
        for batch_drawn in loader.segment(p, length):
            drawn = drawn + batch_drawn.drawn
        step += length
    excess = drawn - repeats * rows
    assert excess.max() <= (4 * (m - 1) if left else 2 + np.log(m))


def test_a_mixture_held_from_the_start_ends_exactly_at_its_budget():
    arrays = {name: np.zeros((n, 2), np.uint16) for name, n in (("a", 10), ("b", 500))}
    told = Problem(("a", "b"), (10, 500), 50, 8, constraints=Constraints(max_repeats={"a": 3}))
    loader, mixer = Loader(arrays, 8, seed=0), Mixer(zoo.stratified(), told)
    for batch in loader.segment(mixer.request.proportions, 50):
        mixer.advance(batch.drawn)
    assert mixer.drawn.tolist() == [30, 370]


def test_the_saved_state_of_another_constraint_is_refused():
    mixer = Mixer(zoo.stratified(), problem(floors=0.1))
    other = replace(mixer.problem, constraints=Constraints(floors=0.2))
    with pytest.raises(InputError, match=r"constraints.floors was 0.1, is 0.2"):
        Mixer(zoo.stratified(), other).load_state_dict(mixer.state_dict())
