"""Fidelity over time, where several checkpoints of a run were diagnosed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aioli.protocol import Array
from aioli.report.plots import Line, line_chart, style
from aioli.report.section import Figure, Key, Section

__all__ = ["similarity_over_time"]


def similarity_over_time(diagnosis: Mapping[str, Any], name: str) -> Section | None:
    """A panel for each horizon, a line with its band for each method; None with one checkpoint."""
    points = diagnosis["points"]
    labels = list(dict.fromkeys(row["label"] for point in points for row in point["fidelity"]))
    if len({point["step"] for point in points}) < 2 or not labels:
        return None
    horizons = dict.fromkeys(law["horizon"] for point in points for law in point["laws"])
    figures = []
    for horizon in horizons:
        lines = []
        for number, label in enumerate(labels):
            steps, values = _values(points, label, horizon)
            lines.append(Line(style(number), steps, values[:, 0], values[:, 1], values[:, 2]))
        told = "; ".join(
            f"{label} {', '.join('unknown' if np.isnan(v) else f'{v:.2f}' for v in line.y)}"
            for label, line in zip(labels, lines, strict=True)
        )
        svg = line_chart(
            lines,
            f"Centred similarity over a horizon of {horizon} steps by checkpoint: {told}",
            x_label="checkpoint, optimiser step",
            y_label="similarity to A*, centred",
            x_limits=(0, diagnosis["steps"]),
            y_limits=(-1.05, 1.05),
        )
        figures.append(Figure(f"Horizon {horizon} steps", svg))
    keys = tuple(Key(label, style(number)) for number, label in enumerate(labels))
    several = len(diagnosis["seeds"]) > 1
    shaded = (
        "mean over seeds, with their range shaded" if several else "with its range over redraws of A* shaded"
    )
    text = f"Fidelity by checkpoint, centred, {shaded}."
    return Section(f"{name}-time", "Fidelity over time", text, tuple(figures), keys)


def _values(points: Sequence[Mapping[str, Any]], label: str, horizon: int) -> tuple[Array, Array]:
    """Steps [k], and similarity, low and high [k, 3]; of several seeds the mean and the range."""
    found: dict[int, list[list[float | None]]] = {}
    for point in points:
        for row in point["fidelity"]:
            if row["label"] == label and row["horizon"] == horizon:
                seen = [row["centred"][key] for key in ("similarity", "low", "high")]
                found.setdefault(point["step"], []).append(seen)
    values = np.full((len(found), 3), np.nan)
    for place, rows in enumerate(found.values()):
        each = np.array(rows, dtype=np.float64)
        means = each[:, 0]
        values[place] = each[0] if len(each) == 1 else (means.mean(), means.min(), means.max())
    return np.array(list(found), dtype=np.float64), values
