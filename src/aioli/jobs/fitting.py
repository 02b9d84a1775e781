"""Fitting a law to runs, and predicting others with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError, nearest
from aioli.fitting.assess import learning_curve, spearman_columns
from aioli.fitting.fit import Fit, Prediction, fit
from aioli.fitting.registry import describe_law
from aioli.jobs.wishes import by_name
from aioli.table import Runs, Table
from aioli.table_files import write_predictions

__all__ = [
    "aligned",
    "check_fit_name",
    "chosen_targets",
    "compare",
    "describe_curve",
    "describe_fit",
    "fit_runs",
    "predict_runs",
    "write_losses",
]

CURVE_POINTS = 6
LEFT_OUT = 0.2
"""Share of the runs that the last point of a learning curve is tested on, at least."""


def check_fit_name(path: Path) -> None:
    """Refuse a name that a fit cannot be written to, before anything is computed."""
    if path.suffix != ".json":
        raise InputError(f"a fit is written as .json, got {path}")


def chosen_targets(table: Table, targets: Sequence[str] | None) -> Table:
    """The table with these targets alone, in this order; None: all.

    Raises:
        InputError: an unknown target.
    """
    if not targets:
        return table
    for name in targets:
        if name not in table.targets:
            raise InputError(f"--target names an unknown target {name!r}; {nearest(name, table.targets)}")
    columns = [table.targets.index(name) for name in targets]
    return replace(table, targets=tuple(targets), losses=table.losses[:, columns])


def fit_runs(
    table: Table,
    law: str = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
    replicates: int | None = None,
    splits: int | None = None,
    seed: int = 0,
) -> Fit:
    """A law fitted to runs; weights of the targets by name, those not named 0.

    Raises:
        InputError: as `aioli.fitting.fit.fit`; settings without a law that they belong to.
    """
    if settings and law == "auto":
        raise InputError(f"--set law.{next(iter(settings))} needs a law to set it of: name one with --law")
    known = None if weights is None else by_name("weights", weights, table.targets, 0.0)
    chosen = {law: dict(settings)} if settings else law
    return fit(table, chosen, replicates=replicates, splits=splits, seed=seed, weights=known)


def describe_fit(fitted: Fit) -> dict[str, Any]:
    """What `aioli fit` prints: the law, those compared, scores on held-out runs, and warnings."""
    table = fitted.table
    return {
        "law": describe_law(fitted.law),
        "runs": len(table),
        "groups": list(table.groups),
        "targets": list(table.targets),
        "parameters": fitted.law.parameters(table.m),
        "replicates": len(fitted.replicates),
        "weights": dict(zip(table.targets, fitted.weights.tolist(), strict=True)),
        "scores": None if fitted.scores is None else fitted.scores.summary(),
        "candidates": [asdict(candidate) for candidate in fitted.candidates],
        "warnings": list(fitted.warnings),
    }


def describe_curve(fitted: Fit) -> list[dict[str, float | None]]:
    """Quality on left-out runs of the law fitted to fewer runs: {runs, spearman, mae, regret} each.

    Raises:
        InputError: too few runs for two points.
    """
    table = fitted.table
    least = max((fitted.law.parameters(table.m) or table.m) + 1, 4)
    most = min(int(len(table) * (1 - LEFT_OUT)), len(table) - 3)
    if most <= least:
        raise InputError(
            f"a learning curve needs more than {least} runs to fit and {len(table) - most} to test on, and "
            f"there are {len(table)}"
        )
    counts = sorted({round(count) for count in np.geomspace(least, most, CURVE_POINTS)})
    curve = learning_curve(fitted.law, table, counts, seed=fitted.seed, weights=fitted.weights)
    return [
        {
            "runs": count,
            "spearman": _number(curve.spearman[row].mean()),
            "mae": _number(curve.mae[row].mean()),
            "regret": _number(curve.regret[row].mean()),
        }
        for row, count in enumerate(curve.counts)
    ]


def aligned(fitted: Fit, runs: Runs) -> Runs:
    """The runs with their groups (and targets) in the order of the fit.

    Raises:
        InputError: other groups, or targets, than those of the fit.
    """
    groups = _places("group", fitted.table.groups, runs.groups)
    changes: dict[str, Any] = {"groups": fitted.table.groups, "mixtures": runs.mixtures[:, groups]}
    if isinstance(runs, Table):
        targets = _places("target", fitted.table.targets, runs.targets)
        changes |= {"targets": fitted.table.targets, "losses": runs.losses[:, targets]}
    return replace(runs, **changes)


def predict_runs(
    fitted: Fit, runs: Runs, *, size: float | None = None, tokens: float | None = None
) -> Prediction:
    """Losses of runs, at their own scale or at the one that is given for all.

    Raises:
        InputError: a scale that the runs already have, or that is not positive.
    """
    scales = []
    for what, given, known in (("size", size, runs.size), ("tokens", tokens, runs.tokens)):
        if given is not None and known is not None:
            raise InputError(f"the table has a column {what}: leave it out there, or in the command")
        if given is not None and not (np.isfinite(given) and given > 0):
            raise InputError(f"{what} must be positive, got {given:g}")
        scales.append(known if given is None else np.full(len(runs), given))
    return fitted.predict(runs.mixtures, *scales)


def compare(fitted: Fit, prediction: Prediction, truth: Table) -> dict[str, dict[str, float | None]]:
    """{target: {spearman, mae, r2, covered}} of predictions, and the same of the weighted objective.

    `covered` is the share of runs whose loss lies in its 95% interval.
    """
    told = np.column_stack([prediction.losses, prediction.losses @ fitted.weights])
    losses = np.column_stack([truth.losses, truth.losses @ fitted.weights])
    variance = losses.var(axis=0)
    error = ((told - losses) ** 2).mean(axis=0)
    r2 = 1 - np.divide(error, variance, out=np.full(len(variance), np.nan), where=variance > 0)
    inside = ((truth.losses >= prediction.low) & (truth.losses <= prediction.high)).mean(axis=0)
    columns = (spearman_columns(told, losses), np.abs(told - losses).mean(axis=0), r2, [*inside, np.nan])
    keys = ("spearman", "mae", "r2", "covered")
    names = (*fitted.table.targets, "objective")
    return {
        name: {key: _number(column[i]) for key, column in zip(keys, columns, strict=True)}
        for i, name in enumerate(names)
    }


def write_losses(path: Path, fitted: Fit, runs: Runs, prediction: Prediction, *, intervals: bool) -> None:
    """Write predicted losses, a column a target; with `intervals` also TARGET/low and TARGET/high.

    Raises:
        InputError: a suffix of no known format.
    """
    names, columns = [*fitted.table.targets], [prediction.losses]
    if intervals:
        names += [f"{name}/low" for name in fitted.table.targets]
        names += [f"{name}/high" for name in fitted.table.targets]
        columns += [prediction.low, prediction.high]
    write_predictions(path, runs, names, np.hstack(columns))


def _places(kind: str, wanted: Sequence[str], given: Sequence[str]) -> list[int]:
    for name in given:
        if name not in wanted:
            raise InputError(f"the fit has no {kind} {name!r}; {nearest(name, wanted)}")
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputError(f"the fit has {kind}s that the table lacks: {', '.join(missing)}")
    return [list(given).index(name) for name in wanted]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
