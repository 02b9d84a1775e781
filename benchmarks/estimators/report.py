"""Tables of `benchmarks.estimators`, and the report made from the kept checkpoints alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.estimators.kept import POINTS, read_points
from benchmarks.estimators.plot import draw
from benchmarks.estimators.scores import (
    BEFORE,
    BRANCHES,
    NULL,
    OTHER_SEED,
    REFERENCE,
    Scores,
    holm,
    law_probabilities,
    over_settings,
    summary,
)

from aioli.files import replace_file, write_json

__all__ = ["table", "write_overview", "write_report"]

READING = "reading.md"
"""What a person concluded, beside the settings' folders."""
SURE = 0.05
COSTS = ("probe_steps", "evaluation_tokens", "seconds", "other_runs", "worth_steps")
HEADINGS = (
    "probe steps",
    "tokens read",
    "seconds in the run",
    "other runs",
    "worth steps",
    "beyond training",
)
Row = Mapping[str, Any]


def write_report(setting: str, out: Path) -> Scores:
    """Write table.json, table.md, pareto.svg and pareto.png beside the kept checkpoints; the scores.

    Raises:
        InputError: no checkpoints are kept there.
    """
    points = read_points(out / POINTS)
    scores = summary(points)
    write_json(out / "table.json", {"setting": setting, "rows": scores.rows})
    replace_file(out / "table.md", table(setting, points, scores.rows))
    draw(scores.rows, out)
    return scores


def write_overview(settings: Mapping[str, Scores], results: Path) -> Sequence[Row]:
    """Write RESULTS.md, what all settings say together, and its plots in RESULTS; READING stands first."""
    rows = over_settings(settings)
    draw(rows, results)
    reading = results / READING
    name = results.name
    links = " · ".join(
        f"[{told(each)}]({name}/{each}/table.md) ([plot]({name}/{each}/pareto.png))" for each in settings
    )
    parts = [
        "# Estimators: fidelity against cost",
        f"`python -m benchmarks.estimators --results {results.as_posix()}` measures; this file, tables and "
        f"plots from what is kept in `{name}/`: the same with `--report`. Setting by setting: {links}.",
        reading.read_text().strip() if reading.exists() else "",
        f"![Similarity over cost, mean over settings]({name}/pareto.png)",
        f"Mean over {len(settings)} settings of what all have; standard errors from the settings' own, over "
        f"seeds. {TERMS}",
        "\n".join(similarity_table(rows)),
        ELSEWHERE,
        "\n".join(evidence_table(rows)),
    ]
    replace_file(results.with_suffix(".md"), "\n\n".join(part for part in parts if part) + "\n")
    return rows


def told(setting: str) -> str:
    return setting.replace("_", " ")


