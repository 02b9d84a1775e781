"""Small plots as inline SVG: lines, dots with intervals, heat maps, stacked bars.

Text stays text and takes the page's font; every colour is a CSS variable of the page, so that one drawing
serves light and dark. Equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from aioli.protocol import Array

__all__ = ["Line", "Style", "dot_chart", "heat_map", "line_chart", "scatter", "stacked_bars", "style"]

WIDTH, HEIGHT = 340, 220
ROW = 21
INK, MUTED, GRID, SURFACE = "#010203", "#040506", "#070809", "#0a0b0c"
# Okabe and Ito's colours, tellable apart with every common colour vision; their black is the ink
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#f0e442")
DASHES = ((), (5, 2), (1.2, 1.8), (6, 2, 1.2, 2))
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", SURFACE: "var(--surface)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(COLOURS) if colour != INK
}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


class Style(NamedTuple):
    """How one series is drawn: matplotlib colour, its CSS variable, dash lengths in points."""

    colour: str
    variable: str
    dashes: tuple[float, ...]


class Line(NamedTuple):
    """A series: x [k], y [k] (NaN: a gap), an optional band low..high [k] around it."""

    style: Style
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    steps: bool = False


def style(number: int) -> Style:
    """The style of series `number`: eight colours, then the same colours with other dashes."""
    colour = COLOURS[number % len(COLOURS)]
    return Style(colour, VARIABLES[colour], DASHES[number // len(COLOURS) % len(DASHES)])


def line_chart(
    lines: Sequence[Line],
    label: str,
    *,
    x_label: str,
    y_label: str,
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
) -> str:
    """Lines clipped to the limits of both axes; `label` describes the plot for screen readers."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _canvas(HEIGHT, left=50, bottom=42, top=22)
        axes.grid(axis="y")
        for number, line in enumerate(lines):
            if line.low is not None and line.high is not None:
                step = "post" if line.steps else None
                axes.fill_between(
                    line.x, line.low, line.high, step=step, color=line.style.colour, alpha=0.16, lw=0
                )
            axes.plot(
                line.x,
                line.y,
                color=line.style.colour,
                linewidth=1.6,
                dashes=line.style.dashes or (None, None),
                zorder=3 + number / 100,
                marker="o" if len(line.x) == 1 else "",
                markersize=4,
                drawstyle="steps-post" if line.steps else "default",
            )
        axes.set_xlim(*x_limits)
        axes.set_ylim(*y_limits)
        _axis_labels(axes, x_label, y_label)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return _markup(figure, label)


def dot_chart(
    names: Sequence[str],
    intervals: Array,
    label: str,
    *,
    x_label: str,
    limits: tuple[float, float],
    colours: Sequence[Style],
    zero: bool,
) -> str:
    """A row for each name: `intervals` [k, 3] holds its dot and the ends of its bar (NaN: no bar).

    A thin rule sets off the last row.
    """
    with mpl.rc_context(SETTINGS):
        figure, axes = _canvas(ROW * len(names) + 52, left=_margin(names), bottom=42, top=10)
        axes.grid(axis="x")
        axes.axhline(len(names) - 1.5, color=GRID, linewidth=0.8)
        if zero:
            axes.axvline(0, color=MUTED, linewidth=1)
        for row, ((mean, low, high), chosen) in enumerate(zip(intervals, colours, strict=True)):
            if np.isfinite(low) and np.isfinite(high):
                axes.plot([low, high], [row, row], color=chosen.colour, lw=2, solid_capstyle="butt")
            axes.plot([mean], [row], "o", color=chosen.colour, markersize=5.5, markeredgewidth=0)
        axes.set_xlim(*limits)
        _rows(axes, names)
        _axis_labels(axes, x_label, "")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return _markup(figure, label)


def scatter(
    x: Array, y: Array, label: str, *, x_label: str, y_label: str, limits: tuple[float, float]
) -> str:
    """Dots (x, y) [k] on two equal axes, and the line where both are the same."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _canvas(HEIGHT * 1.2, left=50, bottom=42, top=22)
        axes.grid()
        axes.plot(limits, limits, color=MUTED, linewidth=1)
        axes.plot(x, y, "o", color=COLOURS[0], markersize=3, markeredgewidth=0, alpha=0.6)
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
        _axis_labels(axes, x_label, y_label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return _markup(figure, label)


def stacked_bars(
    names: Sequence[str], parts: Array, totals: Sequence[str], label: str, *, x_label: str
) -> str:
    """A bar for each name, split into parts [names, parts] in the order of the styles, total at its end."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _canvas(ROW * 1.3 * len(names) + 52, left=_margin(names), bottom=42, top=10)
        axes.grid(axis="x")
        lefts = np.hstack([np.zeros((len(names), 1)), np.cumsum(parts, axis=1)])
        for part in range(parts.shape[1]):
            axes.barh(
                range(len(names)), parts[:, part], left=lefts[:, part], height=0.62, color=style(part).colour
            )
        longest = float(lefts[:, -1].max()) or 1.0
        for row, text in enumerate(totals):
            axes.text(lefts[row, -1] + longest * 0.02, row, text, va="center", color=INK)
        axes.set_xlim(0, longest * 1.32)
        _rows(axes, names)
        _axis_labels(axes, x_label, "")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        return _markup(figure, label)


