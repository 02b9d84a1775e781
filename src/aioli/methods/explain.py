"""What a method's docstrings say, its parts' among them: its parameters, its rule, where it departs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

from aioli.methods.registry import build_of, example
from aioli.protocol import Problem

__all__ = ["Explained", "explain"]

SECTION = re.compile(r"^(Args|Attributes|Raises|References|Departures):$", re.MULTILINE)
DOCTEST = re.compile(r"^>>>.*", re.MULTILINE | re.DOTALL)
PROBLEM = Problem(("a", "b"), (10**6, 10**6), 1000, 1000)


@dataclass(frozen=True)
class Explained:
    """What is written about a method.

    Attributes:
        parameters: what each of its parameters does, those without a text left out.
        parts: name of the constructor or of each class that it is made of -> (rule, references, departures),
            empty where there is nothing.
    """

    parameters: dict[str, str]
    parts: dict[str, tuple[str, str, str]]


def explain(name: str) -> Explained:
    """Read the docstrings behind a method: of its constructor first, then of the classes that it builds.

    Raises:
        InputError: an unknown method.
    """
    build = build_of(name)
    known = list(inspect.signature(build).parameters)
    found: dict[str, str] = {}
    parts: dict[str, tuple[str, str, str]] = {}
    for source in (_function(build), *_parts(example(name, PROBLEM), known)):
        sections = _sections(inspect.getdoc(source) or "")
        for each in (source, *_bases(source)):
            written = _sections(inspect.getdoc(each) or "")
            for heading in ("Args", "Attributes"):
                found = _entries(written.get(heading, ""), known) | found
        rule, rest = sections[""], (sections.get("References", ""), sections.get("Departures", ""))
        if source is _function(build) and not isinstance(source, type):
            rule = rule.partition("\n\n")[2]  # the summary stands elsewhere
        if rule or any(rest):
            parts[source.__name__] = (rule, *rest)
    return Explained({key: found[key] for key in known if key in found}, parts)


def _function(build: Callable[..., Any]) -> Any:
    return _function(build.func) if isinstance(build, partial) else build


def _parts(method: Any, given: Collection[str]) -> list[type]:
    """Classes of the method and of the parts that it holds, outside in, but those that a user gives."""
    seen: list[type] = []
    waiting = [method]
    while waiting:
        part = waiting.pop(0)
        if type(part) not in seen:
            seen.append(type(part))
        names = [field.name for field in fields(part) if part is not method or field.name not in given]
        waiting += [value for name in names if is_dataclass(value := getattr(part, name))]
    return seen


def _bases(source: Any) -> list[type]:
    return list(source.__mro__[1:-1]) if isinstance(source, type) else []


def _sections(text: str) -> dict[str, str]:
    """A docstring by its headings; what stands before the first under ""."""
    pieces = SECTION.split(DOCTEST.sub("", text))
    bodies = [inspect.cleandoc("\n" + piece) for piece in pieces[2::2]]
    return {"": pieces[0].strip(), **dict(zip(pieces[1::2], bodies, strict=True))}


def _entries(text: str, names: list[str]) -> dict[str, str]:
    """The texts of some names in a section of entries `name: text` or `name, name: text`.

    >>> _entries("eta, c: step size, and c. law: its\\n    shape.", ["eta", "law"])
    {'eta': 'step size, and c.', 'law': 'its shape.'}
    """
    flat = re.sub(r"\s+", " ", text).strip()
    starts = list(re.finditer(r"(?:^|(?<=[.;:)] ))((?:[a-z]\w*, )*[a-z]\w*): ", flat))
    ends = [*(start.start() for start in starts), len(flat)][1:]
    found: dict[str, str] = {}
    for start, end in zip(starts, ends, strict=True):
        for name in start[1].split(", "):
            if name in names:
                found.setdefault(name, flat[start.end() : end].strip())
    return found
