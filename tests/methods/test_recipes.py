"""What follows from the results of extra runs, worked by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from aioli.errors import InputError
from aioli.methods import registry
from aioli.methods.recipes import ExtraRun, Inner, Nested, Recipe, derive, nested, skill_graph
from aioli.protocol import Problem

PROBLEM = Problem(("law", "code"), (1000, 1000), 10, 100, targets=("law", "code"))


def result(**changes: Any) -> dict[str, Any]:
    return {
        "id": "0123456789abcdef",
        "method": "stratified",
        "groups": ["law", "code"],
        "targets": ["law", "code"],
        "mixture": {"final": [0.5, 0.5], "mean": [0.5, 0.5], "answer": None},
        "validation": {
            "start": [4.0, 5.0],
            "end": [3.1, 4.6],
            "end_pilot": [3.0, 4.5],
            "tokens": 8,
            "flops": 1.0,
        },
    } | changes


def derived(method: str, parameters: dict[str, Any], **results: Any) -> dict[str, Any]:
    return derive(registry.recipe_of(method), PROBLEM, parameters, results)


def test_the_graph_holds_relative_falls_targets_down_groups_across() -> None:
    law = result(validation={"start": [4.0, 5.0], "end": [2.0, 4.0]})
    code = result(validation={"start": [4.0, 5.0], "end": [4.2, 2.5]})
    expected = [[0.5, -0.05], [0.2, 0.5]]  # nothing is clipped
    assert skill_graph({"law": law, "code": code}) == [pytest.approx(row) for row in expected]
    given = {"only code": code, "only law": law}  # the order of the inputs does not matter
    graph = derive(registry.recipe_of("skill_it"), PROBLEM, {"eta": 0.2}, given)["graph"]
    assert graph == [pytest.approx(row) for row in expected]


def test_the_targets_of_dynamic_loading_are_where_the_reference_ended() -> None:
    assert derived("sheared", {}, reference=result()) == {"target_losses": {"law": 3.0, "code": 4.5}}
    assert derived("sheared", {"target_losses": {"law": 1.0, "code": 1.0}}, reference=result()) == {}


def test_a_proxys_answer_becomes_proportions() -> None:
    proxy = result(method="doremi", mixture={"final": [0.5, 0.5], "mean": [0.5, 0.5], "answer": [0.3, 0.7]})
    assert derived("static", {}, mixture=proxy) == {"proportions": {"law": 0.3, "code": 0.7}}
    with pytest.raises(InputError, match=r"run 0123456789abcdef \(stratified\) has no answer"):
        derived("static", {}, mixture=result())


def test_results_of_other_groups_or_without_what_is_read_are_refused() -> None:
    with pytest.raises(InputError, match="has the groups law, news; this run has law, code"):
        derived("doremi", {}, reference=result(groups=["law", "news"]))
    with pytest.raises(InputError, match="did not record its validation losses"):
        derived("sheared", {}, reference=result(validation=None))


def test_every_recipe_provides_what_its_example_shows() -> None:
    for name in registry.names():
        recipe = registry.recipe_of(name)
        if recipe is None or isinstance(recipe, Nested):
            continue
        runs = registry.extra_runs(name, {}, PROBLEM)
        assert len({run.role for run in runs}) == len(runs)
        found = derive(recipe, PROBLEM, {}, {run.role: result() for run in runs})
        assert set(found) == set(recipe.provides)
        registry.build(name, found).init(PROBLEM)


def test_a_method_inside_others_is_given_anew_with_what_follows_for_it() -> None:
    law = result(validation={"start": [4.0, 5.0], "end": [2.0, 4.0]})
    code = result(validation={"start": [4.0, 5.0], "end": [4.2, 2.5]})
    results = {"only law": law, "only code": code, "reference": result()}
    skill_it = {"skill_it": {"eta": 0.5}}
    inside = {"first": {"averaged": {"method": skill_it}}, "steps": 4, "then": "sheared"}
    found = derive(registry.recipe_of("after"), PROBLEM, inside, results)
    method = found["first"]["averaged"]["method"]["skill_it"]
    assert method["eta"] == 0.5 and method["graph"] == [pytest.approx(r) for r in [[0.5, -0.05], [0.2, 0.5]]]
    assert found["then"] == {"sheared": {"target_losses": {"law": 3.0, "code": 4.5}}}
    assert set(found) == {"first", "then"} and skill_it == {"skill_it": {"eta": 0.5}}
    registry.build("after", inside | found).init(PROBLEM)
    assert derived("guarded", {"method": "doremi"}, reference=result()) == {}
    with pytest.raises(InputError, match="has the groups law, news"):
        derived("guarded", {"method": "doremi"}, reference=result(groups=["law", "news"]))


def test_methods_side_by_side_that_need_different_runs_in_one_role() -> None:
    def other(eta: float) -> Recipe:
        return Recipe(lambda problem, given: (ExtraRun("one", "temperature", {"tau": eta}),))

    recipe = nested(lambda given: {key: Inner(key, {}, other(tau)) for key, tau in given.items()})
    assert len(recipe.runs(PROBLEM, {"a": 1.0, "b": 1.0})) == 1
    with pytest.raises(InputError, match="b and another method beside it need different runs as 'one'"):
        recipe.runs(PROBLEM, {"a": 1.0, "b": 2.0})
