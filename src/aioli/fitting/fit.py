"""From a table of runs to a law with intervals, scores and reasons for doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from aioli.errors import InputError
from aioli.fitting.assess import Scores, held_out_predictions, score, target_weights
from aioli.fitting.choose import Candidate, choose
from aioli.fitting.hull import distance_outside
from aioli.fitting.registry import build_law
from aioli.fitting.trust import doubts
from aioli.laws.static.held_out import mixture_of
from aioli.protocol import Array
from aioli.static_law import FittedLaw, StaticLaw
from aioli.table import Table

__all__ = ["Fit", "Prediction", "fit"]

CONFIDENCE = 0.95
REPLICATES = 100
FREE_FORM_REPLICATES = 10
"""Of laws without a fixed number of parameters, which are fitted anew from nothing and stored whole."""


class Prediction(NamedTuple):
    """Predicted losses of k mixtures.

    losses: [k, n]. low, high: [k, n] bounds of 95% intervals of the loss that one run would reach.
    outside: [k] share of the mixture that leaves the convex hull of the trained mixtures, 0 inside.
    """

    losses: Array
    low: Array
    high: Array
    outside: Array


@dataclass(frozen=True, eq=False)
class Fit:
    """A law fitted to a table, with what is known of its reliability.

    Attributes:
        law: the form. table: the runs. fitted: the law's numbers.
        replicates: the law fitted to the runs under random weights; their spread is the uncertainty.
        weights: [n] of the targets in the objective. noise: [2, n] the 2.5% and 97.5% quantiles of
            measured minus predicted loss on held-out runs (of the fitted runs where none could be held out).
        scores: on held-out runs; None where no run could be held out.
        candidates: the laws that were compared where the choice was left open.
        warnings: reasons not to trust the fit. seed: of all random draws.
    """

    law: StaticLaw
    table: Table
    fitted: FittedLaw
    replicates: tuple[FittedLaw, ...]
    weights: Array
    noise: Array
    scores: Scores | None
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()
    seed: int = 0

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Prediction:
        """Losses of runs on mixtures [k, m], with 95% intervals of what a run would measure.

        The distances from the prediction to the 2.5% and 97.5% quantiles over the replicates (the law's
        uncertainty) and to those of the held-out residuals (noise, and what the law cannot express) are
        added in quadrature, each side for itself. Without replicates only the second remains.

        Raises:
            InputError: mixtures of another number of groups, negative, not finite, or not summing to 1.
        """
        checked = self._checked(mixtures)
        losses = self.fitted.predict(checked, size, tokens)
        below, above = -np.minimum(self.noise[0], 0), np.maximum(self.noise[1], 0)
        if self.replicates:
            each = np.stack([one.predict(checked, size, tokens) for one in self.replicates])
            tail = (1 - CONFIDENCE) / 2
            low, high = np.quantile(each, [tail, 1 - tail], axis=0)
            below = np.hypot(below, np.maximum(losses - low, 0))
            above = np.hypot(above, np.maximum(high - losses, 0))
        outside = distance_outside(checked, self.table.mixtures)
        return Prediction(losses, losses - below, losses + above, outside)

    def _checked(self, mixtures: Array) -> Array:
        found = np.array(mixtures, dtype=np.float64)
        if found.ndim != 2 or found.shape[1] != self.table.m:
            raise InputError(
                f"mixtures need a row of {self.table.m} proportions each ({', '.join(self.table.groups)}), "
                f"got shape {found.shape}"
            )
        sums = found.sum(axis=1)
        wrong = ~np.isfinite(found).all(axis=1) | (found < 0).any(axis=1) | ~(np.abs(sums - 1) <= 0.02)
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"mixture {row + 1} is no mixture: proportions must be >= 0 and sum to 1, got "
                f"{found[row].tolist()!r:.200}"
            )
        return found / sums[:, None]


@threadpool_limits.wrap(limits=1)  # of many small systems, threads only wait for each other
def fit(
    table: Table,
    law: StaticLaw | str | Mapping[str, Any] = "auto",
    *,
    replicates: int | None = None,
    splits: int | None = None,
    seed: int = 0,
    weights: Sequence[float] | Array | None = None,
) -> Fit:
    """Fit a law to a table; "auto" compares several by cross-validation and says which (see `choose`).

    Replicates are fits under independent weights of the runs, exponential with mean 1 (the Bayesian
    bootstrap: no run is ever without weight, so few runs do not make a replicate singular). A run at
    several scales has one weight.

    Args:
        law: a law, its name, {name: {setting: value}}, or "auto".
        replicates: None: 100, or 10 for laws without a fixed number of parameters.
        splits: random divisions into folds, see `assess`.
        weights: [n] of the targets in the objective, normalised to sum 1; None: equal.

    Raises:
        InputError: a table that the law cannot be fitted to, fewer than 2 distinct mixtures, bad settings.
    """
    objective = target_weights(table, weights)
    if int(mixture_of(table).max()) == 0:
        raise InputError("all runs have the same mixture: a law needs runs on different ones")
    if replicates is not None and replicates < 0:
        raise InputError(f"replicates must be at least 0, got {replicates}")
    if law == "auto":
        choice = choose(table, objective, splits=splits, seed=seed)
        chosen, told, candidates = choice.law, choice.predictions, choice.candidates
    else:
        chosen, candidates = build_law(law), ()
        told = None
    fitted = chosen.fit(table, seed=seed)
    told = _held_out(chosen, table, splits, seed) if told is None else told
    scores = None if told is None else score(told, table, objective)
    expected = fitted.predict(table.mixtures, table.size, table.tokens) if told is None else told.mean(axis=0)
    tail = (1 - CONFIDENCE) / 2
    noise = np.quantile(table.losses - expected, [tail, 1 - tail], axis=0)
    again = _replicates(chosen, fitted, table, replicates, seed)
    warnings = doubts(table, chosen, fitted, again, scores, objective)
    return Fit(chosen, table, fitted, again, objective, noise, scores, candidates, warnings, seed)


def _held_out(law: StaticLaw, table: Table, splits: int | None, seed: int) -> Array | None:
    """Held-out predictions; None where the law needs every run there is."""
    try:
        return held_out_predictions(law, table, splits, seed)
    except InputError:
        if splits is not None and splits < 1:
            raise
        return None


def _replicates(
    law: StaticLaw, fitted: FittedLaw, table: Table, count: int | None, seed: int
) -> tuple[FittedLaw, ...]:
    usual = FREE_FORM_REPLICATES if law.parameters(table.m) is None else REPLICATES
    number = usual if count is None else count
    if number == 0:
        return ()
    names, which = np.unique(table.names, return_inverse=True)
    draws = np.random.default_rng([seed, 2]).exponential(size=(number, len(names)))
    draws /= draws.mean(axis=1, keepdims=True)
    return tuple(law.refit(fitted, table, draws[:, which], seed))
