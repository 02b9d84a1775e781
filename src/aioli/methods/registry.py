"""Methods by name: the zoo, and those that installed packages add through entry points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint
from typing import Any, get_args, get_origin, get_type_hints

from aioli.errors import InputError, nearest
from aioli.methods.construct import construct, kind_of, name_and_parameters
from aioli.methods.parts import build_part
from aioli.methods.recipes import REFERENCE, ExtraRun, Inner, Recipe, nested
from aioli.methods.similar import NAME as SIMILAR
from aioli.methods.similar import replace_similar
from aioli.methods.zoo import METHODS, Entry
from aioli.plugins import find_plugins, load_plugin
from aioli.protocol import Citation, Estimator, Law, Method, Problem, Signal, Solver

__all__ = [
    "MethodInfo",
    "build",
    "build_of",
    "build_value",
    "complete",
    "describe",
    "example",
    "extra_runs",
    "names",
    "parameters_of",
    "recipe_of",
    "stand_in",
]

OF_REFERENCE = frozenset({Signal.EXCESS_LOSS, Signal.REFERENCE_LOSS})
"""Signals that a frozen reference model is read for."""


@dataclass(frozen=True)
class MethodInfo:
    """What `aioli methods` prints; parameters are (name, type, default), default None when required."""

    name: str
    summary: str
    parameters: tuple[tuple[str, str, str | None], ...]
    citation: Citation
    law: str
    estimator: str
    solver: str
    signals: tuple[str, ...]
    extra_runs: str


@cache
def _points() -> dict[str, EntryPoint]:
    return find_plugins("method", METHODS)


@cache
def _loaded(name: str) -> Entry:
    point = _points()[name]
    loaded = load_plugin("method", point)
    if isinstance(loaded, Entry):
        return loaded
    return Entry(loaded, (inspect.getdoc(loaded) or "").split("\n")[0], Citation(point.value))


def names() -> list[str]:
    """All method names, ours first; those of installed packages may still fail to load."""
    return [*METHODS, *_points()]


def _entry(name: str) -> Entry:
    if name in METHODS:
        return METHODS[name]
    if name in _points():
        return _loaded(name)
    raise InputError(f"unknown method {name!r}; {nearest(name, names())}")


def build(name: str, parameters: Mapping[str, Any] | None = None) -> Method[Any]:
    """Construct a method by name from plain values (as read from YAML or JSON).

    Where a parameter is itself a law, an estimator, a solver or a method, its value is a name or
    `{name: {parameter: value}}`.

    Raises:
        InputError: an unknown method or parameter (naming the nearest), a missing or a wrong value.
    """
    return construct(f"method {name!r}", _entry(name).build, parameters or {}, RESOLVERS)


def build_of(name: str) -> Callable[..., Method[Any]]:
    """The constructor behind a name.

    Raises:
        InputError: an unknown method.
    """
    return _entry(name).build


def build_value(value: Any) -> Method[Any]:
    """A method from its name or `{name: {parameter: value}}`; one that is built already passes through.

    Raises:
        InputError: as `build`.
    """
    if not isinstance(value, str | Mapping):
        return value
    return build(*name_and_parameters("a method", value))


RESOLVERS = {
    Law: partial(build_part, "law"),
    Estimator: partial(build_part, "estimator"),
    Solver: partial(build_part, "solver"),
    Method: build_value,
}


def complete(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the defaults of those not given, so that a run's record says them all.

    Left out at their defaults are those that a method's entry says are `added`.
    """
    entry = _entry(name)
    known = inspect.signature(entry.build).parameters
    defaults = {key: p.default for key, p in known.items() if p.default is not p.empty}
    later = {key for key in entry.added if parameters.get(key, defaults[key]) == defaults[key]}
    found = {key: value for key, value in (defaults | parameters).items() if key not in later}
    return replace_similar(found, _complete_similar, _complete_similar)


def _complete_similar(given: dict[str, Any]) -> dict[str, Any]:
    return {SIMILAR: complete(SIMILAR, given)}


def example(name: str, problem: Problem) -> Method[Any]:
    """The method with its defaults, or with parameters that fit the problem where it has none."""
    return build(name, _entry(name).example(problem))


