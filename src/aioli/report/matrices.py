"""The matrices A that methods estimated, over time, as heat maps: a panel for each method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aioli.report.plots import heat_map
from aioli.report.section import Choice, Figure, Panels
from aioli.report.series import Series, gather, matrices, over_seeds, select

__all__ = ["matrix_panels"]

PANELS = 18
"""Of all methods together; each shows at least its first, middle and last matrix, and at most ROUNDS."""
ROUNDS = 6
Results = Mapping[str, Any]


def matrix_panels(results: Results) -> Panels | None:
    """Of every method that estimates a matrix; None where none does."""
    found = [(m, series) for m in results["methods"] if (series := matrices(results, m)) is not None]
    if not found:
        return None
    rounds = max(3, min(ROUNDS, PANELS // len(found)))
    choices = [_choice(results, method, series, rounds) for method, series in found]
    return Panels("matrix", "Method", (choices[0]._replace(chosen=True), *choices[1:]))


def _choice(results: Results, method: Mapping[str, Any], series: Series, rounds: int) -> Choice:
    size = np.nan_to_num(np.abs(series.mean))
    columns, rows = select(size.max(axis=(0, 1))), select(size.max(axis=(0, 2)))
    values = gather(gather(series.mean, columns), rows, axis=1)
    limit = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    scale = 10.0 ** (np.floor(np.log10(limit)) - 1)
    picks = np.unique(np.linspace(0, len(values) - 1, min(rounds, len(values))).round().astype(int))
    row_names, column_names = rows.names(results["targets"]), columns.names(results["groups"])
    figures = []
    for pick in picks:
        title = f"step {series.steps[pick]}"
        label = f"Matrix of {method['label']} at {title}, {over_seeds(series)}: targets down, groups across"
        svg = heat_map(values[pick], row_names, column_names, label, limit=limit, scale=scale)
        figures.append(Figure(title, svg))
    numbers = f" Numbers are in units of {scale:g} nats." if len(column_names) <= 8 else ""
    text = (
        f"How much training on a group (across) lowers the loss on a target (down), as {method['label']} "
        f"estimated it, {over_seeds(series)}. Blue lowers the loss, orange raises it; all panels share one "
        f"scale.{numbers}"
    )
    ends = (f"{-limit:.2g}".replace("-", "\N{MINUS SIGN}"), f"+{limit:.2g}")
    return Choice(method["label"], text, tuple(figures), chosen=False, scale=ends)
