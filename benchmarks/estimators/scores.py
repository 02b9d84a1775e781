"""Scores of the estimator bench: how near every estimate is to the law of the branches, over checkpoints.

All are scored against the same truth: column sums less their mean with curvature allowed for (`gains` of
`aioli.analysis.diagnosis`), by the centred similarity; an estimate that tells no group apart scores 0. Rows
that give it a scale: `random numbers`, `another seed's law` (branches of another seed's run at the same step;
drawing the law again within its standard errors would not do: they leave out what an order of the data does
to all branches) and `the law before` (branches of the same run at the checkpoint before).

Whether an estimator knows anything is a permutation test: the groups of all its estimates change names
together, by one permutation for all checkpoints and seeds of a setting, so that what checkpoints share cannot
pass for evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np
from scipy.special import fdtrc

from aioli.analysis.fidelity import centred, fidelity_of, similarities
from aioli.protocol import Array

__all__ = [
    "BEFORE",
    "BRANCHES",
    "NULL",
    "OTHER_SEED",
    "REFERENCE",
    "Scores",
    "holm",
    "law_probabilities",
    "over_settings",
    "summary",
]

REFERENCE = "probes 2x4"
"""The estimator that the others are compared with, at the same checkpoints: about Aioli's own sizes."""
NULL, OTHER_SEED, BEFORE, BRANCHES = "random numbers", "another seed's law", "the law before", "branches"
DRAWS = 2000
"""Permutations, where there are more, and random vectors."""

NAN = float("nan")

Point = Mapping[str, Any]
Row = dict[str, Any]


class Scores(NamedTuple):
    """Rows of a setting, and by estimator and horizon the mean similarity under every permutation [draws]."""

    rows: list[Row]
    permuted: dict[tuple[str, int], Array]


def summary(points: Sequence[Point]) -> Scores:
    """A row for each estimator and horizon: means over checkpoints and seeds with standard errors, and cost.

    `change` is that of the similarity against `REFERENCE` at the same checkpoints; `elsewhere` the similarity
    to the laws of the other seeds at the same step, with which nothing is shared, the order of the data
    included; `p` the permutation test's. None where something is not defined, or one checkpoint gives no
    error. Checkpoints of one seed are not independent: errors are those of the seeds' means, with one seed
    over its checkpoints; that of `OTHER_SEED` is over pairs of seeds as if there were as many as seeds. The
    error of `NULL` is how far one random vector, the same at all checkpoints, scatters.
    """
    rows: list[Row] = []
    permuted = {}
    for horizon in sorted({law["horizon"] for point in points for law in point["laws"]}):
        mine = [point for point in points if law_of(point, horizon)]
        truth = np.array([law_of(point, horizon)["gains"] for point in mine], dtype=np.float64)
        found = [estimates(point, horizon, points) for point in mine]
        for label in dict.fromkeys(label for each in found for label in each):
            kept = [number for number, each in enumerate(found) if label in each]
            sums = np.array([found[number][label] for number in kept])
            permuted[label, horizon] = permuted_means(sums, truth[kept])
            there = [mine[number] for number in kept]
            references = [found[number].get(REFERENCE) for number in kept]
            measured = measured_row(there, horizon, points, sums, truth[kept], references)
            p = None if label.startswith(BRANCHES) else chance(measured["centred"], permuted[label, horizon])
            costs = [point["estimates"].get(label, {}).get("cost") for point in there]
            told = {"estimator": label, "horizon": horizon, "checkpoints": len(kept)}
            rows.append(told | measured | {"p": p, "cost": mean_cost(costs)})
        rows += [row for row in (other_seed_row(mine, horizon), null_row(truth, horizon)) if row]
    return Scores(rows, permuted)


