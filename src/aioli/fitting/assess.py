"""How well a law predicts runs that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from aioli.errors import InputError
from aioli.laws.static.held_out import folds, mixture_of, out_of_fold
from aioli.protocol import Array
from aioli.static_law import StaticLaw
from aioli.table import Table

__all__ = [
    "LearningCurve",
    "Scores",
    "assess",
    "held_out_predictions",
    "learning_curve",
    "score",
    "target_weights",
]

ENOUGH_PREDICTIONS = 400
"""Held-out predictions that are aimed at: small tables are split more often."""
MOST_SPLITS = 3
FEW_RUNS = 60
"""Tables with fewer distinct mixtures are split into 10 folds, others into 5."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Out-of-fold quality; every split predicts each run once, by a law that has not seen its mixture.

    Attributes:
        columns: [c] the targets, then "objective", their weighted mean.
        r2, mae, spearman: [splits, c] share of variance explained, mean absolute error in nats, rank
            correlation; NaN where all losses are the same.
        regret: [splits] objective of the run that the law ranks best minus that of the best run, in nats.
    """

    columns: tuple[str, ...]
    r2: Array
    mae: Array
    spearman: Array
    regret: Array

    def summary(self) -> dict[str, Any]:
        """Means over the splits by column, as plain values; None where not defined."""
        kinds = ("r2", "mae", "spearman")
        means = {kind: dict(zip(self.columns, _plain(getattr(self, kind)), strict=True)) for kind in kinds}
        return {"splits": len(self.regret), "regret": float(self.regret.mean()), **means}


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Quality on the other runs of a law fitted to some of them, by the number of runs fitted.

    Attributes:
        counts: [s] runs fitted. spearman, mae: [s, repeats] of the objective on the runs left out.
        regret: [s, repeats] in nats, among the runs left out.
    """

    counts: tuple[int, ...]
    spearman: Array
    mae: Array
    regret: Array


def target_weights(table: Table, weights: Sequence[float] | Array | None) -> Array:
    """[n] weights of the targets in the objective, >= 0 with sum 1; None: equal.

    Raises:
        InputError: another number of weights, negative ones, or none above 0.
    """
    given = np.ones(table.n) if weights is None else np.array(weights, dtype=np.float64)
    if given.shape != (table.n,) or not np.isfinite(given).all() or given.min() < 0 or given.sum() <= 0:
        raise InputError(
            f"the objective needs one weight >= 0 for each of {table.n} targets, not all 0, got {weights}"
        )
    return given / given.sum()


def held_out_predictions(law: StaticLaw, table: Table, splits: int | None = None, seed: int = 0) -> Array:
    """[splits, k, n] predictions of every run by the law fitted to folds without its mixture.

    Raises:
        InputError: splits below 1, or too few runs for the law once a fold is held out.
    """
    if splits is not None and splits < 1:
        raise InputError(f"splits must be at least 1, got {splits}")
    distinct = int(mixture_of(table).max()) + 1
    count = min(distinct, 10 if distinct < FEW_RUNS else 5)
    wanted = splits or min(MOST_SPLITS, -(-ENOUGH_PREDICTIONS // len(table)))
    return np.stack(
        [
            out_of_fold(law, table, folds(table, count, seed + split), seed)
            for split in range(1 if count == distinct else wanted)
        ]
    )


def score(predictions: Array, table: Table, weights: Array) -> Scores:
    """Scores of held-out predictions [splits, k, n] under target weights [n]."""
    truth = np.column_stack([table.losses, table.losses @ weights])
    told = np.concatenate([predictions, (predictions @ weights)[..., None]], axis=2)
    variance = truth.var(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(variance > 0, 1 - ((told - truth) ** 2).mean(axis=1) / variance, np.nan)
    ranks = np.stack([spearman_columns(one, truth) for one in told])
    best = told[:, :, -1].argmin(axis=1)
    regret = truth[best, -1] - truth[:, -1].min()
    return Scores((*table.targets, "objective"), r2, np.abs(told - truth).mean(axis=1), ranks, regret)


def assess(
    law: StaticLaw,
    table: Table,
    *,
    splits: int | None = None,
    seed: int = 0,
    weights: Sequence[float] | Array | None = None,
) -> Scores:
    """Repeated cross-validation: R2, MAE, Spearman and regret, see `Scores`.

    Each of `splits` random divisions of the distinct mixtures into 5 folds (10 where fewer than 60) predicts
    every run; None: as many as give 400 predictions, at most 3.

    Raises:
        InputError: too few runs for the law once a fold is held out, or bad weights.
    """
    objective = target_weights(table, weights)
    return score(held_out_predictions(law, table, splits, seed), table, objective)


def learning_curve(
    law: StaticLaw,
    table: Table,
    counts: Sequence[int],
    *,
    repeats: int = 5,
    seed: int = 0,
    weights: Sequence[float] | Array | None = None,
) -> LearningCurve:
    """Fit random parts of a table, test on the rest: what more runs would have bought.

    Raises:
        InputError: counts that leave fewer than 3 runs to test on, or too few for the law.
    """
    objective = target_weights(table, weights)
    if not counts or repeats < 1 or min(counts) < 1 or max(counts) > len(table) - 3:
        raise InputError(
            f"a learning curve of {len(table)} runs needs repeats >= 1 and counts from 1 to {len(table) - 3} "
            f"(3 are left to test on), got {repeats} and {list(counts)}"
        )
    found = np.empty((3, len(counts), repeats))
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(table))
        for row, count in enumerate(counts):
            fitted = law.fit(table.rows(order[:count]), seed=seed)
            rest = table.rows(order[count:])
            one = score(fitted.predict(rest.mixtures, rest.size, rest.tokens)[None], rest, objective)
            found[:, row, repeat] = one.spearman[0, -1], one.mae[0, -1], one.regret[0]
    return LearningCurve(tuple(counts), *found)


def spearman_columns(first: Array, second: Array) -> Array:
    """[c] rank correlations of the columns of two arrays [k, c]; NaN where one is constant.

    >>> spearman_columns(np.array([[1.0], [2.0], [3.0]]), np.array([[10.0], [30.0], [20.0]])).round(6)
    array([0.5])
    """
    a, b = (rankdata(one, axis=0) - (len(one) + 1) / 2 for one in (first, second))
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), size, out=np.full(a.shape[1], np.nan), where=size > 0)


def _plain(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values.mean(axis=0)]
