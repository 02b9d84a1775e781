"""Figures over time: training proportions of each method, training loss of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aioli.analysis.numbers import fixed
from aioli.protocol import Array
from aioli.report.plots import Line, Style, line_chart, style
from aioli.report.section import NEUTRAL, Figure, Key, Section, limits
from aioli.report.series import curves, gather, over_seeds, proportions, select

__all__ = ["loss_section", "mixture_section"]

Results = Mapping[str, Any]


def mixture_section(results: Results) -> Section | None:
    """A panel for each method, a line for each group; None without a run."""
    found = [(m, series) for m in results["methods"] if (series := proportions(results, m)) is not None]
    if not found:
        return None
    every = np.nan_to_num(np.concatenate([series.mean for _, series in found]))
    chosen = select(every.max(axis=0) - every.min(axis=0))
    names = chosen.names(results["groups"])
    top = max(float(np.nanmax(gather(series.high, chosen))) for _, series in found)
    figures = []
    for method, series in found:
        mean, low, high = (gather(values, chosen) for values in series[1:4])
        lines = [
            Line(style(j), series.steps, mean[:, j], low[:, j], high[:, j], steps=True)
            for j in range(len(names))
        ]
        ends = [pair for pair in zip(names, mean[-1], strict=True) if np.isfinite(pair[1])]
        told = "; ".join(f"{name} {value:.3f}" for name, value in ends)
        svg = line_chart(
            lines,
            f"Training proportions of {method['label']}, {over_seeds(series)}; at the end: {told}",
            x_label="optimiser step",
            y_label="proportion",
            x_limits=(0, results["steps"]),
            y_limits=(0, 1.06 * top),
        )
        figures.append(Figure(f"{method['label']}, {over_seeds(series)}", svg))
    text = (
        "Share of each group in the training stream at every step, with the range over seeds shaded. A "
        "method's warm-up, its probes and measurements are left out; groups of equal share lie on one line, "
        "and a line begins and ends with its group. "
        "All panels share one scale."
    )
    keys = tuple(Key(name, style(j)) for j, name in enumerate(names))
    return Section("proportions", "Proportions over time", text, tuple(figures), keys)


def loss_section(results: Results) -> Section | None:
    """A panel for each group, a line for each method; None without a curve."""
    found = [
        (number, method, series)
        for number, method in enumerate(results["methods"])
        if (series := curves(results, method)) is not None
    ]
    if not found:
        return None
    last = np.stack([_last(series.mean) for _, _, series in found])
    known = np.isfinite(last).all(axis=0)
    chosen = select(np.where(known, last.max(axis=0) - last.min(axis=0), 0.0))
    figures = []
    for row, name in enumerate(chosen.names(results["groups"])):
        lines = [
            Line(_method_style(number), series.steps, gather(series.mean, chosen)[:, row])
            for number, _, series in found
        ]
        if any(np.isfinite(line.y).any() for line in lines):
            ends = "; ".join(
                f"{method['label']} {fixed(float(_last(line.y[:, None])[0]))}"
                for (_, method, _), line in zip(found, lines, strict=True)
            )
            figures.append(_loss_figure(name, lines, ends, results["steps"]))
    text = (
        "Loss on the training tokens drawn from each group, averaged since the previous point and over "
        "seeds. The steep start runs out of the top of each panel, so that the methods can be told apart; "
        "a gap means that nothing was drawn."
    )
    keys = tuple(Key(method["label"], _method_style(number)) for number, method, _ in found)
    return Section("losses", "Loss curves", text, tuple(figures), keys)


def _loss_figure(name: str, lines: Sequence[Line], ends: str, steps: int) -> Figure:
    """Limits leave out what only the first tenth of what was trained so far reaches."""
    begin = max(line.x.max() for line in lines) / 10
    late = np.concatenate([line.y[line.x >= begin] for line in lines])
    shown = late if np.isfinite(late).any() else np.concatenate([line.y for line in lines])
    svg = line_chart(
        lines,
        f"Training loss on {name}, nats per token; at the end: {ends}",
        x_label="optimiser step",
        y_label="training loss, nats per token",
        x_limits=(0, steps),
        y_limits=limits(shown),
    )
    return Figure(name, svg)


def _method_style(number: int) -> Style:
    """The first method (usually the baseline) is drawn in the ink, the others in colour."""
    return NEUTRAL if number == 0 else style(number - 1 if number < 7 else number)


def _last(values: Array) -> Array:
    """The last number in each column of [k, m]; NaN where there is none."""
    present = np.isfinite(values)
    rows = np.where(present.any(axis=0), len(values) - 1 - present[::-1].argmax(axis=0), 0)
    return values[rows, np.arange(values.shape[1])]
