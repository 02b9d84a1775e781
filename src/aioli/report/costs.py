"""Figures of what a run costs: seconds and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aioli.analysis.numbers import duration, quantity
from aioli.protocol import Array
from aioli.report.plots import stacked_bars, style
from aioli.report.section import Figure, Key, Section

__all__ = ["cost_section"]

PARTS = ("training", "probing", "measuring", "drawing", "mixing", "writing")
TOKENS = (
    ("train_tokens", "training"),
    ("evaluation_tokens", "evaluation during training"),
    ("test_tokens", "test at the end"),
)
Results = Mapping[str, Any]


def cost_section(results: Results) -> Section | None:
    """Seconds by what they were spent on, and tokens read; None when no run finished."""
    methods = [method for method in results["methods"] if method["cost"].get("seconds") is not None]
    if not methods:
        return None
    names = [method["label"] for method in methods]
    seconds = np.array([[method["cost"]["split"].get(part) or 0.0 for part in PARTS] for method in methods])
    times = [duration(method["cost"]["seconds"]) for method in methods]
    tokens = np.array([[method["cost"].get(key) or 0.0 for key, _ in TOKENS] for method in methods])
    totals = [quantity(total) for total in tokens.sum(axis=1)]
    figures = (
        _bars("Wall-clock time of a run", names, seconds, PARTS, times, "seconds"),
        _bars(
            "Tokens the model read",
            names,
            tokens / 1e6,
            [name for _, name in TOKENS],
            totals,
            "million tokens",
        ),
    )
    text = (
        "What one run of each method spends, as a mean over seeds: the total stands at the end of each bar."
    )
    return Section("costs", "Costs", text, figures)


def _bars(
    title: str, names: Sequence[str], values: Array, parts: Sequence[str], totals: Sequence[str], unit: str
) -> Figure:
    """A stacked bar for each name with values [names, parts]; parts that nobody spent are left out."""
    used = [number for number in range(len(parts)) if values[:, number].any()] or [0]
    told = "; ".join(f"{name} {total}" for name, total in zip(names, totals, strict=True))
    svg = stacked_bars(names, values[:, used], totals, f"{title}: {told}", x_label=unit)
    keys = tuple(Key(parts[number], style(place), filled=True) for place, number in enumerate(used))
    return Figure(title, svg, keys)
