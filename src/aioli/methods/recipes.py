"""What must have been run before a method's own run, and what follows from it. Pure: no files, no torch.

A recipe is part of a method's entry in the registry. Whoever plans runs asks it which others a method reads
and under which roles; the loop asks it for the parameters that follow from their results. The reference run
of a method that asks for signals of a reference model needs no recipe (`registry.extra_runs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from aioli.errors import InputError
from aioli.methods.similar import replace_similar
from aioli.protocol import Problem

__all__ = [
    "MIXTURE",
    "REFERENCE",
    "ExtraRun",
    "Inner",
    "Nested",
    "Recipe",
    "derive",
    "nested",
    "one_hot",
    "skill_graph",
]

Result = Mapping[str, Any]
"""The content of a finished run's `result.json`."""

REFERENCE = "reference"
"""The role of a run whose trained model its reader uses, frozen."""
MIXTURE = "mixture"
"""The role of a proxy run whose answer its reader trains on, as a static mixture."""


@dataclass(frozen=True)
class ExtraRun:
    """A run that must be finished before the method's own.

    Attributes:
        role: what it is to its reader, unique among the reader's runs.
        method, parameters: what it trains, of the registry.
        validation: whether its held-out losses before the first and after the last step are read; they are
            then recorded as `validation` in its result.
        constrained: whether it keeps to the constraints of its reader.
    """

    role: str
    method: str = "stratified"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    validation: bool = False
    constrained: bool = True


def no_runs(problem: Problem, parameters: Mapping[str, Any]) -> tuple[ExtraRun, ...]:
    return ()