def measured_row(
    there: Sequence[Point],
    horizon: int,
    points: Sequence[Point],
    sums: Array,
    truth: Array,
    references: Sequence[Array | None],
) -> Row:
    """One estimator's means at these checkpoints, of its estimates [k, m]."""
    seeds = [point["seed"] for point in there]
    scores, base = (
        np.array([NAN if one is None else similar(one, row) for one, row in zip(each, truth, strict=True)])
        for each in (sums, references)
    )
    elsewhere = [elsewhere_of(point, one, horizon, points) for point, one in zip(there, sums, strict=True)]
    mean, error = mean_error(scores, seeds)
    change, change_error = mean_error(scores - base, seeds)
    return {
        "centred": mean,
        "centred_error": error,
        "elsewhere": mean_error(np.array(elsewhere), seeds)[0],
        "change": change,
        "change_error": change_error,
    }


def law_of(point: Point, horizon: int) -> Mapping[str, Any]:
    """{} where no branch of this checkpoint is so long."""
    return next((law for law in point["laws"] if law["horizon"] == horizon), {})


def estimates(point: Point, horizon: int, points: Sequence[Point]) -> dict[str, Array]:
    """[m] column sums by row: of estimators, shorter branches, and branches at the checkpoint before."""
    found = {label: np.array(each["sums"], dtype=np.float64) for label, each in point["estimates"].items()}
    for law in point["laws"]:
        if law["horizon"] < horizon:
            found[f"{BRANCHES} of {law['horizon']} steps"] = np.array(law["gains"], dtype=np.float64)
    earlier = [other for other in points if other["seed"] == point["seed"] and other["step"] < point["step"]]
    if earlier and (law := law_of(max(earlier, key=lambda other: other["step"]), horizon)):
        found[BEFORE] = np.array(law["gains"], dtype=np.float64)
    return found


def similar(ours: Array, truth: Array) -> float:
    """The centred similarity; 0 of what tells no group apart."""
    value = fidelity_of(ours, truth, centre=True).similarity
    return value if np.isfinite(value) else 0.0


def elsewhere_of(point: Point, ours: Array, horizon: int, points: Sequence[Point]) -> float:
    """Mean similarity to the laws of the other seeds at the same step; NaN without any."""
    laws = [
        law_of(other, horizon)
        for other in points
        if other["step"] == point["step"] and other["seed"] != point["seed"]
    ]
    found = [similar(ours, np.array(law["gains"], dtype=np.float64)) for law in laws if law]
    return float(np.mean(found)) if found else NAN


def permuted_means(sums: Array, truth: Array) -> Array:
    """[draws] mean similarity of estimates [k, m] to truths [k, m] with the groups' names exchanged."""
    orders = permuted_orders(truth.shape[1])
    each = np.empty((len(truth), len(orders)))
    for number, (ours, gains) in enumerate(zip(sums, truth, strict=True)):
        moved = ours[orders]
        values = similarities(centred(gains), moved - moved.mean(axis=1, keepdims=True))
        each[number] = np.where(np.isfinite(values), values, 0.0)
    return each.mean(axis=0)


def permuted_orders(m: int) -> Array:
    """[draws, m] all orders of m groups, or DRAWS of them, the groups' own first."""
    if m <= 6:
        return np.array(list(permutations(range(m))))
    rng = np.random.default_rng(m)
    return np.stack([np.arange(m), *(rng.permutation(m) for _ in range(DRAWS - 1))])


def chance(mean: float | None, permuted: Array) -> float | None:
    """The share of permutations under which the mean is as high, the one that was measured among them."""
    return None if mean is None else float((permuted >= mean - 1e-9).mean())


def holm(probabilities: Mapping[str, float | None]) -> dict[str, float]:
    """Adjusted for how many there are (Holm): the chance of one as small among all."""
    known = sorted((p, label) for label, p in probabilities.items() if p is not None)
    found, highest = {}, 0.0
    for place, (p, label) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - place)))
        found[label] = highest
    return found


