"""Signals by name: what shape a measurement has, and which class measures it.

The built-in ones are listed here; installed packages add theirs through the entry point group
`aioli.signals`, each a `SignalInfo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from typing import Literal

from aioli.errors import InputError, nearest
from aioli.plugins import find_plugins, load_plugin
from aioli.protocol import Problem, Signal

__all__ = ["SignalInfo", "find_signal", "signal_names", "signal_shape"]

Axis = Literal["target", "group"]


@dataclass(frozen=True)
class SignalInfo:
    """A signal as methods and loops know it.

    Attributes:
        name: what requests call it. axes: of its array, in order.
        measure: "package.module:Class" of its `aioli.measure.Measure`, imported when a run needs it; empty
            for a signal that only loops of the user's own can measure.
        partial: whether it may be NaN for a group that was drawn (one with too few sequences, say).

    Raises:
        InputError: axes other than target and group.
    """

    name: str
    axes: tuple[Axis, ...]
    measure: str = ""
    partial: bool = False

    def __post_init__(self) -> None:
        if not set(self.axes) <= {"target", "group"}:
            raise InputError(f"the axes of signal {self.name!r} are 'target' and 'group', got {self.axes}")


BUILT_IN = {
    info.name: info
    for info in (
        SignalInfo(Signal.TRAIN_LOSS, ("group",), "aioli.measure.losses:TrainLoss"),
        SignalInfo(Signal.EXCESS_LOSS, ("group",), "aioli.measure.reference:Reference"),
        SignalInfo(Signal.REFERENCE_LOSS, ("group",), "aioli.measure.reference:Reference"),
        SignalInfo(Signal.VALIDATION_LOSS, ("target",), "aioli.measure.validation:Validation"),
        SignalInfo(Signal.VALIDATION_ERROR, ("target",), "aioli.measure.validation:Validation"),
        SignalInfo(Signal.GRADIENT_ALIGNMENT, ("target", "group"), "aioli.measure.alignment:Alignment"),
        SignalInfo(Signal.GRADIENT_NORM, ("group",), "aioli.measure.alignment:Alignment"),
        SignalInfo(Signal.GRADIENT_VARIANCE, ("group",), "aioli.measure.variance:Variance", partial=True),
        SignalInfo(Signal.DIRECTIONAL, ("group",), "aioli.measure.directional:Directional"),
    )
}


@cache
def _points() -> dict[str, EntryPoint]:
    return find_plugins("signal", BUILT_IN)


@cache
def _loaded(name: str) -> SignalInfo:
    point = _points()[name]
    info = load_plugin("signal", point)
    if not isinstance(info, SignalInfo) or info.name != name:
        raise InputError(f"the entry point {point.value} must be a SignalInfo named {name!r}, got {info!r}")
    return info


def signal_names() -> list[str]:
    """All known signals, ours first."""
    return [*map(str, BUILT_IN), *_points()]


def find_signal(name: str) -> SignalInfo:
    """The signal of that name.

    Raises:
        InputError: an unknown name (the nearest is given), or a package that cannot be loaded.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name in _points():
        return _loaded(name)
    raise InputError(f"unknown signal {name!r}; {nearest(str(name), signal_names())}")


def signal_shape(name: str, problem: Problem) -> tuple[int, ...]:
    """The shape of a signal's array in a run.

    >>> problem = Problem(("a", "b"), (1, 1), 1, 1, targets=("t",))
    >>> signal_shape("gradient_alignment", problem)
    (1, 2)
    """
    sizes = {"target": problem.n, "group": problem.m}
    return tuple(sizes[axis] for axis in find_signal(name).axes)
