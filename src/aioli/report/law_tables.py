"""Tables of a diagnosis: how good the law is, what each group gains, how near methods are to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aioli.analysis.numbers import MISSING, count, quantity
from aioli.fitting.dynamic import critical
from aioli.protocol import Array
from aioli.report.html_tables import Cell, Table
from aioli.report.law_reading import critical_of_gains, curved

__all__ = ["fidelity_table", "gain_table", "quality_table"]

Diagnosis = Mapping[str, Any]
Law = Mapping[str, Any]


def quality_table(diagnosis: Diagnosis, *, by_seed: bool = False) -> Table:
    """R2, curvature and noise of the law at every checkpoint and horizon: of all seeds, or of each."""
    rows = []
    for begin, laws in _laws(diagnosis, by_seed):
        bent = [number for law in laws if (number := curved(law)) is not None]
        of = sum(len(law["curvature"]) for law in laws)
        rows.append(
            (
                *begin,
                Cell(count(laws[0]["branches"]), value=laws[0]["branches"]),
                *(_middle([law[key] for law in laws]) for key in ("sums_r2", "sums_held_out_r2")),
                *(_middle([value for law in laws for value in law[key]]) for key in ("r2", "held_out_r2")),
                Cell(f"{sum(bent)} of {of}", value=sum(bent)) if bent else Cell(MISSING),
                _middle([value for law in laws for value in law["noise"]], digits=4),
            )
        )
    several = len(diagnosis["seeds"]) > 1 and not by_seed
    caption = (
        "R2: share of the variance between branches that the law explains; held out: each branch predicted "
        "from the others. Sums: of the weighted sum of targets. "
        + ("The median over seeds, and targets, below it the range. " if several else "")
        + ("" if several else "By target: the median, below it the range. ")
        + "Curved: targets whose residual curvature is beyond its 95% interval, which a linear law misses. "
        + "Noise: "
        + ("of the mean of a branch's orders." if diagnosis.get("orders", 1) > 1 else "of a branch.")
    )
    headings = ("Checkpoint", "Horizon", "Branches", "R2 of sums", "R2 of sums, held out")
    targets = ("R2 by target", "R2 by target, held out", "Curved", "Noise, nats")
    return Table(caption, headings + targets, tuple(rows))


def gain_table(diagnosis: Diagnosis, *, by_seed: bool = False) -> Table:
    """Column sums of A* less their mean, with errors: the mean over seeds, or of each seed."""
    several = len(diagnosis["seeds"]) > 1 and not by_seed
    rows = []
    if several:
        for row in diagnosis["pooled"]:
            errors = np.array(row["gain_errors"], dtype=np.float64)
            limit = critical(row["seeds"] - 1) if row["seeds"] > 1 else float("nan")
            rows.append((*_place(row), *_gain_cells(np.array(row["gains"]), errors, limit)))
    else:
        for begin, (law,) in _laws(diagnosis, True):
            gains, errors = np.array(law["gains"]), np.array(law["gain_errors"])
            rows.append((*begin, *_gain_cells(gains, errors, critical_of_gains(law))))
    caption = (
        "Column sums of A* less their mean, with curvature allowed for, hundredths of a nat, "
        + ("means over seeds with standard errors over them. " if several else "with standard errors. ")
        + "Coloured where the 95% interval excludes 0."
    )
    return Table(caption, ("Checkpoint", "Horizon", *diagnosis["groups"]), tuple(rows))


def _gain_cells(gains: Array, errors: Array, limit: float) -> list[Cell]:
    return [
        Cell(
            f"{100 * value:+.2f}",
            f"± {100 * error:.2f}" if np.isfinite(error) else "",
            float(value),
            ("lower" if value > 0 else "higher") if abs(value) > limit * error else "undecided",
        )
        for value, error in zip(gains, errors, strict=True)
    ]


def _laws(diagnosis: Diagnosis, by_seed: bool) -> Iterator[tuple[tuple[Cell, ...], list[Law]]]:
    """First cells, and laws of one row: of each seed, or of all seeds at a checkpoint and horizon."""
    together: dict[tuple[int, int], list[Law]] = {}
    for point in diagnosis["points"]:
        for law in point["laws"]:
            if by_seed:
                yield _place(point | {"horizon": law["horizon"]}, _of_seed(diagnosis, point)), [law]
            together.setdefault((point["step"], law["horizon"]), []).append(law)
    if not by_seed:
        for (step, horizon), laws in together.items():
            yield _place({"step": step, "horizon": horizon}), laws


def _place(row: Mapping[str, Any], below: str = "") -> tuple[Cell, Cell]:
    return (
        Cell(count(row["step"]), below, row["step"]),
        Cell(count(row["horizon"]), value=row["horizon"]),
    )


def _of_seed(diagnosis: Diagnosis, point: Mapping[str, Any]) -> str:
    return f"seed {point['seed']}" if len(diagnosis["seeds"]) > 1 else ""


def fidelity_table(diagnosis: Diagnosis) -> Table:
    """Similarity of every method at every checkpoint and horizon, and what knowing its law took."""
    rows = []
    for point in diagnosis["points"]:
        for row in point["fidelity"]:
            cost = row["cost"]
            rows.append(
                (
                    Cell(row["label"], value=row["label"]),
                    Cell(count(point["step"]), _of_seed(diagnosis, point), point["step"]),
                    Cell(count(row["horizon"]), value=row["horizon"]),
                    *(_similar(row[key]) for key in ("centred", "raw")),
                    *(_number((row[key] or {}).get("cosine")) for key in ("centred", "raw")),
                    _number(row["centred"]["spearman"]),
                    Cell(count(cost["probe_steps"]), value=cost["probe_steps"]),
                    Cell(quantity(cost["evaluation_tokens"]), value=cost["evaluation_tokens"]),
                )
            )
    headings = ("Method", "Checkpoint", "Horizon", "Centred", "Raw", "Cosine, centred", "Cosine, raw")
    caption = (
        "Similarity, its range over redraws of A*, its halves, and what it took the method to know its law."
    )
    return Table(caption, (*headings, "Rank correlation", "Probe steps", "Evaluation tokens"), tuple(rows))


def _similar(found: Mapping[str, Any] | None) -> Cell:
    if found is None or found["similarity"] is None:
        return Cell(MISSING)
    between = "" if found["low"] is None else f"{found['low']:+.2f} to {found['high']:+.2f}"
    return Cell(f"{found['similarity']:+.2f}", between, found["similarity"])


def _number(value: float | None) -> Cell:
    return Cell(MISSING if value is None else f"{value:.3f}", value=value)


def _middle(values: Sequence[float | None], digits: int = 3) -> Cell:
    known = [value for value in values if value is not None]
    if not known:
        return Cell(MISSING)
    middle = float(np.median(known))
    between = f"{min(known):.{digits}f} to {max(known):.{digits}f}" if len(known) > 1 else ""
    return Cell(f"{middle:.{digits}f}", between, middle)
