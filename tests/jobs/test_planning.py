"""Which runs a config asks for: shared ones once, in an order that keeps everybody busy."""

from __future__ import annotations

from typing import Any

import pytest

from aioli.config import Config, load
from aioli.errors import InputError
from aioli.jobs.planning import RunPlan, plan_runs
from aioli.sweep.spec import RunSpec

GROUPS = ("law", "code", "prose")


def config(*methods: Any, **settings: Any) -> Config:
    groups = {name: {"paths": [name]} for name in GROUPS}
    return load({"data": {"groups": groups}, "methods": list(methods), "seeds": [0, 1]} | settings)


def plan(*methods: Any, **settings: Any) -> RunPlan:
    return plan_runs(config(*methods, **settings), "f")


def told(specs: Any) -> list[tuple[str, int]]:
    return [(spec.label, spec.seed) for spec in specs]


def by_label(found: RunPlan, seed: int = 0) -> dict[str, RunSpec]:
    return {spec.label: spec for spec in (*found.compared, *found.extra) if spec.seed == seed}


def test_methods_that_need_nothing_are_planned_as_ever() -> None:
    found = plan("stratified", "aioli")
    assert found.extra == ()
    assert told(found.ordered()) == [("stratified", 0), ("aioli", 0), ("stratified", 1), ("aioli", 1)]
    assert all(not spec.inputs and not spec.validation for spec in found.compared)


def test_doremi_is_a_reference_a_proxy_and_a_static_run() -> None:
    runs = by_label(plan("doremi"))
    assert set(runs) == {"doremi reference", "doremi proxy", "doremi"}
    reference, proxy, final = runs["doremi reference"], runs["doremi proxy"], runs["doremi"]
    assert (reference.method, proxy.method, final.method) == ("stratified", "doremi", "static")
    assert proxy.inputs == {"reference": reference.id}
    assert final.inputs == {"mixture": proxy.id} and final.parameters == {}


def test_a_compared_run_is_the_reference_of_all_who_can_share_it() -> None:
    found = plan("doremi", "sheared", "stratified", {"doremi": {}, "use": "model"})
    runs = by_label(found)
    assert told(found.extra) == []  # the proxy is itself compared, under its own label
    assert runs["doremi(use=model)"].inputs == {"reference": runs["stratified"].id}
    assert runs["sheared"].inputs == {"reference": runs["stratified"].id}
    assert runs["doremi"].inputs == {"mixture": runs["doremi(use=model)"].id}
    assert runs["stratified"].validation  # for sheared, and the id does not change with it
    assert runs["stratified"].id == by_label(plan("stratified"))["stratified"].id


def test_every_seed_has_its_own_extra_runs() -> None:
    found = plan("skill_it")
    assert len(found.extra) == 2 * len(GROUPS)
    for spec in found.compared:
        mine = {each.id for each in found.extra if each.seed == spec.seed}
        assert set(spec.inputs.values()) == mine
    only_law = by_label(found)["skill_it only law"]
    assert only_law.parameters == {"proportions": {"law": 1.0, "code": 0.0, "prose": 0.0}}
    assert only_law.validation


def test_longest_chains_first_seed_by_seed() -> None:
    found = plan("stratified", "doge", "doremi", "proportional")
    order = told(found.ordered())
    assert [label for label, seed in order if seed == 0] == [
        "stratified", "doge proxy", "doremi proxy", "doge", "doremi", "proportional",
    ]  # fmt: skip
    assert [seed for _, seed in order] == [0] * 6 + [1] * 6


def test_shorter_extra_runs() -> None:
    runs = by_label(plan({"skill_it": {}, "run_steps": 0.25}, {"doremi": {}, "run_steps": 400}, "stratified"))
    assert runs["skill_it(run_steps=0.25) only law"].train.steps == 250
    assert runs["skill_it(run_steps=0.25) only law"].train.warmup == 25
    assert runs["skill_it(run_steps=0.25)"].train.steps == 1000
    assert runs["doremi(run_steps=400) proxy"].train.steps == 400
    assert runs["doremi(run_steps=400) reference"].train.steps == 400


def test_a_reference_by_method() -> None:
    runs = by_label(plan({"doremi": {}, "reference": {"temperature": {"tau": 3.0}}}))
    reference = runs['doremi(reference={"temperature": {"tau": 3.0}}) reference']
    assert (reference.method, reference.parameters) == ("temperature", {"tau": 3.0})


