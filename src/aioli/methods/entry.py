"""The table of methods: what is known of each beside its constructor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from aioli.methods.recipes import Recipe
from aioli.protocol import Citation, Method, Problem

__all__ = ["BASELINE", "METHODS", "OURS", "Entry", "Proportions", "listed", "variant"]

P = ParamSpec("P")
M = TypeVar("M", bound=Method[Any])
Build = Callable[..., Method[Any]]
Proportions = Mapping[str, float] | tuple[float, ...]

BASELINE = Citation("baseline")
OURS = Citation("this project")


def no_parameters(problem: Problem) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Entry:
    """A method's constructor with what the table of methods says about it.

    `example` gives parameters that fit a problem, for methods that cannot do without: the conformance
    suite runs on them. `extra_runs` are the full runs that it costs besides the one it steers ("m": one a
    group), and `recipe` says which of them must be finished before it. `added` names parameters that stay
    out of a run's record at their defaults: those that came after the method's first release, so that runs
    keep their ids, and those whose default is no plain value.
    """

    build: Build
    summary: str
    citation: Citation
    law: str = "none"
    estimator: str = "none"
    solver: str = "none"
    extra_runs: str = "0"
    added: tuple[str, ...] = ()
    example: Callable[[Problem], dict[str, Any]] = no_parameters
    recipe: Recipe | None = None


METHODS: dict[str, Entry] = {}


def listed(citation: Citation, **parts: Any) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Enter a constructor in the table under its own name."""

    def enter(build: Callable[P, M]) -> Callable[P, M]:
        summary = (build.__doc__ or "").strip().split("\n")[0]
        METHODS[build.__name__] = Entry(build, summary, citation, **parts)
        return build

    return enter


def variant(
    of: Callable[..., Method[Any]], name: str, summary: str, **fixed: Any
) -> Callable[..., Method[Any]]:
    """A method with other defaults, entered in the table under its own name."""
    build = partial(of, **fixed)
    METHODS[name] = replace(METHODS[of.__name__], build=build, summary=summary)
    return build
