"""The table of `benchmarks.estimators`, and the report made from the kept checkpoints alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.estimators.kept import POINTS, read_points
from benchmarks.estimators.plot import draw
from benchmarks.estimators.scores import BRANCHES, NULL, OTHER_SEED, REFERENCE, over_settings, summary

from aioli.files import replace_file, write_json

READING = "reading.md"
"""What a person concluded, beside the settings' folders."""
COSTS = ("probe_steps", "evaluation_tokens", "seconds", "other_runs", "worth_steps")


def write_report(setting: str, out: Path) -> list[dict[str, Any]]:
    """Write table.json, table.md, pareto.svg and pareto.png beside the kept checkpoints; the rows.

    Raises:
        InputError: no checkpoints are kept there.
    """
    points = read_points(out / POINTS)
    rows = summary(points)
    write_json(out / "table.json", {"setting": setting, "rows": rows})
    replace_file(out / "table.md", table(setting, points, rows))
    draw(rows, out)
    return rows


def write_overview(settings: Mapping[str, Sequence[Mapping[str, Any]]], results: Path) -> None:
    """Write RESULTS.md, what all settings say together, and its plots in RESULTS; READING stands first.

    Args:
        settings: rows of `write_report`, by setting.
    """
    rows = over_settings(settings)
    draw(rows, results)
    reading = results / READING
    name = results.name
    parts = [
        "# Estimators: fidelity against cost",
        f"`python -m benchmarks.estimators --results {name}` measures; this file, tables and plots from what "
        f"is kept in `{name}/`: the same with `--report`.",
        reading.read_text().strip() if reading.exists() else "",
        f"![Similarity over cost, mean over settings]({name}/pareto.png)",
        f"Mean over {len(settings)} settings of the estimators that all have; standard errors from the "
        "settings' own, over seeds. " + TERMS,
        "\n".join(body(rows)),
        "Setting by setting: "
        + " · ".join(f"[{told(each)}]({name}/{each}/table.md) ([plot]({name}/{each}/pareto.png))"
                     for each in settings)
        + ".",
    ]  # fmt: skip
    replace_file(results.with_suffix(".md"), "\n\n".join(part for part in parts if part) + "\n")


def told(setting: str) -> str:
    return setting.replace("_", " ")


def table(setting: str, points: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table: one line for each estimator, a column for each horizon, then cost."""
    horizons = sorted({row["horizon"] for row in rows})
    checkpoints = [f"{point['step']} (seed {point['seed']})" for point in points]
    lines = [
        f"# Estimators on {told(setting)}",
        "",
        "Centred similarity of column sums to the gains that branches measured, mean over checkpoints and "
        f"seeds (standard error, {over(points)}). Checkpoints: {', '.join(checkpoints)}, of "
        f"{points[0]['steps']} steps; every branch on {orders(points[0]['orders'])}.",
        "",
        "R2 of the linear law, each branch predicted from the others where there are enough, mean over "
        "checkpoints: " + ", ".join(f"{law_r2(points, horizon)} at {horizon}" for horizon in horizons) + ".",
        "",
        TERMS,
        "",
        *body(rows),
    ]
    return "\n".join(lines) + "\n"


TERMS = (
    f"`{OTHER_SEED}`: the same branches off other seeds' runs at the same step: what is known without the "
    f"luck of the run. `{NULL}`: what no knowledge scores, and the scatter of such a mean over these "
    f"checkpoints. `{BRANCHES}`: the law over a shorter horizon; the branches are the same, so part of their "
    f"noise is the longer law's, which flatters them. `change`: similarity less that of `{REFERENCE}` at the "
    "same checkpoints, over the longest horizon. Cost is of one estimate, beside ordinary training; `worth "
    "steps`: training steps of the same floating-point operations, other runs included."
)


def body(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table's lines."""
    horizons = sorted({row["horizon"] for row in rows})
    lines = [
        "| estimator | "
        + " | ".join(f"{h} steps" for h in horizons)
        + " | change | probe steps | tokens read | seconds | other runs | worth steps |",
        "|---|" + "---:|" * (len(horizons) + 6),
    ]
    for label in ordered(rows):
        mine = {row["horizon"]: row for row in rows if row["estimator"] == label}
        cells = [number(mine.get(horizon), "centred") for horizon in horizons]
        cells.append(number(mine.get(horizons[-1]), "change") if label != REFERENCE else "")
        cost = next(iter(mine.values()))["cost"]
        cells += [cost_cell(cost, key) for key in COSTS]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def orders(count: int) -> str:
    return "one order of the data" if count == 1 else f"{count} orders of the data"


def over(points: Sequence[Mapping[str, Any]]) -> str:
    return "over seeds" if len({point["seed"] for point in points}) > 1 else "over checkpoints"


def ordered(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels: the law of other seeds, estimators as measured, shorter branches, random numbers."""
    labels = list(dict.fromkeys(row["estimator"] for row in rows))
    return sorted(labels, key=lambda label: (label == NULL, label.startswith(BRANCHES), label != OTHER_SEED))


def cost_cell(cost: Mapping[str, float], key: str) -> str:
    if not cost:
        return "-"
    return f"{cost[key]:.1f}" if key in ("seconds", "worth_steps") else f"{cost[key]:.0f}"


def number(row: Mapping[str, Any] | None, key: str) -> str:
    if row is None or row[key] is None:
        return "-"
    error = row[f"{key}_error"]
    return f"{row[key]:+.2f}" + ("" if error is None else f" ({error:.2f})")


def law_r2(points: Sequence[Mapping[str, Any]], horizon: int) -> str:
    laws = [law for point in points for law in point["laws"] if law["horizon"] == horizon]
    found = [law["sums_r2"] if law["sums_held_out_r2"] is None else law["sums_held_out_r2"] for law in laws]
    known = [value for value in found if value is not None]
    return f"{np.mean(known):.3f}" if known else "-"