def heat_map(
    values: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    *,
    limit: float,
    scale: float,
    errors: Array | None = None,
) -> str:
    """Cells [rows, columns] from -limit to limit: positive in the first colour, negative in the second.

    Where cells are wide enough, each shows its value divided by `scale`, and below it its standard error.
    """
    n, m = values.shape
    steep = m > 8
    bottom = _margin(columns, per_letter=5.8 if steep else 4.7, least=32)
    left = max(_margin(rows), _margin(columns[:1], per_letter=3.6 if steep else 4.7))
    with mpl.rc_context(SETTINGS):
        row_height = min(30, max(20, 260 / n)) if errors is None or m > 8 else 36
        figure, axes = _canvas(row_height * n + bottom + 24, left=left, bottom=bottom, top=4)
        for row in range(n):
            for column in range(m):
                _cell(axes, row, column, values[row, column], limit)
                if m <= 8 and np.isfinite(values[row, column]):
                    text = _short(values[row, column] / scale)
                    if errors is not None:
                        text += f"\n±{_short(errors[row, column] / scale)}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=11, linespacing=1)
        axes.set_xlim(-0.5, m - 0.5)
        _rows(axes, rows)
        axes.set_xticks(
            range(m), [shorten(name) for name in columns], rotation=60 if steep else 40, ha="right"
        )
        for tick in axes.get_xticklabels():
            tick.set_rotation_mode("anchor")
        for spine in axes.spines.values():
            spine.set_visible(False)
        _axis_labels(axes, "", "trained on (across), measured (down)")
        figure.subplots_adjust(top=1 - 20 / (figure.get_figheight() * 72))
        return _markup(figure, label)


def _short(value: float) -> str:
    """Two digits: whole from 10 on, one decimal below."""
    decimals = 0 if abs(value) >= 9.95 else 1
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _cell(axes: Axes, row: int, column: int, value: float, limit: float) -> None:
    if np.isfinite(value):
        colour, strength = COLOURS[0 if value >= 0 else 1], min(1.0, abs(value) / limit)
    else:
        colour, strength = MUTED, 0.3
    face = to_rgba(colour, 0.6 * strength)
    corner = (column - 0.5, row - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=SURFACE, linewidth=1.5))


def _canvas(height: float, *, left: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - 14 / WIDTH, bottom=bottom / height, top=1 - top / height
    )
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _margin(names: Sequence[str], per_letter: float = 6.3, least: float = 24) -> float:
    return max(least, 12 + per_letter * max(len(shorten(name)) for name in names))


def shorten(name: str, longest: int = 24) -> str:
    """The name, or its first letters and an ellipsis."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shorten(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)


def _axis_labels(axes: Axes, x_label: str, y_label: str) -> None:
    """The x label below the axis, the y label level above it, where it is read without turning the head."""
    axes.set_xlabel(x_label, loc="right", fontsize=11)
    if y_label:
        axes.set_title(y_label, fontsize=11, color=MUTED, loc="left", pad=4)


def _markup(figure: Figure, label: str) -> str:
    """The figure as an SVG element without declarations or fixed size; its label makes its identifiers."""
    buffer = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": label}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->|<defs>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g) id="[^"]*_\d+"', r"\1", text)
    text = re.sub(r" font-family: [^;\"]*;| transform=\"rotate\(-0 [^\"]*\"|<g/>", "", text)
    text = re.sub(r' d="[^"]*"', lambda match: _rounded(match.group()), text)
    text = re.sub("|".join(VARIABLES), lambda match: VARIABLES[match.group()], text)
    box = f"0 0 {figure.get_figwidth() * 72:g} {figure.get_figheight() * 72:g}"
    head = f'<svg viewBox="{box}" role="img" aria-label={quoteattr(label)}>'
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)).strip()


def _rounded(path: str) -> str:
    """Coordinates to a hundredth of a pixel."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", path)
