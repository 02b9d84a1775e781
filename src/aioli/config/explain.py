"""Turn pydantic's errors into messages that name the key, what was expected and what came."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from aioli.errors import nearest

__all__ = ["explain"]

_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    type(None): "nothing",
    Any: "any value",
}


def explain(error: ValidationError, root: type, source: str) -> str:
    """One line a problem; `root` is the dataclass that was expected, `source` names the file."""
    found: dict[str, str] = {}
    for entry in error.errors(include_url=False):
        problem = _problem(entry, root)
        found[problem.partition(", got ")[0]] = problem  # of alternatives, the last tried is told
    problems = list(found.values())
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    return "\n  ".join([f"{source} has {len(problems)} problems:", *problems])


def _problem(entry: Any, root: type) -> str:
    path, expected = _resolve(root, entry["loc"])
    key = ".".join(map(str, path))
    cause = entry.get("ctx", {}).get("error")
    if entry["type"] == "unexpected_keyword_argument":
        parent, name = ".".join(map(str, entry["loc"][:-1])), str(entry["loc"][-1])
        full = f"{parent}.{name}" if parent else name
        return f"unknown key {full}; {nearest(name, _keys(_resolve(root, entry['loc'][:-1])[1]))}"
    if entry["type"] == "missing":
        return f"{key} is missing: expected {_describe(expected)}"
    if cause is not None:
        told = str(cause)
        return told if not key or key.split(".")[0] in told else f"{key}: {told}"
    return f"{key or 'the config'}: expected {_describe(expected)}, got {_value(entry['input'])}"


def _resolve(root: Any, loc: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """Follow a location through the annotations as far as they go: the key there, and its type."""
    path: list[Any] = []
    here = root
    for part in loc:
        below = _below(here, part)
        if below is None:
            break
        path.append(part)
        here = below
    return path, here


def _below(annotation: Any, part: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _below(get_args(annotation)[0], part)
    if is_dataclass(annotation):
        return get_type_hints(annotation, include_extras=True).get(part)
    if get_origin(annotation) in (dict, Mapping):
        return get_args(annotation)[1]
    if get_origin(annotation) is tuple and isinstance(part, int):
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _below(members[0], part) if len(members) == 1 else None  # else the part names a member
    return None


def _keys(annotation: Any) -> list[str]:
    members = [annotation, *get_args(annotation)]  # of one that may be null, itself
    return next(([field.name for field in fields(each)] for each in members if is_dataclass(each)), [])


def _describe(annotation: Any, *, many: bool = False) -> str:
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(members[0], many=many)
    if is_dataclass(annotation):
        return f"{'mappings' if many else 'a mapping'} with keys such as {', '.join(_keys(annotation)[:3])}"
    if origin in (dict, Mapping):
        return f"a mapping from names to {_describe(members[1], many=True)}"
    if origin is tuple:
        return f"a list of {_describe(members[0], many=True)}"
    if origin is Literal:
        return " or ".join(repr(value) for value in members)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(member) for member in members)
    name = _NAMES.get(annotation, str(annotation))
    return name.removeprefix("a ") + "s" if many and name.startswith("a ") else name


def _value(value: Any) -> str:
    if value is None:
        return "nothing (an empty value)"
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    kinds |= {dict: "a mapping", list: "a list"}
    shown = repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({kinds.get(type(value), 'a value')})"