def recipe_of(name: str) -> Recipe | None:
    """Which runs the method needs before its own; None when it needs none.

    One that takes methods as parameters has a recipe that is theirs (`Nested`).

    Raises:
        InputError: an unknown method.
    """
    entry = _entry(name)
    if entry.recipe is None and _method_parameters(entry.build):
        return nested(partial(_inside, name))
    return entry.recipe


def _inside(name: str, parameters: Mapping[str, Any]) -> dict[str, Inner]:
    """The methods among a method's parameters that are given by name, by parameter."""
    found: dict[str, Inner] = {}
    for key in _method_parameters(_entry(name).build):
        if isinstance(value := parameters.get(key), str | Mapping):
            inner, given = name_and_parameters("a method", value)
            found[key] = Inner(inner, given, recipe_of(inner))
    return found


def _method_parameters(build: Callable[..., Any]) -> list[str]:
    """Names of a constructor's parameters that are methods."""
    if isinstance(build, partial):
        return _method_parameters(build.func)
    hints = get_type_hints(build.__init__ if isinstance(build, type) else build)
    hints.pop("return", None)
    return [
        key
        for key, hint in hints.items()
        if any((get_origin(option) or option) is Method for option in (hint, *get_args(hint)))
    ]


def extra_runs(name: str, parameters: Mapping[str, Any], problem: Problem) -> tuple[ExtraRun, ...]:
    """The runs to finish before the method's own: those of its recipe, and a reference where it reads one.

    Of a method made of others, those of their recipes.

    Raises:
        InputError: as `build`.
    """
    recipe = recipe_of(name)
    runs = () if recipe is None else recipe.runs(problem, parameters)
    reads = not stand_in(name, parameters, problem).needs.isdisjoint(OF_REFERENCE)
    known = any(run.role == REFERENCE for run in runs)
    return (ExtraRun(REFERENCE), *runs) if reads and not known else runs


def stand_in(name: str, parameters: Mapping[str, Any], problem: Problem) -> Method[Any]:
    """The method before its extra runs and the texts are there: examples in place of what they will give.

    Raises:
        InputError: as `build`.
    """
    given = _with_examples(name, parameters, problem)
    if name == SIMILAR:
        given = _example_similar(problem, given)
    known = replace_similar(
        given,
        lambda inner: _mixture(_example_similar(problem, inner), problem),
        lambda inner: {SIMILAR: _example_similar(problem, inner)},
    )
    return build(name, known)


def _with_examples(name: str, parameters: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """The parameters, with examples of those that extra runs will give, also in methods inside."""
    entry = _entry(name)
    provided = entry.recipe.provides if entry.recipe else ()
    examples = entry.example(problem) if provided else {}
    given = {key: examples[key] for key in provided} | dict(parameters)
    for key, inner in _inside(name, parameters).items():
        known = _with_examples(inner.name, inner.parameters, problem)
        if known != inner.parameters:
            given[key] = {inner.name: known}
    return given


def _example_similar(problem: Problem, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters of `similar` that need no texts: those given, and examples of what is computed."""
    if given.get("divergences") is not None:
        return given
    examples = _entry(SIMILAR).example(problem)
    return given | {key: value for key, value in examples.items() if given.get(key) is None}


def _mixture(given: dict[str, Any], problem: Problem) -> list[float]:
    """The mixture of a `similar` whose divergences are known."""
    method = build(SIMILAR, given)
    return method.request(problem, method.init(problem)).proportions.tolist()


def describe(name: str) -> MethodInfo:
    """The row of one method in the table of methods."""
    entry = _entry(name)
    problem = Problem(("a", "b"), (1, 1), 1, 1)
    signals = tuple(sorted(str(signal) for signal in example(name, problem).needs))
    return MethodInfo(
        name,
        entry.summary,
        parameters_of(entry.build),
        entry.citation,
        entry.law,
        entry.estimator,
        entry.solver,
        signals,
        entry.extra_runs,
    )


def parameters_of(build: Callable[..., Any]) -> tuple[tuple[str, str, str | None], ...]:
    """(name, type, default) of a constructor's parameters, default None when required."""
    return tuple(
        (key, kind_of(p), None if p.default is p.empty else repr(p.default))
        for key, p in inspect.signature(build).parameters.items()
    )
