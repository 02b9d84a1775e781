"""The table and the plot of `benchmarks.estimators`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aioli.files import replace_file, write_json

FAMILIES = {
    "probes": "#0072b2",
    "blocks": "#d55e00",
    "alignment": "#009e73",
    "doge": "#cc79a7",
    "directional": "#e69f00",
    "excess": "#56b4e9",
    "one-hot": "#444444",
}
"""Okabe and Ito's colours by the first word of an estimator's name; its label stands beside every mark."""
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "aioli",
    "font.size": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
}


def write_report(setting: str, content: Mapping[str, Any], rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Write table.json, table.md, pareto.svg and pareto.png."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "table.json", {"setting": setting, "points": content["points"], "rows": list(rows)})
    replace_file(out / "table.md", table(setting, content, rows))
    horizons = sorted({row["horizon"] for row in rows})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4 * min(2, len(horizons)), 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        shown = horizons if len(horizons) == 1 else [horizons[0], horizons[-1]]
        for axes, horizon in zip(
            np.atleast_1d(figure.subplots(1, len(shown), sharey=True)), shown, strict=True
        ):
            panel(axes, [row for row in rows if row["horizon"] == horizon], horizon)
        figure.savefig(out / "pareto.svg", metadata={"Date": None})
        figure.savefig(out / "pareto.png", dpi=110)


def panel(axes: Any, rows: Sequence[Mapping[str, Any]], horizon: int) -> None:
    """One horizon: similarity over cost, those that no cheaper one beats joined by a line."""
    priced = [row for row in rows if row["cost"] and row["centred"] is not None]
    for row in priced:
        colour = FAMILIES.get(row["estimator"].replace("_", " ").split()[0], "#000000")
        x, y = worth(row), row["centred"]
        axes.errorbar(x, y, yerr=row["centred_error"] or 0, fmt="o", color=colour, ms=5, lw=1)
        axes.annotate(row["estimator"], (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    best = front(priced)
    axes.plot([worth(row) for row in best], [row["centred"] for row in best], color="#888888", lw=1, zorder=0)
    axes.set_xscale("log")
    axes.set_ylim(-1.05, 1.1)
    axes.axhline(0, color="#888888", lw=0.6)
    axes.set_title(f"similarity to the law over {horizon} steps (centred)", loc="left", fontsize=9)
    axes.set_xlabel("cost in floating-point operations, as training steps")


def worth(row: Mapping[str, Any]) -> float:
    return max(row["cost"]["worth_steps"], 0.1)


def front(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that are better than every cheaper one."""
    found: list[Mapping[str, Any]] = []
    for row in sorted(rows, key=lambda row: (worth(row), -row["centred"])):
        if not found or row["centred"] > found[-1]["centred"]:
            found.append(row)
    return found


def table(setting: str, content: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table: one line for each estimator, a column for each horizon, then cost."""
    horizons = sorted({row["horizon"] for row in rows})
    checkpoints = [f"{point['step']} (seed {point['seed']})" for point in content["points"]]
    lines = [
        f"# Estimators on {setting.replace('_', ' ')}",
        "",
        "Centred similarity of column sums to those of branches, mean over checkpoints and seeds (standard "
        f"error). Checkpoints: {', '.join(checkpoints)}, of {content['steps']} steps.",
        "",
        "R2 of the linear law, each branch predicted from the others, mean over checkpoints: "
        + ", ".join(f"{law_r2(content, horizon)} at {horizon}" for horizon in horizons)
        + ".",
        "",
        "| estimator | "
        + " | ".join(f"{h} steps" for h in horizons)
        + " | probe steps | tokens read | seconds | other runs | worth steps |",
        "|---|" + "---|" * (len(horizons) + 5),
    ]
    for label in dict.fromkeys(row["estimator"] for row in rows):
        mine = {row["horizon"]: row for row in rows if row["estimator"] == label}
        cells = [number(mine.get(horizon)) for horizon in horizons]
        cost = next(iter(mine.values()))["cost"]
        keys = ("probe_steps", "evaluation_tokens", "seconds", "other_runs", "worth_steps")
        cells += (
            [f"{cost[key]:.1f}" if key == "seconds" else f"{cost[key]:.0f}" if cost else "-" for key in keys]
            if cost
            else ["-"] * len(keys)
        )
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def number(row: Mapping[str, Any] | None) -> str:
    if row is None or row["centred"] is None:
        return "-"
    error = "" if row["centred_error"] is None else f" ({row['centred_error']:.2f})"
    return f"{row['centred']:+.2f}{error}"


def law_r2(content: Mapping[str, Any], horizon: int) -> str:
    laws = [law for point in content["points"] for law in point["laws"] if law["horizon"] == horizon]
    values = [law["sums_r2"] if law["sums_held_out_r2"] is None else law["sums_held_out_r2"] for law in laws]
    return f"{np.mean(values):.3f}"
