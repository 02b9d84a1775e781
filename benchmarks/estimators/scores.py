"""Scores of the estimator bench: how near every estimate is to the law of the branches, over checkpoints.

All are scored against the same truth: column sums less their mean with curvature allowed for (`gains` of
`aioli.analysis.diagnosis`), by the centred similarity. Two rows give it a scale: `random numbers`, and
`another seed's law`, the branches of another seed's run at the same step. Drawing the law
again within its standard errors would not do: they leave out what an order of the data does to all branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aioli.analysis.fidelity import centred, fidelity_of, similarities
from aioli.protocol import Array

REFERENCE = "probes 2x4"
"""The estimator that the others are compared with, at the same checkpoints: about Aioli's own sizes."""
NULL, OTHER_SEED, BRANCHES = "random numbers", "another seed's law", "branches"
DRAWS = 400
NAN = float("nan")

Point = Mapping[str, Any]


def summary(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row for each estimator and horizon: means over checkpoints and seeds with standard errors, and cost.

    `change` is that of the centred similarity against `REFERENCE` at the same checkpoints. None where a
    similarity is not defined, or one checkpoint gives no error. Checkpoints of one seed are not independent:
    errors are those of the seeds' means, with one seed over its checkpoints. The error of `NULL` is how far
    the mean of one random estimator scatters over as many checkpoints.
    """
    rows = []
    for horizon in sorted({law["horizon"] for point in points for law in point["laws"]}):
        scored = [(point["seed"], at_horizon(point, horizon, points)) for point in points]
        seeds, found = [seed for seed, each in scored if each], [each for _, each in scored if each]
        base = column(found, REFERENCE, "centred")
        for label in dict.fromkeys(label for each in found for label in each):
            scores, spread = column(found, label, "centred"), column(found, label, "spread")
            mean, error = mean_error(scores, seeds)
            if np.isfinite(spread).any():
                error = float(np.sqrt(np.nansum(spread**2)) / np.isfinite(spread).sum())
            change, change_error = mean_error(scores - base, seeds)
            rows.append(
                {
                    "estimator": label,
                    "horizon": horizon,
                    "checkpoints": int(np.isfinite(scores).sum()),
                    "centred": mean,
                    "centred_error": error,
                    "raw": mean_error(column(found, label, "raw"), seeds)[0],
                    "change": change,
                    "change_error": change_error,
                    "cost": mean_cost([each[label].get("cost") for each in found if label in each]),
                }
            )
    return rows


def over_settings(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of `summary` for what every setting has: the mean over settings, and its standard error.

    The error comes from the settings' own errors: their runs are independent, and which settings were chosen
    is not counted.
    """
    by_key = [{(row["estimator"], row["horizon"]): row for row in rows} for rows in settings.values()]
    rows = []
    for label, horizon in by_key[0]:
        mine = [each[label, horizon] for each in by_key if (label, horizon) in each]
        if len(mine) < len(by_key):
            continue
        row: dict[str, Any] = {
            "estimator": label,
            "horizon": horizon,
            "checkpoints": sum(each["checkpoints"] for each in mine),
            "cost": mean_cost([each["cost"] for each in mine]),
        }
        for key in ("centred", "raw", "change"):
            values = [each[key] for each in mine]
            row[key] = None if None in values else float(np.mean(values))
        for key in ("centred_error", "change_error"):
            errors = [each[key] for each in mine]
            row[key] = None if None in errors else float(np.sqrt(np.sum(np.square(errors)))) / len(errors)
        rows.append(row)
    return rows


def column(found: Sequence[Mapping[str, Mapping[str, Any]]], label: str, key: str) -> Array:
    """[checkpoints] of one estimator; NaN where it has none."""
    return np.array([each.get(label, {}).get(key, NAN) for each in found], dtype=np.float64)


def mean_cost(costs: Sequence[Mapping[str, float] | None]) -> dict[str, float]:
    known = [cost for cost in costs if cost]
    return {key: float(np.mean([cost[key] for cost in known])) for key in known[0]} if known else {}


def at_horizon(point: Point, horizon: int, points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """Similarities and cost by estimator at one checkpoint; {} where no branch is so long.

    Args:
        points: all checkpoints, those of other seeds among them.
    """
    laws = {law["horizon"]: law for law in point["laws"]}
    if horizon not in laws:
        return {}
    gains, sums = (np.array(laws[horizon][key], dtype=np.float64) for key in ("gains", "sums"))
    found: dict[str, dict[str, Any]] = {}
    for label, estimate in point["estimates"].items():
        ours = np.array(estimate["sums"], dtype=np.float64)
        found[label] = {
            "centred": fidelity_of(ours, gains, centre=True).similarity,
            "raw": fidelity_of(ours, sums).similarity if estimate["matrix"] else NAN,
            "cost": estimate["cost"],
        }
    for other, law in laws.items():
        if other < horizon:
            found[f"{BRANCHES} of {other} steps"] = {
                "centred": fidelity_of(np.array(law["gains"]), gains, centre=True).similarity,
                "raw": fidelity_of(np.array(law["sums"]), sums).similarity,
            }
    rng = np.random.default_rng([point["seed"], point["step"], horizon])
    found[NULL] = spread_of(rng.normal(size=(DRAWS, gains.size)), gains)
    if others := other_seeds(point, horizon, points):
        similar = [fidelity_of(other, gains, centre=True).similarity for other in others]
        found[OTHER_SEED] = {"centred": float(np.mean(similar))}
    return found


def other_seeds(point: Point, horizon: int, points: Sequence[Point]) -> list[Array]:
    """Gains [m] that the branches of each other seed gave at the same step and horizon."""
    return [
        np.array(law["gains"], dtype=np.float64)
        for other in points
        if other["step"] == point["step"] and other["seed"] != point["seed"]
        for law in other["laws"]
        if law["horizon"] == horizon
    ]


def spread_of(draws: Array, gains: Array) -> dict[str, float]:
    """Mean and standard deviation of the similarity over draws [d, m]."""
    values = similarities(centred(gains), draws - draws.mean(axis=1, keepdims=True))
    known = values[np.isfinite(values)]
    if not known.size:
        return {"centred": NAN, "spread": NAN}
    return {"centred": float(known.mean()), "spread": float(known.std())}


def mean_error(values: Array, seeds: Sequence[int]) -> tuple[float | None, float | None]:
    """Mean and standard error of the finite values, of one seed each; None where there are too few."""
    known = np.isfinite(values)
    if not known.any():
        return None, None
    by_seed = [values[known & (np.array(seeds) == seed)] for seed in dict.fromkeys(seeds)]
    each = [float(mine.mean()) for mine in by_seed if mine.size]
    kept = np.array(each) if len(each) > 1 else values[known]
    error = float(kept.std(ddof=1) / np.sqrt(kept.size)) if kept.size > 1 else None
    return float(values[known].mean()), error
