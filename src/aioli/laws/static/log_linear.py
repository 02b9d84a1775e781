"""The log-linear mixing law: L_i = c_i + exp(t_i . p)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.parametric import fit_rows, linear_start, read_numbers, refit_rows
from aioli.protocol import Array
from aioli.static_law import ConvexLosses, Terms
from aioli.table import Runs, Table

__all__ = ["FittedLogLinear", "LogLinear"]

SHARES = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97, 0.99])
"""Starts for c, as shares of the smallest loss."""
LEAST_SLOPE, MOST_SLOPE = -1000.0, 30.0
"""Bounds of t: exp(30) nats is beyond any loss; -1000 wins all that it can by a share of 0.01."""


@dataclass(frozen=True, eq=False)
class FittedLogLinear:
    """L_i = floors_i + exp(slopes_i . p): floors [n] nats, slopes [n, m]."""

    floors: Array
    slopes: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on mixtures [k, m]."""
        return self.floors + np.exp(mixtures @ self.slopes.T)

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses:
        """The same losses as exponentials."""
        n, m = self.slopes.shape
        terms = Terms(np.arange(n), np.ones(n), np.zeros(n), self.slopes)
        return ConvexLosses(self.floors, np.zeros((n, m)), exponentials=terms)

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        return {"floors": self.floors.tolist(), "slopes": self.slopes.tolist()}


@dataclass(frozen=True)
class LogLinear:
    """L_i(p) = c_i + exp(t_i . p), fitted by the least weighted sum of Huber losses of the residuals.

    Gauge: exp(k_i + t_i . p) is the same law, because the proportions sum to 1: k_i is part of every t_ij.
    c_i >= 0; -1000 <= t_ij <= 30. A group that no run uses gets the t of the
    average run. Convex in p.

    Attributes:
        huber: delta of the Huber loss in nats.
        starts_kept: descents for each target, from the best of nine c with weighted least squares for t.

    Raises:
        InputError: a delta that is not positive, or no start.

    References:
        arXiv 2403.16952 (DML), arXiv 2602.12237 (OlmixBase).
    Departures:
        The releases start L-BFGS from 300 or more random points; here starts are linearised fits.
    """

    huber: float = 0.02
    starts_kept: int = 4

    def __post_init__(self) -> None:
        if not self.huber > 0 or self.starts_kept < 1:
            raise InputError(
                f"expected huber > 0 and starts_kept >= 1, got {self.huber} and {self.starts_kept}"
            )

    @property
    def name(self) -> str:
        return "log_linear"

    def parameters(self, m: int) -> int:
        """m + 1."""
        return m + 1

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedLogLinear:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: fewer than m + 1 runs, or bad weights.
        """
        return _fitted(fit_rows(self, table, weights, self.starts_kept))

    def refit(
        self, fitted: FittedLogLinear, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedLogLinear]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`."""
        numbers = np.column_stack([fitted.floors, fitted.slopes])
        return [_fitted(row) for row in refit_rows(self, table, weights, numbers)]

    def from_json(self, plain: Mapping[str, Any]) -> FittedLogLinear:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        return FittedLogLinear(*read_numbers(self.name, plain, floors=1, slopes=2))

    def curve(self, runs: Runs) -> _Curve:
        """The law on these runs, in theta = (c, t_1 ... t_m)."""
        return _Curve(runs.mixtures.T.copy())

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """c at least 0, t within its limits, for each of least [f]."""
        lower, upper = (np.full((len(least), 1 + table.m), bound) for bound in (LEAST_SLOPE, MOST_SLOPE))
        lower[:, 0], upper[:, 0] = 0, np.inf
        return lower, upper

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, m + 1] for each of several c, log(L - c) by least squares with weights (L - c)^2."""
        losses = table.losses.T[:, None, :]
        floors = SHARES[:, None] * losses.min(axis=2, keepdims=True)
        above = losses - floors
        importance = weights * above**2
        target = np.log(above)
        mean = (importance * target).sum(axis=2, keepdims=True) / importance.sum(axis=2, keepdims=True)
        slopes = mean + linear_start(table.mixtures, target - mean, importance)
        return np.concatenate([floors, slopes], axis=2)


def _fitted(numbers: Array) -> FittedLogLinear:
    return FittedLogLinear(numbers[:, 0], numbers[:, 1:])


@dataclass(frozen=True, eq=False)
class _Curve:
    """c + exp(t . p) on the runs of shares [m, k]."""

    shares: Array

    def values(self, theta: Array) -> Array:
        # products of numbers within their bounds with shares that sum to 1 cannot overflow
        return theta[:, :1] + np.exp(theta[:, 1:] @ self.shares)

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        reducible = np.exp(theta[:, 1:] @ self.shares)
        slopes = np.ones((*theta.shape, self.shares.shape[1]))
        np.multiply(reducible[:, None, :], self.shares, out=slopes[:, 1:])
        return theta[:, :1] + reducible, slopes