def nothing(problem: Problem, results: Mapping[str, Result]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Recipe:
    """How a method comes by what it cannot measure in its own run.

    Attributes:
        runs: (problem, the parameters given) -> the runs to finish first; none where the parameters make
            them unnecessary.
        provides: names of the parameters that follow from those runs where they are not given.
        derive: (problem, results by role) -> values of those parameters.
        proxy: whether the method is run for its `answer`, a mixture that a static run is then trained on.
    """

    runs: Callable[[Problem, Mapping[str, Any]], tuple[ExtraRun, ...]] = no_runs
    provides: tuple[str, ...] = ()
    derive: Callable[[Problem, Mapping[str, Result]], dict[str, Any]] = nothing
    proxy: bool = False


class Inner(NamedTuple):
    """A method that is a parameter of another, as a config spells it, and its recipe."""

    name: str
    parameters: dict[str, Any]
    recipe: Recipe | None


Inside = Callable[[Mapping[str, Any]], Mapping[str, Inner]]
"""The methods among a method's parameters, by parameter."""


@dataclass(frozen=True)
class Nested(Recipe):
    """The recipe of a method made of others: theirs, each for its own parameters."""

    inside: Inside = field(kw_only=True)


def nested(inside: Inside) -> Nested:
    """The recipe of a method with these methods inside; their runs keep their roles, and are shared."""

    def runs(problem: Problem, parameters: Mapping[str, Any]) -> tuple[ExtraRun, ...]:
        found: dict[str, ExtraRun] = {}
        for name, given, recipe in inside(parameters).values():
            needed = () if recipe is None else recipe.runs(problem, given)
            if needed and replace_similar(given, lambda _: None, lambda _: None) != given:
                raise InputError(
                    f"{name} inside another method takes what it needs from runs, or a mixture from "
                    "`similar`, not both: give it the mixture in numbers, or the parameters that the runs "
                    "would give"
                )
            for run in needed:
                known = found.setdefault(run.role, run)
                found[run.role] = replace(run, validation=run.validation or known.validation)
                if replace(known, validation=True) != replace(run, validation=True):
                    raise InputError(
                        f"{name} and another method beside it need different runs as {run.role!r}: give one "
                        "of the two the parameters that its runs would give"
                    )
        return tuple(found.values())

    return Nested(runs, inside=inside)


def derive(
    recipe: Recipe | None, problem: Problem, parameters: Mapping[str, Any], results: Mapping[str, Result]
) -> dict[str, Any]:
    """The parameters that follow from the results of a run's inputs; those given explicitly stay as they are.

    A method inside another is given anew, whole, where something follows for it.

    Args:
        results: `result.json` of every input, by role.

    Raises:
        InputError: a result of other groups or targets, or without what is read from it.
    """
    for role, result in results.items():
        _check_names(problem, role, result)
    if isinstance(recipe, Nested):
        return _derive_inside(recipe, problem, parameters, results)
    found: dict[str, Any] = {}
    if MIXTURE in results:
        found["proportions"] = _answer(problem, results[MIXTURE])
    elif recipe is not None and results:
        found = recipe.derive(problem, results)
    return {key: value for key, value in found.items() if key not in parameters}


def _derive_inside(
    recipe: Nested, problem: Problem, parameters: Mapping[str, Any], results: Mapping[str, Result]
) -> dict[str, Any]:
    """The methods inside that lack something, with what follows for them."""
    found: dict[str, Any] = {}
    for key, (name, given, own) in recipe.inside(parameters).items():
        if more := derive(own, problem, given, results):
            found[key] = {name: given | more}
    return found


def _check_names(problem: Problem, role: str, result: Result) -> None:
    for key, mine in (("groups", problem.groups), ("targets", problem.targets)):
        if tuple(result[key]) != mine:
            raise InputError(
                f"the {role} run {result['id']} has the {key} {', '.join(result[key])}; this run has "
                f"{', '.join(mine)}"
            )


def _answer(problem: Problem, result: Result) -> dict[str, float]:
    answer = (result.get("mixture") or {}).get("answer")
    if answer is None:
        raise InputError(f"run {result['id']} ({result['method']}) has no answer to use as a mixture")
    return dict(zip(problem.groups, answer, strict=True))


def _validation(result: Result) -> dict[str, list[float]]:
    found = result.get("validation")
    if found is None:
        raise InputError(f"run {result['id']} ({result['method']}) did not record its validation losses")
    return found


PROXY = Recipe(proxy=True)
"""DoReMi, DoGE: a proxy learns the mixture. That DoReMi reads a reference follows from its signals."""


def target_runs(problem: Problem, parameters: Mapping[str, Any]) -> tuple[ExtraRun, ...]:
    return () if "target_losses" in parameters else (ExtraRun(REFERENCE, validation=True),)


def target_losses(problem: Problem, results: Mapping[str, Result]) -> dict[str, Any]:
    losses = _validation(results[REFERENCE]).get("end_pilot")  # on the text that the method reads
    if losses is None:
        told = (
            f"run {results[REFERENCE]['id']} was measured by an earlier version, on more text than its reader"
        )
        raise InputError(f"{told} reads; delete its directory, and it is trained again")
    return {"target_losses": dict(zip(problem.targets, losses, strict=True))}


TARGETS = Recipe(target_runs, ("target_losses",), target_losses)
"""Dynamic batch loading: each group's target is the validation loss that a reference run ended with."""


def one_hot(group: str, groups: Sequence[str]) -> dict[str, Any]:
    """The parameters of the static run that trains on `group` alone."""
    return {"proportions": {name: float(name == group) for name in groups}}


def graph_role(group: str) -> str:
    return f"only {group}"


def graph_runs(problem: Problem, parameters: Mapping[str, Any]) -> tuple[ExtraRun, ...]:
    if "graph" in parameters:
        return ()
    names = problem.groups
    return tuple(
        ExtraRun(graph_role(group), "static", one_hot(group, names), validation=True, constrained=False)
        for group in names
    )


def skill_graph(runs: Mapping[str, Result]) -> list[list[float]]:
    """[n, m] relative falls (start - end) / start of every target's loss in the one-hot run of each group.

    Args:
        runs: for every group, in order, the result of the run that was trained on it alone.

    Raises:
        InputError: a run that did not record its validation losses.

    References:
        arXiv 2307.14430. Full-length runs, as published; nothing is clipped.
    """
    ends = [_validation(result) for result in runs.values()]
    columns = [[(start - end) / start for start, end in zip(v["start"], v["end"], strict=True)] for v in ends]
    return [list(row) for row in zip(*columns, strict=True)]


def graph(problem: Problem, results: Mapping[str, Result]) -> dict[str, Any]:
    return {"graph": skill_graph({group: results[graph_role(group)] for group in problem.groups})}


GRAPH = Recipe(graph_runs, ("graph",), graph)
"""Skill-It: one run on each group alone."""