def test_given_parameters_make_extra_runs_unnecessary() -> None:
    targets = {"target_losses": dict.fromkeys(GROUPS, 2.0)}
    graph = {"graph": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    found = plan({"sheared": targets}, {"skill_it": graph})
    assert found.extra == () and all(not spec.inputs for spec in found.compared)


def test_any_method_that_reads_a_reference_model_gets_one() -> None:
    parts = {
        "law": "linear",
        "estimator": "excess_over_reference",
        "solver": {"exponentiated_gradient": {"eta": 1.0}},
        "round_steps": 50,
    }
    found = plan({"lmo": parts, "label": "mine"})
    runs = by_label(found)
    assert runs["mine"].inputs == {"reference": runs["mine reference"].id}


def test_one_hot_runs_are_free_of_constraints_that_the_others_keep() -> None:
    runs = by_label(plan("skill_it", "doremi", constraints={"floors": 0.1}))
    assert runs["skill_it only law"].constraints == {}
    assert all(
        runs[label].constraints for label in ("skill_it", "doremi proxy", "doremi reference", "doremi")
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"aioli": {}, "use": "mixture"}, "use: mixture is for methods that conclude with a mixture"),
        ({"stratified": {}, "run_steps": 5}, "run_steps is for methods that need other runs"),
        ({"skill_it": {}, "reference": "stratified"}, "reference is for methods that read a reference run"),
        (
            {"doremi": {}, "reference": "doge"},
            "reference must be a method that needs no other runs, got doge",
        ),
        ({"doremi": {}, "reference": {"temperature": {"tau": -1}}}, "temperature must be positive, got -1"),
        ({"doremi": {}, "run_steps": 1.5}, "must be a whole number of steps, or a share between 0 and 1"),
        ({"doremi": {}, "run_steps": 0}, "must be a whole number of steps, or a share between 0 and 1"),
        ({"doremi": {}, "use": "both"}, "expected 'mixture' or 'model' or nothing, got 'both'"),
        ({"doremi": {}, "usee": "model"}, "expected a name, {name: {parameter: value}}"),
        ("static", "needs proportions"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(entry: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        config(entry)
    assert said in str(caught.value)


def test_entries_are_written_as_they_are_read() -> None:
    entries = [
        "doremi",
        {"doremi": {}, "use": "model"},
        {"skill_it": {"eta": 0.5}, "run_steps": 0.5, "label": "s"},
    ]
    found = config(*entries)
    assert found.to_dict()["methods"] == [
        "doremi", {"doremi": {}, "use": "model"}, {"skill_it": {"eta": 0.5}, "label": "s", "run_steps": 0.5},
    ]  # fmt: skip
    assert load(found.to_dict(absolute=True)).methods == found.methods


def test_the_published_use_said_aloud_is_the_same_method() -> None:
    with pytest.raises(InputError, match="are the same"):
        config("doremi", {"doremi": {}, "use": "mixture"})


PINNED = {
    "stratified": "b3c0e0ded972cfbd",
    "aioli": "6968f3b7d7f61aed",
    "doremi": "86ba67532ad43a5a",
    "doremi proxy": "00b56134e599586b",
    "sheared": "adfce805a38c79e1",
    "skill_it": "45d52fbf0cf357c5",
    "skill_it only law": "753441dd25e54f1d",
    "skill_it only code": "c30d3646eeb596fc",
    "skill_it only prose": "0b818b75ffd9ec1e",
    "guarded(method=aioli)": "d8b765279afebf7d",
    "graph given": "0519faf07d702926",
    "averaged(method=doremi)": "9e935a177a325a77",
    "targets given": "4332927c87882b8b",
    "by guarded": "4342005706e084e1",
    "by guarded proxy": "410576e70d2bb7d8",
}
"""Of runs planned before recipes were looked for inside wrappers: stored studies are found by them."""


def test_the_ids_of_stored_runs_stay() -> None:
    targets = {"target_losses": dict.fromkeys(GROUPS, 2.0)}
    graph = {"graph": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    found = plan(
        *("stratified", "aioli", "doremi", "sheared", "skill_it", {"guarded": {"method": "aioli"}}),
        {"guarded": {"method": {"skill_it": graph}}, "label": "graph given"},
        {"averaged": {"method": "doremi"}},
        {
            "after": {"first": "proportional", "steps": 40, "then": {"sheared": targets}},
            "label": "targets given",
        },
        {"doremi": {}, "reference": {"guarded": {"method": "aioli"}}, "label": "by guarded"},
    )
    assert {label: spec.id for label, spec in by_label(found).items()} == PINNED


@pytest.mark.parametrize(
    "wrapper",
    [
        {"guarded": {"method": "skill_it"}},
        {"guarded": {"method": {"averaged": {"method": {"skill_it": {"eta": 0.5}}}}}},
        {"after": {"first": "proportional", "steps": 40, "then": "skill_it"}},
        {"after": {"first": "skill_it", "steps": 40, "then": "skill_it"}},
    ],
)
def test_a_method_inside_another_reads_the_runs_of_the_bare_one(wrapper: Any) -> None:
    runs = by_label(plan(wrapper | {"label": "wrapped"}, constraints={"floors": 0.1}))
    bare = by_label(plan("skill_it", constraints={"floors": 0.1}))["skill_it"]
    assert runs["wrapped"].inputs == bare.inputs
    assert {label for label in runs if label != "wrapped"} == {f"wrapped only {name}" for name in GROUPS}
    assert all(runs[f"wrapped only {name}"].validation for name in GROUPS)
    assert runs["wrapped only law"].constraints == {}


def test_methods_inside_one_share_a_reference_and_its_wishes_hold() -> None:
    both = {"after": {"first": "doremi", "steps": 40, "then": "sheared"}, "label": "both"}
    found = plan(both | {"reference": "proportional", "run_steps": 0.25})
    runs = by_label(found)
    assert runs["both"].method == "after" and runs["both"].inputs == {"reference": runs["both reference"].id}
    reference = runs["both reference"]
    assert (reference.method, reference.train.steps, reference.validation) == ("proportional", 250, True)


def test_runs_and_similar_inside_one_parameter_are_refused() -> None:
    inner = {"skill_it": {"prior": "similar"}}
    with pytest.raises(InputError, match="from runs, or a mixture from `similar`, not both"):
        config({"guarded": {"method": inner}})
    assert len(plan({"guarded": {"method": "skill_it", "default": "similar"}}).extra) == 2 * len(GROUPS)
