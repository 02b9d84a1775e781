"""Figures of test perplexity by target: changes against the baseline, or without one the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aioli.analysis.numbers import fixed, percent
from aioli.protocol import Array
from aioli.report.plots import dot_chart, style
from aioli.report.section import NEUTRAL, Figure, Section, limits
from aioli.report.series import gather, select

__all__ = ["target_section"]

LOWER, HIGHER = style(0), style(1)
Results = Mapping[str, Any]


def target_section(results: Results) -> Section | None:
    """Percent changes against the baseline, or perplexities where nothing is compared; None without runs."""
    return _changes(results) or _levels(results)


def _changes(results: Results) -> Section | None:
    found = [(m, rows) for m in results["methods"] if (rows := _intervals(m["relative"])) is not None]
    if not found:
        return None
    stack = np.stack([rows for _, rows in found])
    chosen = select(np.abs(stack[:, :-1, 0]).max(axis=0))
    names, axis = [*chosen.names(results["targets"]), "all targets"], limits(stack, 0.0)
    figures = []
    for method, rows in found:
        table = np.concatenate([gather(rows[:-1], chosen, axis=0), rows[-1:]])
        if chosen.rest:
            table[-2, 1:] = np.nan
        colours = [LOWER if high < 0 else HIGHER if low > 0 else NEUTRAL for _, low, high in table]
        title = f"{method['label']} against {results['baseline']}"
        told = "; ".join(f"{name} {percent(value)}" for name, value in zip(names, table[:, 0], strict=True))
        svg = dot_chart(
            names,
            table,
            f"{title}, change of test perplexity: {told}",
            x_label="change of test perplexity, %",
            limits=axis,
            colours=colours,
            zero=True,
        )
        figures.append(Figure(title, svg))
    text = (
        f"Change of test perplexity against {results['baseline']} on each target, and of its mean. A dot is "
        "the mean of the paired changes over seeds and its bar the 95% interval; left of the line is "
        "better. Blue is better and orange is worse by an interval that excludes zero; the rest is undecided."
    )
    return Section("targets", "Change by target", text, tuple(figures))


def _levels(results: Results) -> Section | None:
    found = [(m, r) for m in results["methods"] if (r := _intervals(m["test"]["perplexity"])) is not None]
    if not found:
        return None
    stack = np.stack([rows for _, rows in found])
    chosen = select(stack[:, :-1, 0].max(axis=0))
    names, axis = [*chosen.names(results["targets"]), "all targets"], limits(stack)
    figures = []
    for method, rows in found:
        table = np.concatenate([gather(rows[:-1], chosen, axis=0), rows[-1:]])
        told = "; ".join(f"{name} {fixed(value)}" for name, value in zip(names, table[:, 0], strict=True))
        svg = dot_chart(
            names,
            table,
            f"{method['label']}, test perplexity: {told}",
            x_label="test perplexity",
            limits=axis,
            colours=[NEUTRAL] * len(names),
            zero=False,
        )
        figures.append(Figure(method["label"], svg))
    text = (
        "Test perplexity on each target: a dot is the mean over seeds and its bar the 95% interval. "
        "Lower is better."
    )
    return Section("targets", "Test perplexity by target", text, tuple(figures))


def _intervals(summary: Mapping[str, Any] | None) -> Array | None:
    """[n + 1, 3]: mean, low and high of every target, then of their mean; None when nothing was measured."""
    if summary is None or summary["mean"] is None:
        return None
    rows: Sequence[Mapping[str, float | None]] = [*summary["per_target"], summary]
    return np.array([[row[key] for key in ("mean", "low", "high")] for row in rows], dtype=np.float64)
