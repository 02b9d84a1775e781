"""Methods by name: the zoo, and those that installed packages add through entry points."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from aioli.errors import InputError, nearest
from aioli.methods.zoo import METHODS, Entry
from aioli.protocol import Citation, Method, Problem

__all__ = ["MethodInfo", "build", "complete", "describe", "example", "names"]

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
def _table() -> dict[str, Entry]:
    table = dict(METHODS)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in table:
            raise InputError(f"the method name {point.name!r} is taken; {point.value} must use another")
        loaded = point.load()
        summary = (inspect.getdoc(loaded) or "").split("\n")[0]
        table[point.name] = (
            loaded if isinstance(loaded, Entry) else Entry(loaded, summary, Citation(point.value))
        )
    return table


def names() -> list[str]:
    """All method names, ours first."""
    return list(_table())


def _entry(name: str) -> Entry:
    if name not in _table():
        raise InputError(f"unknown method {name!r}; {nearest(name, _table())}")
    return _table()[name]


def build(name: str, parameters: dict[str, Any] | None = None) -> Method[Any]:
    """Construct a method by name from plain values (as read from YAML or JSON).

    Raises:
        InputError: an unknown method or parameter (naming the nearest), a missing or a wrong value.
    """
    entry, parameters = _entry(name), parameters or {}
    known = inspect.signature(entry.build).parameters
    for key in parameters:
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise InputError(f"method {name!r} has no parameter {key!r}; {hint}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in parameters]
    if missing:
        raise InputError(f"method {name!r} needs {', '.join(missing)}")
    try:
        return validate_call(config=ConfigDict(strict=False))(entry.build)(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"method {name!r}, {where}: {first['msg']}, got {first['input']!r}") from None
    except InputError as error:
        raise InputError(f"method {name!r}: {error}") from None


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
        (key, str(p.annotation), None if p.default is p.empty else repr(p.default))
        for key, p in inspect.signature(entry.build).parameters.items()
    )
    problem = Problem(("a", "b"), (1, 1), 1, 1)
    signals = tuple(sorted(str(signal) for signal in example(name, problem).needs))
    return MethodInfo(
        name, entry.summary, parameters, entry.citation, entry.law, entry.estimator, entry.solver, signals
    )
