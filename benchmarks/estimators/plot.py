"""The plot of `benchmarks.estimators`: similarity over cost at the shortest and the longest horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import hypot
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from benchmarks.estimators.scores import NULL, OTHER_SEED
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

FAMILIES = {
    "probes": ("#0072b2", "o"),
    "blocks": ("#d55e00", "s"),
    "alignment": ("#009e73", "^"),
    "doge": ("#aa4499", "v"),
    "directional": ("#e69f00", "D"),
    "excess": ("#56b4e9", "P"),
    "one-hot": ("#444444", "X"),
}
"""Colour (after Okabe and Ito) and mark by the first word of an estimator's name, which stands beside it."""
OTHER = ("#000000", "*")
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "aioli",
    "font.size": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
}
SURE = 0.05
FRONT, QUIET = "#222222", "#777777"
LEAST = 0.1
"""Cheaper estimates are drawn here, in training steps."""

Row = Mapping[str, Any]


def draw(rows: Sequence[Row], out: Path) -> None:
    """Write pareto.svg and pareto.png."""
    horizons = sorted({row["horizon"] for row in rows})
    shown = horizons if len(horizons) == 1 else [horizons[0], horizons[-1]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.9 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        costs = [worth(row) for row in priced(rows)] or [1.0]
        panels[0].set_xscale("log")
        panels[0].set_xlim(min(costs) / 1.6, max(costs) * 4)  # room for names
        for axes, horizon in zip(panels, shown, strict=True):
            panel(axes, [row for row in rows if row["horizon"] == horizon], horizon)
        panels[-1].set_xlabel(
            "what an estimate takes, in training steps of the same floating-point operations (log scale)"
        )
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes, horizon in zip(panels, shown, strict=True):
            name_marks(axes, priced([row for row in rows if row["horizon"] == horizon]))
        figure.savefig(out / "pareto.svg", metadata={"Date": None})
        figure.savefig(out / "pareto.png", dpi=110, metadata={"Software": None})


def panel(axes: Any, rows: Sequence[Row], horizon: int) -> None:
    """One horizon: a mark for each estimator, a step line along those that no cheaper one beats."""
    shown = priced(rows)
    known = {row["estimator"] for row in shown if row.get("p") is not None and row["p"] < SURE}
    bounded = [*shown, *(row for row in rows if row["estimator"] == NULL and row["centred"] is not None)]
    best = front([row for row in shown if row["estimator"] in known])
    for row in shown:
        colour, mark = look(row["estimator"])
        above = row["estimator"] in known
        axes.errorbar(
            worth(row),
            row["centred"],
            yerr=row["centred_error"],
            fmt=mark,
            ms=8 if above else 6,
            color=colour,
            mec="white" if above else colour,
            mfc=colour if above else "white",
            mew=0.5 if above else 1.2,
            elinewidth=0.7,
            zorder=3,
        )
    for line, colour, dashes in ((front(shown), QUIET, "--"), (best, FRONT, "-")):
        if line:
            x, y = [worth(row) for row in line], [row["centred"] for row in line]
            axes.step(
                [*x, axes.get_xlim()[1]], [*y, y[-1]], where="post", color=colour, ls=dashes, lw=1.2, zorder=2
            )
    lowest = min((row["centred"] - (row["centred_error"] or 0.0) for row in bounded), default=-1.0)
    axes.set_ylim(max(np.floor(4 * lowest - 0.2) / 4, -1) - 0.05, 1.12)
    axes.set_yticks([tick for tick in np.linspace(-1, 1, 9) if tick >= axes.get_ylim()[0]])
    reference_lines(axes, rows)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value > LEAST else f"\u2264{LEAST:g}")
    axes.tick_params(labelbottom=True)
    axes.set_title(
        f"Law over {horizon} steps: centred similarity, +1 the same, -1 the opposite. Filled: above chance\n"
        "(permutation p < .05). Pareto front of those above chance solid, of all means dashed.",
        loc="left",
        fontsize=9.5,
    )
    axes.set_ylabel("similarity")


