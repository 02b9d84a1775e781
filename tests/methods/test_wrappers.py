"""Methods made of methods and of parts, from Python and from plain values as a config gives them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.methods import registry
from aioli.protocol import answer
from aioli.state import encode
from aioli.testing.conformance import CHECKS
from aioli.testing.worlds import DecayWorld, run


def problem(steps=100, **changes) -> Problem:
    return Problem(("a", "b", "c"), (10**6, 2 * 10**6, 10**6), steps, 64, **changes)


def world(run_problem: Problem) -> DecayWorld:
    return DecayWorld(run_problem, 12, np.ones(3), np.array([3.0, 1.0, 1.0]), np.full(3, 2.0))


def requests(method, run_problem: Problem) -> list:
    mixer, place, seen = Mixer(method, run_problem), world(run_problem), []
    while not mixer.done:
        asked = mixer.request
        seen.append((mixer.step, asked.phase, asked.steps, asked.proportions.tolist()))
        for _ in range(asked.steps):
            mixer.advance(place.draw(asked.proportions, asked.loss_weights))
        mixer.tell(place.measure(asked.observe, mixer.segment_drawn, asked.proportions), place.learning_rate)
    return seen


def test_after_trains_one_method_then_the_other_on_a_run_of_its_own():
    both = requests(zoo.after(zoo.proportional(), 30, zoo.aioli(round_steps=35)), problem())
    assert both[0][:3] == (0, "train", 30)
    np.testing.assert_allclose(both[0][3], [0.25, 0.5, 0.25])
    alone = requests(zoo.aioli(round_steps=35), problem(70))
    assert [(phase, steps) for _, phase, steps, _ in both[1:]] == [(phase, n) for _, phase, n, _ in alone]
    assert [step for step, *_ in both[1:]] == [step + 30 for step, *_ in alone]


def test_after_leaves_the_rest_of_the_warm_up_to_the_second_method():
    phases = requests(zoo.after(zoo.stratified(), 10, zoo.aioli()), problem(warmup_steps=25))
    assert phases[1][:3] == (10, "warmup", 15)
    phases = requests(zoo.after(zoo.stratified(), 40, zoo.aioli()), problem(warmup_steps=25))
    assert phases[1][:2] == (40, "measure")


def test_averaged_answers_with_the_mean_of_the_training_mixtures():
    method = zoo.averaged(zoo.after(zoo.static((0.5, 0.25, 0.25)), 25, zoo.static((0.1, 0.2, 0.7))))
    mixer = run(Mixer(method, problem()), world(problem()))
    expected = 0.25 * np.array([0.5, 0.25, 0.25]) + 0.75 * np.array([0.1, 0.2, 0.7])
    np.testing.assert_allclose(answer(method, mixer.problem, mixer.state), expected)


def test_averaged_leaves_probes_out():
    mixer = run(Mixer(zoo.averaged(zoo.aioli(eta=0.0, focus=0.9)), problem()), world(problem()))
    np.testing.assert_allclose(answer(mixer.method, mixer.problem, mixer.state), np.full(3, 1 / 3))


def test_wrapped_methods_answer_through_wrappers():
    assert answer(zoo.stratified(), problem(), None) is None
    method = zoo.after(zoo.stratified(), 5, zoo.doremi())
    mixer = run(Mixer(method, problem()), world(problem()))
    given = answer(method, mixer.problem, mixer.state)
    assert given is not None and given[0] < given[1]  # the first is soon below its reference
    assert answer(zoo.after(zoo.doremi(), 50, zoo.stratified()), mixer.problem, mixer.state) is None


def test_reweighted_draws_evenly_and_weighs_the_loss():
    place = world(problem(objective="worst_target"))
    mixer = run(Mixer(zoo.reweighted(zoo.matched()), place.problem), place)
    assert np.ptp(mixer.drawn) <= 1
    assert place.trained[0] > 2 * place.trained[1]  # the worst group had most of the loss


def test_reweighted_tells_the_method_what_the_loss_was_made_of():
    """Probes that are weighed instead of drawn measure the same matrix."""
    found = []
    for method in (zoo.aioli(), zoo.reweighted(zoo.aioli())):
        place = world(problem(2000))
        found.append(run(Mixer(method, place.problem), place, stop=lambda m: m.step == 60).state.matrix)
    np.testing.assert_allclose(found[0], found[1], atol=2e-3)


YAML = [
    {"lmo": {"estimator": "alignment", "solver": {"exponentiated_gradient": {"eta": 0.2}}}},
    {
        "lmo": {
            "estimator": {"directional": {"measure_steps": 2}},
            "solver": {"trust_region": {"radius": 0.1}},
        }
    },
    {"lmo": {"estimator": "probes", "solver": {"exponentiated_gradient": {"eta": 1.0}}, "round_steps": 30}},
    {
        "averaged": {
            "method": {
                "lmo": {
                    "estimator": "excess_over_reference",
                    "solver": {"exponentiated_gradient": {"eta": 1.0, "normalise": False, "smoothing": 1e-3}},
                    "round_steps": 1,
                }
            }
        }
    },
    {"after": {"first": "stratified", "steps": 20, "then": {"averaged": {"method": "doge"}}}},
    {
        "after": {
            "first": {"after": {"first": "ado", "steps": 160, "then": "odm"}},
            "steps": 180,
            "then": "neyman",
        }
    },
    {
        "reweighted": {
            "method": {"directional": {"measure_steps": 1}},
            "sampling": {"a": 0.2, "b": 0.3, "c": 0.5},
        }
    },
]


@pytest.mark.parametrize("value", YAML, ids=lambda v: json.dumps(v)[:60])
def test_any_parts_and_methods_combine_from_plain_values(value):
    place = world(problem(200))
    method = registry.build_value(value)
    mixer = run(Mixer(method, place.problem), place)
    assert mixer.step == 200
    np.testing.assert_allclose(mixer.state.step, 200)


@pytest.mark.parametrize("check", ["purity", "replay", "permutation", "group_without_data", "one_group"])
@pytest.mark.parametrize("value", [YAML[1], YAML[4]], ids=["trust region", "after"])
def test_combinations_satisfy_the_contract(value, check):
    CHECKS[check](lambda run_problem: registry.build_value(value))


def test_a_resumed_wrapper_continues_exactly():
    method = zoo.after(zoo.odm(), 40, zoo.averaged(zoo.doremi()))
    place = world(problem())
    first = run(Mixer(method, place.problem), place, stop=lambda m: m.step == 61)
    second = Mixer(method, place.problem)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    run(second, place)
    whole = run(Mixer(method, problem()), world(problem()))
    assert encode(second.state) == encode(whole.state)


def test_needs_are_those_of_both():
    method = zoo.after(zoo.odm(), 10, zoo.reweighted(zoo.directional()))
    assert method.needs == {Signal.TRAIN_LOSS, Signal.DIRECTIONAL}


def lmo(estimator, run_problem: Problem, round_steps: int | None = None) -> Mixer:
    solver = {"exponentiated_gradient": {"eta": 1.0}}
    method = registry.build("lmo", {"estimator": estimator, "solver": solver, "round_steps": round_steps})
    return Mixer(method, run_problem)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: zoo.after(zoo.stratified(), 0, zoo.stratified()), "at least 1"),
        (lambda: Mixer(zoo.after(zoo.stratified(), 100, zoo.stratified()), problem()), "give it fewer"),
        (lambda: Mixer(zoo.reweighted(zoo.matched(), sampling={"a": 1.0}), problem()), "missing: b, c"),
        (lambda: registry.build("lmo", {"estimator": "alinment", "solver": "x"}), "did you mean 'alignment'"),
        (lambda: registry.build("averaged", {"method": "doremy"}), "did you mean 'doremi'"),
        (lambda: lmo("directional", problem(objective="worst_target")), "Directional does not read"),
        (lambda: lmo("excess_over_reference", problem(targets=("x",))), "says nothing about other targets"),
        (lambda: lmo({"alignment": {"measure_steps": 9}}, problem(), 5), "over 9 steps, a round has 5"),
        (lambda: lmo({"alignment": {"measure_steps": -1}}, problem()), "at least 0"),
    ],
)
def test_mistakes_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_a_run_s_record_has_plain_values_and_none_that_came_later():
    """Runs of the first release keep their ids: what was added since is recorded when it is set."""
    assert registry.complete("odm", {}) == {"memory": 0.9, "warmup_steps": 0}
    assert registry.complete("odm", {"prior": [0.5, 0.5]})["prior"] == [0.5, 0.5]
    parts = {"estimator": "alignment", "solver": {"exponentiated_gradient": {"eta": 0.2}}}
    recorded = json.loads(json.dumps(registry.complete("lmo", parts)))
    assert "law" not in recorded
    assert registry.build("lmo", recorded) == registry.build("lmo", parts | {"law": "linear"})
