"""The choice of a law by cross-validation on the table alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.fitting.assess import Scores, held_out_predictions, score
from aioli.fitting.registry import build_law, describe_law
from aioli.laws.static.average import Average, stacked_weights
from aioli.protocol import Array
from aioli.static_law import StaticLaw
from aioli.table import Table

__all__ = ["CANDIDATES", "Candidate", "Choice", "choose", "normalised_errors"]

CANDIDATES = ("linear", "log_linear", "bimix", "additive", "effective")
"""Laws of mixtures that are compared when none is named; averages of them join in."""
FREE_FORM = ("gaussian_process", "trees")
"""Compared as well where no law of a given form explains enough: they cannot extrapolate."""
EXPLAINED = 0.9
"""Share of the variance, mean over targets, that is enough."""
SCALED = ("joint",)
"""Laws compared where the runs differ in size or tokens."""
LEAST_WEIGHT = 0.05
"""Members of an average with less weight are left out of it."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A law that was compared.

    Attributes:
        law: its plain values. parameters: numbers a target, None where not fixed.
        error: mean absolute held-out error, each target in units of its standard deviation.
        behind: mean difference of error from the lowest, with its standard error over runs, behind_error.
        scores: means over splits, see `Scores.summary`. seconds: of its cross-validation.
        refused: why the law could not be fitted; then nothing else is known.
    """

    law: dict[str, Any]
    parameters: int | None = None
    error: float | None = None
    behind: float | None = None
    behind_error: float | None = None
    scores: dict[str, Any] | None = None
    seconds: float = 0.0
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Choice:
    """The chosen law, its held-out predictions [splits, k, n] and scores, and all that were compared."""

    law: StaticLaw
    predictions: Array
    scores: Scores
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, eq=False)
class _Tried:
    law: StaticLaw
    predictions: Array
    seconds: float


def choose(
    table: Table,
    weights: Array,
    *,
    splits: int | None = None,
    seed: int = 0,
    laws: Sequence[StaticLaw | str] | None = None,
) -> Choice:
    """The simplest law whose held-out error cannot be told from the lowest.

    Every candidate predicts the same held-out runs (see `assess`). Trees and Gaussian processes, which know
    nothing beyond the runs where the optimum may lie, join in only where every law of a given form leaves
    more than a tenth of the held-out variance. Averages are made from the predictions at no further cost:
    of the best two with equal weights, and of all with weights that minimise the squared held-out error
    (scored with weights found on other runs). A law's error on a run is the mean over targets, weighted as
    the objective, of |predicted - measured| / standard deviation. Laws whose mean error exceeds the lowest by
    at most one standard error of the paired differences are tied; of these the one with the fewest numbers
    is chosen, those without a fixed number last.

    Raises:
        InputError: no candidate can be fitted to the table; the message says why for each.
    """
    tried, refused = _try_all(laws or _usual(table), table, splits, seed)
    if laws is None and not any(_explains(one, table, weights) for one in tried):
        more = _try_all(FREE_FORM, table, splits, seed)
        tried, refused = tried + more[0], refused + more[1]
    if not tried:
        reasons = "; ".join(f"{next(iter(one.law))}: {one.refused}" for one in refused)
        raise InputError(f"no law can be compared on these {len(table)} runs: {reasons}")
    errors = [normalised_errors(one.predictions, table, weights) for one in tried]
    for average, error in _averages(tried, errors, table, weights, seed):
        tried.append(average)
        errors.append(error)
    means = np.array([error.mean() for error in errors])
    best = errors[int(means.argmin())]
    differences = np.stack([error - best for error in errors])
    behind, spread = differences.mean(axis=1), differences.std(axis=1) / np.sqrt(len(table))
    tied = [one for one in range(len(tried)) if behind[one] <= spread[one] or behind[one] == 0]
    chosen = min(tied, key=lambda one: (*_complexity(tried[one].law, table.m), means[one]))
    candidates = [
        Candidate(
            describe_law(one.law),
            one.law.parameters(table.m),
            float(means[row]),
            float(behind[row]),
            float(spread[row]),
            score(one.predictions, table, weights).summary(),
            one.seconds,
        )
        for row, one in enumerate(tried)
    ]
    law, predictions = tried[chosen].law, tried[chosen].predictions
    return Choice(law, predictions, score(predictions, table, weights), (*candidates, *refused))


def normalised_errors(predictions: Array, table: Table, weights: Array) -> Array:
    """[k] mean over splits and weighted targets of |predicted - measured| / standard deviation."""
    deviation = table.losses.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return (np.abs(predictions - table.losses) / scale).mean(axis=0) @ weights


def _usual(table: Table) -> Sequence[str]:
    scales = [scale for scale in (table.size, table.tokens) if scale is not None]
    return SCALED if any(np.ptp(one) > 0 for one in scales) else CANDIDATES


def _try_all(
    laws: Sequence[StaticLaw | str], table: Table, splits: int | None, seed: int
) -> tuple[list[_Tried], list[Candidate]]:
    """What can be fitted, and what cannot with the reason."""
    tried: list[_Tried] = []
    refused: list[Candidate] = []
    for named in laws:
        start = time.perf_counter()
        plain = {named: {}} if isinstance(named, str) else describe_law(named)
        try:
            law = build_law(named)
            predictions = held_out_predictions(law, table, splits, seed)
        except InputError as error:
            refused.append(Candidate(plain, refused=str(error)))
        else:
            tried.append(_Tried(law, predictions, time.perf_counter() - start))
    return tried, refused


def _explains(one: _Tried, table: Table, weights: Array) -> bool:
    """Whether enough of the held-out variance is explained, mean over targets that vary."""
    varies = (np.ptp(table.losses, axis=0) > 0) & (weights > 0)
    if not varies.any():
        return True
    r2 = score(one.predictions, table, weights).r2.mean(axis=0)[:-1]
    return float(np.average(r2[varies], weights=weights[varies])) >= EXPLAINED


def _averages(
    tried: Sequence[_Tried], errors: Sequence[Array], table: Table, weights: Array, seed: int
) -> list[tuple[_Tried, Array]]:
    """Averages with their held-out errors [k]."""
    if len(tried) < 2:
        return []
    order = sorted(range(len(tried)), key=lambda one: float(errors[one].mean()))
    pair = [tried[one] for one in order[:2]]
    found = [_mean_of(pair, np.array([0.5, 0.5]))]
    told = [one.predictions.mean(axis=0) for one in tried]
    shares = stacked_weights(told, table.losses)
    kept = np.flatnonzero(shares >= LEAST_WEIGHT)
    if kept.size > 1:
        members = [tried[one] for one in kept.tolist()]
        average = _mean_of(members, shares[kept] / shares[kept].sum())
        honest = _cross_fitted(members, table, seed)
        found.append(_Tried(average.law, honest, average.seconds))
    return [(one, normalised_errors(one.predictions, table, weights)) for one in found]


def _mean_of(members: Sequence[_Tried], shares: Array) -> _Tried:
    law = Average(tuple(one.law for one in members), tuple(shares.tolist()))
    predictions = np.einsum("l,lskn->skn", shares, np.stack([one.predictions for one in members]))
    return _Tried(law, predictions, sum(one.seconds for one in members))


def _cross_fitted(members: Sequence[_Tried], table: Table, seed: int) -> Array:
    """[splits, k, n] averages of held-out predictions, each run's weights found on the other runs."""
    told = np.stack([one.predictions for one in members])
    found = np.empty_like(told[0])
    part = np.random.default_rng([seed, 1]).permutation(len(table)) % 5
    for one in np.unique(part):
        test = part == one
        shares = stacked_weights(list(told[:, :, ~test].mean(axis=1)), table.losses[~test])
        found[:, test] = np.einsum("l,lskn->skn", shares, told[:, :, test])
    return found


def _complexity(law: StaticLaw, m: int) -> tuple[bool, int]:
    count = law.parameters(m)
    return count is None, count or 0