def reference_lines(axes: Any, rows: Sequence[Row]) -> None:
    """The law of other seeds as a line, and the band in which estimates without any knowledge mostly lie."""
    found = {row["estimator"]: row for row in rows if row["centred"] is not None}
    for label, style, name in ((OTHER_SEED, "-.", OTHER_SEED), (NULL, ":", NULL)):
        if label in found:
            y, error = found[label]["centred"], found[label]["centred_error"] or 0.0
            scatter = "two standard deviations shaded" if label == NULL else f"standard error {error:.2f}"
            told = f"{name}, {y:+.2f} ({scatter})"
            axes.axhline(y, color=QUIET, lw=1, ls=style, zorder=1)
            axes.text(0.005, y, told, transform=axes.get_yaxis_transform(), **SMALL)
            if label == NULL:
                axes.axhspan(y - 2 * error, y + 2 * error, color=QUIET, alpha=0.13, lw=0, zorder=0)


SMALL: dict[str, Any] = {"fontsize": 7.5, "color": "#555555", "ha": "left", "va": "bottom"}


def name_marks(axes: Any, rows: Sequence[Row]) -> None:
    """Write every estimator's name where no mark and no other name is, with a line to its mark if far."""
    renderer = axes.figure.canvas.get_renderer()
    at = {
        row["estimator"]: axes.transData.transform((worth(row), row["centred"]))
        for row in sorted(rows, key=lambda row: -row["centred"])
    }
    taken = [Bbox.from_extents(x - 8, y - 8, x + 8, y + 8) for x, y in at.values()]
    taken += [text.get_window_extent(renderer) for text in axes.texts]
    names = {row["estimator"] for row in rows if row.get("p") is not None and row["p"] < SURE}
    for label, (x, y) in sorted(at.items(), key=lambda one: one[0] not in names):
        note = axes.annotate(
            label,
            axes.transData.inverted().transform((x, y)),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            fontweight="bold" if label in names else "normal",
            annotation_clip=False,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.4},
            zorder=5,
        )
        size = note.get_window_extent(renderer)
        box, shift = free_place(axes.get_window_extent(), taken, x, y, size.width, size.height)
        taken.append(box)
        note.set_position([72 / axes.figure.dpi * each for each in shift])
        end = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))
        if hypot(end[0] - x, end[1] - y) > 14:
            line = axes.transData.inverted().transform([(x, y), end])
            axes.plot(*line.T, color="#999999", lw=0.5, zorder=1)


def free_place(
    frame: Bbox, taken: Sequence[Bbox], x: float, y: float, width: float, height: float
) -> tuple[Bbox, tuple[float, float]]:
    """The nearest free place for a text by (x, y), in pixels: its box, and its lower left less (x, y)."""
    places = sorted(around(width, height), key=lambda one: distance(*one, width, height))
    inside = [
        (right, up)
        for right, up in places
        if frame.x0 <= x + right
        and x + right + width <= frame.x1
        and frame.y0 <= y + up
        and y + up + height <= frame.y1
    ]
    for right, up in inside:
        box = Bbox.from_bounds(x + right, y + up, width, height)
        if not any(box.overlaps(other) for other in taken):
            return box, (right, up)
    right, up = (inside or places)[0]
    return Bbox.from_bounds(x + right, y + up, width, height), (right, up)


def around(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Corners of places around a mark at 0: right and left of it, above and below, then further away."""
    for across, up in product(range(12), range(-14, 15)):
        yield 9 + 14 * across, up * height / 2 - height / 2
        yield -9 - width - 14 * across, up * height / 2 - height / 2
    for up in range(14):
        yield -width / 2, 9 + up * height / 2
        yield -width / 2, -9 - height - up * height / 2


def distance(right: float, up: float, width: float, height: float) -> float:
    """From the mark to the nearest point of the place; to the right is best."""
    across = max(right, -right - width, 0.0)
    over = max(up, -up - height, 0.0)
    return hypot(across, over) + (0 if right > 0 else 1.5)


def priced(rows: Sequence[Row]) -> list[Row]:
    """Those with a cost and a similarity."""
    return [row for row in rows if row["cost"] and row["centred"] is not None]


def look(label: str) -> tuple[str, str]:
    return FAMILIES.get(label.replace("_", " ").split()[0], OTHER)


def worth(row: Row) -> float:
    return max(row["cost"]["worth_steps"], LEAST)


def front(rows: Sequence[Row]) -> list[Row]:
    """Those that are better than every cheaper one, by cost."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (worth(row), -row["centred"])):
        if not found or row["centred"] > found[-1]["centred"]:
            found.append(row)
    return found
