"""Figures of what methods predicted during their runs against what was measured then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aioli.protocol import Array
from aioli.report.plots import scatter
from aioli.report.section import Figure, Section, limits

__all__ = ["trust_section"]

Results = Mapping[str, Any]


def trust_section(results: Results) -> Section | None:
    """A panel for each method that predicts; None where none does."""
    figures = [figure for method in results["methods"] if (figure := _figure(results, method)) is not None]
    if not figures:
        return None
    text = (
        "By how much a method's law predicted each target's loss to fall until its next measurement, against "
        "how much it fell: a dot for each span, target and seed. On the line the prediction was right. R2 is "
        "against predicting no change, trend R2 against going on as before (0: no better); covered: share of "
        "losses inside the predicted 95% intervals. All are means over seeds."
    )
    return Section("trust", "Predicted against realised", text, tuple(figures))


def _figure(results: Results, method: Mapping[str, Any]) -> Figure | None:
    told = [results["runs"][run]["trust"] for run in method["runs"] if results["runs"][run].get("trust")]
    pairs = [pair for each in told for row in each["rounds"] for pair in _pairs(row)]
    if not pairs:
        return None
    predicted, realised = np.array(pairs, dtype=np.float64).T
    both = limits(np.concatenate([predicted, realised]))
    scores = _scores(told)
    label = f"Predicted against realised, {method['label']}, {len(pairs)} pairs{scores}"
    svg = scatter(
        predicted, realised, label, x_label="predicted fall, nats", y_label="realised fall, nats", limits=both
    )
    return Figure(f"{method['label']}{scores}", svg)


def _pairs(row: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Predicted and realised fall of each target that has both."""
    triples = zip(row["before"], row["predicted"], row["realised"], strict=True)
    return [(each[0] - each[1], each[0] - each[2]) for each in triples if None not in each]


def _scores(told: list[Mapping[str, Any]]) -> str:
    parts = []
    for key, name, form in (
        ("r2", "R2", ".2f"),
        ("r2_trend", "trend R2", ".2f"),
        ("coverage", "covered", ".0%"),
    ):
        known: Array = np.array([each[key] for each in told if each.get(key) is not None], dtype=np.float64)
        if known.size:
            parts.append(f"{name} {known.mean():{form}}")
    return "".join(f", {part}" for part in parts).replace("-", "\N{MINUS SIGN}")
