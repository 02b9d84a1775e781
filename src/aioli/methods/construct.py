"""Constructors called with plain values, as YAML and JSON give them: names and types are checked here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from aioli.errors import InputError, nearest

__all__ = ["construct", "kind_of", "name_and_parameters"]

Resolvers = Mapping[Any, Callable[[Any], Any]]
"""For a protocol (Law, Estimator, ...): what turns the plain value of such a parameter into a part."""


def construct(what: str, build: Callable[..., Any], parameters: Mapping[str, Any], parts: Resolvers) -> Any:
    """Call `build` with checked parameters; `what` names it in errors, as in "method 'aioli'".

    Raises:
        InputError: an unknown parameter (naming the nearest), a missing or a wrong one.
    """
    known = inspect.signature(build).parameters
    for key in parameters:
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise InputError(f"{what} has no parameter {key!r}; {hint}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in parameters]
    if missing:
        raise InputError(f"{what} needs {', '.join(missing)}")
    hints = _hints(build)
    try:
        values = {
            key: _checked(what, known[key], value, hints.get(key, Any), parts)
            for key, value in parameters.items()
        }
        return build(**values)
    except InputError as error:
        told = str(error)
        raise InputError(told if told.startswith(what) else f"{what}: {told}") from None


def name_and_parameters(kind: str, value: Any) -> tuple[str, dict[str, Any]]:
    """Read `name` or `{name: {parameter: value}}`.

    Raises:
        InputError: a value of another shape.
    """
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        name, parameters = next(iter(value.items()))
        if isinstance(name, str) and (parameters is None or isinstance(parameters, Mapping)):
            return name, dict(parameters or {})
    raise InputError(f"expected the name of {kind}, or {{name: {{parameter: value}}}}, got {value!r}")


def kind_of(parameter: inspect.Parameter) -> str:
    """A parameter's annotation as text."""
    return inspect.formatannotation(parameter.annotation).strip("'")


def _hints(build: Callable[..., Any]) -> dict[str, Any]:
    """Types of a constructor's parameters: a function, one with other defaults, or a class."""
    if isinstance(build, partial):
        return _hints(build.func)
    return get_type_hints(build.__init__ if isinstance(build, type) else build)


def _checked(what: str, parameter: inspect.Parameter, value: Any, hint: Any, parts: Resolvers) -> Any:
    """The value as its parameter's type, converted from plain YAML or JSON where that loses nothing."""
    for option in (hint, *get_args(hint)):
        resolve = parts.get(get_origin(option) or option)
        if resolve is not None:
            optional = type(None) in get_args(hint)
            return None if value is None and optional else resolve(value)
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError:
        kind = kind_of(parameter)
        if kind.startswith("Proportions"):
            kind = "a list of numbers or a mapping from groups to numbers"
        raise InputError(f"{what}: {parameter.name} must be {kind}, got {value!r}") from None
