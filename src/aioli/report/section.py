"""What a section of the page is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aioli.protocol import Array
from aioli.report.plots import Style, style

__all__ = ["NEUTRAL", "Choice", "Figure", "Key", "Panels", "Section", "limits"]

NEUTRAL = style(6)


class Key(NamedTuple):
    """One entry of a legend: a line, or a filled square."""

    name: str
    style: Style
    filled: bool = False


class Figure(NamedTuple):
    """A titled plot as SVG text, with a legend of its own if it needs one."""

    title: str
    svg: str
    legend: tuple[Key, ...] = ()


class Section(NamedTuple):
    """A heading, how to read what follows, a legend and figures; `scale` names a heat map's two ends."""

    id: str
    title: str
    help: str
    figures: tuple[Figure, ...]
    legend: tuple[Key, ...] = ()
    scale: tuple[str, str] | None = None


class Choice(NamedTuple):
    """One of several panels: its name, how to read it, and its figures."""

    title: str
    help: str
    figures: tuple[Figure, ...]
    chosen: bool
    legend: tuple[Key, ...] = ()
    scale: tuple[str, str] | None = None


class Panels(NamedTuple):
    """Panels of which one is shown at a time; all of them where no script runs."""

    id: str
    label: str
    choices: tuple[Choice, ...]


def limits(values: Array, include: float | None = None) -> tuple[float, float]:
    """Axis limits around all finite values with a margin of 6%."""
    finite = values[np.isfinite(values)]
    if include is not None:
        finite = np.append(finite, include)
    low, high = float(finite.min()), float(finite.max())
    margin = 0.06 * (high - low) or max(0.05 * abs(high), 1e-3)
    return low - margin, high + margin
