"""Laws, estimators and solvers by name: ours, and those that installed packages add.

Entry point groups `aioli.laws`, `aioli.estimators` and `aioli.solvers`; each entry is the part's class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any, Literal

from aioli.errors import InputError, nearest
from aioli.estimators import (
    Alignment,
    Blocks,
    Directional,
    DogeScore,
    ExcessOverReference,
    ExcessOverTarget,
    Graph,
    Probes,
)
from aioli.laws import Linear
from aioli.methods.construct import construct, name_and_parameters
from aioli.plugins import find_plugins, load_plugin
from aioli.solvers import ExponentiatedGradient, TrustRegion

__all__ = ["PARTS", "build_part", "part_names"]

Kind = Literal["law", "estimator", "solver"]

PARTS: dict[Kind, dict[str, Callable[..., Any]]] = {
    "law": {"linear": Linear},
    "estimator": {
        "probes": Probes,
        "graph": Graph,
        "excess_over_target": ExcessOverTarget,
        "excess_over_reference": ExcessOverReference,
        "alignment": Alignment,
        "doge_score": DogeScore,
        "directional": Directional,
        "blocks": Blocks,
    },
    "solver": {
        "exponentiated_gradient": ExponentiatedGradient,
        "trust_region": TrustRegion,
    },
}


@cache
def _points(kind: Kind) -> dict[str, EntryPoint]:
    return find_plugins(kind, PARTS[kind])


@cache
def _part(kind: Kind, name: str) -> Callable[..., Any]:
    if name in PARTS[kind]:
        return PARTS[kind][name]
    if name not in _points(kind):
        raise InputError(f"unknown {kind} {name!r}; {nearest(name, part_names(kind))}")
    return load_plugin(kind, _points(kind)[name])


def part_names(kind: Kind) -> list[str]:
    """All parts of a kind, ours first."""
    return [*PARTS[kind], *_points(kind)]


def build_part(kind: Kind, value: Any) -> Any:
    """A part from its name or `{name: {parameter: value}}`; one that is built already passes through.

    >>> build_part("solver", {"exponentiated_gradient": {"eta": 0.1}}).eta
    0.1

    Raises:
        InputError: an unknown part or parameter (naming the nearest), a missing or a wrong value.
    """
    if not isinstance(value, str | Mapping):
        return value
    article = "an" if kind == "estimator" else "a"
    name, parameters = name_and_parameters(f"{article} {kind}", value)
    return construct(f"{kind} {name!r}", _part(kind, name), parameters, {})
