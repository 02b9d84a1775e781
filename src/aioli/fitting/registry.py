"""Laws by name, ours and those that installed packages add (entry point group `aioli.static_laws`)."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from aioli.errors import InputError, nearest
from aioli.plugins import find_plugins, load_plugin
from aioli.static_law import StaticLaw

__all__ = ["LAWS", "build_law", "describe_law", "law_names"]

LAWS = {
    "linear": "linear:LinearLaw",
    "log_linear": "log_linear:LogLinear",
    "bimix": "bimix:BiMix",
    "additive": "additive:Additive",
    "effective": "effective:Effective",
    "joint": "joint:Joint",
    "trees": "trees:Trees",
    "gaussian_process": "gaussian_process:GaussianProcess",
    "average": "average:Average",
}
"""Module of `aioli.laws.static` and class of each law; the module is imported when the law is asked for."""


@cache
def _points() -> dict[str, EntryPoint]:
    return find_plugins("static_law", LAWS)


def law_names() -> list[str]:
    """All laws, ours first."""
    return [*LAWS, *_points()]


def build_law(value: Any) -> StaticLaw:
    """A law from its name or `{name: {setting: value}}`; one that is built already passes through.

    >>> build_law({"log_linear": {"huber": 0.05}}).huber
    0.05
    >>> build_law({"average": {"members": ["linear", "log_linear"]}}).members[1].name
    'log_linear'

    Raises:
        InputError: an unknown law or setting (naming the nearest), a wrong value, a package not installed.
    """
    if not isinstance(value, str | Mapping):
        return value
    name, settings = _name_and_settings(value)
    build = _law(name)
    known = inspect.signature(build).parameters
    for key in settings:
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise InputError(f"law {name!r} has no setting {key!r}; {hint}")
    missing = [key for key, one in known.items() if one.default is one.empty and key not in settings]
    if missing:
        raise InputError(f"law {name!r} needs {', '.join(missing)}")
    hints = get_type_hints(build.__init__ if isinstance(build, type) else build)
    try:
        return build(**{key: _checked(key, found, hints[key]) for key, found in settings.items()})
    except InputError as error:
        raise InputError(f"law {name!r}: {error}") from None


def describe_law(law: StaticLaw) -> dict[str, Any]:
    """The plain values from which `build_law` makes an equal law.

    >>> describe_law(build_law("trees"))["trees"]["rounds"]
    1000

    Raises:
        InputError: a law that is not a dataclass, or under a name that no law has.
    """
    if law.name not in law_names() or not is_dataclass(law):
        raise InputError(
            f"the law {law.name!r} ({type(law).__name__}) cannot be saved: it must be a dataclass, and its "
            "name that of an entry point in the group aioli.static_laws"
        )
    return {law.name: {item.name: _plain(getattr(law, item.name)) for item in fields(law)}}


@cache
def _law(name: str) -> Any:
    if name in LAWS:
        module, _, attribute = LAWS[name].partition(":")
        try:
            return getattr(importlib.import_module(f"aioli.laws.static.{module}"), attribute)
        except ModuleNotFoundError as error:
            raise InputError(
                f"the law {name!r} needs the package {error.name}, which is not installed: "
                "run `pip install 'aioli[offline]'`"
            ) from None
    if name not in _points():
        raise InputError(f"unknown law {name!r}; {nearest(name, law_names())}")
    return load_plugin("static_law", _points()[name])


def _name_and_settings(value: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if len(value) == 1:
        name, settings = next(iter(value.items()))
        if isinstance(name, str) and (settings is None or isinstance(settings, Mapping)):
            return name, dict(settings or {})
    raise InputError(f"expected the name of a law, or {{name: {{setting: value}}}}, got {value!r}")


def _checked(key: str, value: Any, hint: Any) -> Any:
    """A plain value as its setting's type; laws inside laws are built in their turn."""
    if hint == tuple[StaticLaw, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise InputError(f"{key} must be a list of laws, got {value!r}")
        return tuple(build_law(one) for one in value)
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError:
        kind = inspect.formatannotation(hint)
        raise InputError(f"{key} must be {kind}, got {value!r}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return describe_law(value) if hasattr(value, "from_json") else value