def other_seed_row(points: Sequence[Point], horizon: int) -> Row | None:
    """The branches of every two seeds at the same step held against each other."""
    gains = {(point["seed"], point["step"]): np.array(law_of(point, horizon)["gains"]) for point in points}
    seeds, steps = (sorted({key[place] for key in gains}) for place in (0, 1))
    means = []
    for one, other in combinations(seeds, 2):
        both = [step for step in steps if (one, step) in gains and (other, step) in gains]
        if both:
            means.append(float(np.mean([similar(gains[one, step], gains[other, step]) for step in both])))
    if not means:
        return None
    error = float(np.std(means, ddof=1) / np.sqrt(len(seeds))) if len(means) > 1 else None
    return bare_row(OTHER_SEED, horizon, len(gains), float(np.mean(means)), error)


def null_row(truth: Array, horizon: int) -> Row:
    """One random vector at all checkpoints: the mean similarity's mean, and its standard deviation."""
    draws = np.random.default_rng(horizon).normal(size=(DRAWS, truth.shape[1]))
    draws -= draws.mean(axis=1, keepdims=True)
    means = np.mean([similarities(centred(gains), draws) for gains in truth], axis=0)
    return bare_row(NULL, horizon, len(truth), float(means.mean()), float(means.std()))


def bare_row(label: str, horizon: int, checkpoints: int, mean: float, error: float | None) -> Row:
    none = dict.fromkeys(("elsewhere", "change", "change_error", "p"))
    told = {"estimator": label, "horizon": horizon, "checkpoints": checkpoints}
    return told | {"centred": mean, "centred_error": error, "cost": {}} | none


def over_settings(settings: Mapping[str, Scores]) -> list[Row]:
    """Rows for what every setting has: the mean over settings, its standard error, and one test of all.

    The error comes from the settings' own errors: their runs are independent, and which settings were chosen
    is not counted. Permutations of the settings are independent.
    """
    by_key = [{(row["estimator"], row["horizon"]): row for row in each.rows} for each in settings.values()]
    rows = []
    for label, horizon in by_key[0]:
        mine = [each[label, horizon] for each in by_key if (label, horizon) in each]
        if len(mine) < len(by_key):
            continue
        row: Row = {
            "estimator": label,
            "horizon": horizon,
            "checkpoints": sum(each["checkpoints"] for each in mine),
            "cost": mean_cost([each["cost"] for each in mine]),
        }
        for key in ("centred", "elsewhere", "change"):
            values = [each[key] for each in mine]
            row[key] = None if None in values else float(np.mean(values))
        for key in ("centred_error", "change_error"):
            errors = [each[key] for each in mine]
            row[key] = None if None in errors else float(np.sqrt(np.sum(np.square(errors)))) / len(errors)
        row["p"] = None
        if all((label, horizon) in each.permuted for each in settings.values()):
            rng = np.random.default_rng(horizon)
            drawn = [rng.choice(each.permuted[label, horizon], 10 * DRAWS) for each in settings.values()]
            row["p"] = chance(row["centred"], np.append(np.mean(drawn, axis=0), row["centred"]))
        rows.append(row)
    return rows


def law_probabilities(points: Sequence[Point], horizon: int) -> list[float]:
    """At each checkpoint the probability of gains so large from noise alone (F test), where it is known."""
    found = []
    for point in points:
        law = law_of(point, horizon)
        if law and law.get("gain_freedom"):
            gains, errors = (np.array(law[key], dtype=np.float64) for key in ("gains", "gain_errors"))
            ratio = float((gains**2).mean() / max(float((errors**2).mean()), 1e-300))
            found.append(float(fdtrc(gains.size - 1, law["gain_freedom"], ratio)))
    return found


def mean_cost(costs: Sequence[Mapping[str, float] | None]) -> dict[str, float]:
    known = [cost for cost in costs if cost]
    return {key: float(np.mean([cost[key] for cost in known])) for key in known[0]} if known else {}


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
