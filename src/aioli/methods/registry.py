"""Methods by name: the zoo, and those that installed packages add through entry points."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from aioli.errors import InputError, nearest
from aioli.methods.construct import construct, kind_of, name_and_parameters
from aioli.methods.parts import build_part
from aioli.methods.zoo import METHODS, Entry
from aioli.protocol import Citation, Estimator, Law, Method, Problem, Solver

__all__ = ["MethodInfo", "build", "build_value", "complete", "describe", "example", "names"]

ENTRY_POINTS = "aioli.methods"


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


@cache
def _points() -> dict[str, EntryPoint]:
    """Entry points of installed packages by name; their code is loaded when a method is asked for."""
    points = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in METHODS or point.name in points:
            raise InputError(f"the method name {point.name!r} is taken; {point.value} must use another")
        points[point.name] = point
    return points


@cache
def _loaded(name: str) -> Entry:
    point = _points()[name]
    try:
        loaded = point.load()
    except Exception as error:  # whatever a foreign package raises when it is imported
        raise InputError(
            f"method {name!r} of the entry point {point.value} cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall the package that declares it"
        ) from error
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
    """The parameters with the defaults of those not given, so that a run's record says them all."""
    known = inspect.signature(_entry(name).build).parameters
    return {key: p.default for key, p in known.items() if p.default is not p.empty} | parameters


def example(name: str, problem: Problem) -> Method[Any]:
    """The method with its defaults, or with parameters that fit the problem where it has none."""
    return build(name, _entry(name).example(problem))


def describe(name: str) -> MethodInfo:
    """The row of one method in the table of methods."""
    entry = _entry(name)
    parameters = tuple(
        (
            key,
            kind_of(p),
            None if p.default is p.empty else repr(p.default),
        )
        for key, p in inspect.signature(entry.build).parameters.items()
    )
    problem = Problem(("a", "b"), (1, 1), 1, 1)
    signals = tuple(sorted(str(signal) for signal in example(name, problem).needs))
    return MethodInfo(
        name, entry.summary, parameters, entry.citation, entry.law, entry.estimator, entry.solver, signals
    )