def table(setting: str, points: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> str:
    """Markdown: similarity by horizon with cost, then what stands behind it."""
    horizons = sorted({row["horizon"] for row in rows})
    checkpoints = [f"{point['step']} (seed {point['seed']})" for point in points]
    parts = [
        f"# Estimators on {told(setting)}",
        "Centred similarity of column sums to the gains that branches measured, mean over checkpoints and "
        f"seeds (standard error, {over(points)}). Checkpoints: {', '.join(checkpoints)}, of "
        f"{points[0]['steps']} steps; every branch on {orders(points[0]['orders'])}.",
        "Checkpoints at which the branches tell groups apart (F test of the gains, p < .05): "
        + ", ".join(f"{told_apart(points, horizon)} over {horizon} steps" for horizon in horizons)
        + ". Where they do not, there may be nothing to be near to.",
        TERMS,
        "\n".join(similarity_table(rows)),
        ELSEWHERE,
        "\n".join(evidence_table(rows)),
    ]
    return "\n\n".join(parts) + "\n"


TERMS = (
    f"**Bold**: more similar than with the groups' names exchanged, p < {SURE} by a permutation test of all "
    f"checkpoints together, adjusted for the number of estimators (Holm). `{OTHER_SEED}`: the same branches "
    f"off other seeds' runs at the same step. `{BEFORE}`: those of the same run at the checkpoint before. "
    f"`{NULL}`: one random vector at all checkpoints, and how far it scatters. `{BRANCHES}`: the law over a "
    "shorter horizon; the branches are the same, so part of their noise is the longer law's, which flatters "
    f"them. `change`: similarity less that of `{REFERENCE}` at the same checkpoints, over the longest "
    "horizon; with three seeds a 95% interval is 4.3 standard errors wide on each side. Cost is of one "
    "estimate. `worth steps`: training steps of the same floating-point operations, other runs included; "
    "`beyond training`: without the probe steps, which train the model too, if on lopsided mixtures. "
    "`alignment` also reads validation losses for the objective's weights, which are all 1 here. Probes of 1 "
    "and 2 sweeps are the beginnings of those of 2 and 4."
)
ELSEWHERE = (
    "The same estimates against the laws of the other seeds' runs, with which they share no data and no "
    "order of it, and the permutation test's p, not adjusted:"
)


def similarity_table(rows: Sequence[Row]) -> list[str]:
    """Similarity by horizon, change, cost."""
    horizons = sorted({row["horizon"] for row in rows})
    lines = [
        "| " + " | ".join(["estimator", *(f"{h} steps" for h in horizons), "change", *HEADINGS]) + " |",
        "|---|" + "---:|" * (len(horizons) + 1 + len(HEADINGS)),
    ]
    sure = {(label, h) for h in horizons for label, p in adjusted(rows, h).items() if p < SURE}
    for label in ordered(rows):
        mine = {row["horizon"]: row for row in rows if row["estimator"] == label}
        cells = []
        for horizon in horizons:
            cell = number(mine.get(horizon), "centred")
            cells.append(f"**{cell}**" if (label, horizon) in sure else cell)
        cells.append(number(mine.get(horizons[-1]), "change") if label != REFERENCE else "")
        cost = next(iter(mine.values()))["cost"]
        cells += [cost_cell(cost, key) for key in COSTS]
        cells.append(f"{cost['worth_steps'] - cost['probe_steps']:.1f}" if cost else "-")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def evidence_table(rows: Sequence[Row]) -> list[str]:
    """Similarity to other seeds' laws by horizon, and p."""
    horizons = sorted({row["horizon"] for row in rows})
    heads = [*(f"other seeds, {h} steps" for h in horizons), *(f"p, {h} steps" for h in horizons)]
    lines = ["| estimator | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for label in ordered(rows):
        mine = {row["horizon"]: row for row in rows if row["estimator"] == label}
        if all(row["elsewhere"] is None for row in mine.values()):
            continue
        cells = [number(mine.get(horizon), "elsewhere") for horizon in horizons]
        known = [mine[horizon]["p"] if horizon in mine else None for horizon in horizons]
        cells += ["-" if p is None else f"{p:.3f}" for p in known]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def adjusted(rows: Sequence[Row], horizon: int) -> dict[str, float]:
    return holm({row["estimator"]: row["p"] for row in rows if row["horizon"] == horizon})


def orders(count: int) -> str:
    return "one order of the data" if count == 1 else f"{count} orders of the data"


def over(points: Sequence[Mapping[str, Any]]) -> str:
    return "over seeds" if len({point["seed"] for point in points}) > 1 else "over checkpoints"


def told_apart(points: Sequence[Mapping[str, Any]], horizon: int) -> str:
    found = law_probabilities(points, horizon)
    return f"{sum(p < SURE for p in found)} of {len(found)}"


def ordered(rows: Sequence[Row]) -> list[str]:
    """Labels: laws of other seeds and of before, estimators as measured, shorter branches, random numbers."""
    labels = list(dict.fromkeys(row["estimator"] for row in rows))
    first = {OTHER_SEED: 0, BEFORE: 1}
    return sorted(labels, key=lambda label: (label == NULL, label.startswith(BRANCHES), first.get(label, 2)))


def cost_cell(cost: Mapping[str, float], key: str) -> str:
    if not cost:
        return "-"
    return f"{cost[key]:.1f}" if key in ("seconds", "worth_steps") else f"{cost[key]:.0f}"


def number(row: Row | None, key: str) -> str:
    if row is None or row[key] is None:
        return "-"
    error = row.get(f"{key}_error")
    return f"{row[key]:+.2f}" + ("" if error is None else f" ({error:.2f})")
