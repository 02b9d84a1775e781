"""The linear mixing law: L_i = sum_j A_ij p_j."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.parametric import fit_rows, linear_start, read_numbers, refit_rows
from aioli.protocol import Array
from aioli.static_law import ConvexLosses
from aioli.table import Runs, Table

__all__ = ["FittedLinear", "LinearLaw"]


@dataclass(frozen=True, eq=False)
class FittedLinear:
    """L_i = sum_j coefficients_ij p_j: coefficients [n, m] nats, the loss of each group alone."""

    coefficients: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on mixtures [k, m]."""
        return np.asarray(mixtures @ self.coefficients.T)

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses:
        """The same losses."""
        return ConvexLosses(np.zeros(len(self.coefficients)), self.coefficients)

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        return {"coefficients": self.coefficients.tolist()}


@dataclass(frozen=True)
class LinearLaw:
    """L_i(p) = sum_j A_ij p_j, fitted by weighted least squares, or by the least sum of Huber losses.

    Gauge: a constant is part of every A_ij, because the proportions sum to 1. A group that no run uses gets
    the mean loss of the target.

    Attributes:
        huber: delta of the Huber loss in nats; None for least squares.

    Raises:
        InputError: a delta that is not positive.
    """

    huber: float | None = None

    def __post_init__(self) -> None:
        if self.huber is not None and not self.huber > 0:
            raise InputError(f"expected huber > 0, or none for least squares, got {self.huber}")

    @property
    def name(self) -> str:
        return "linear"

    def parameters(self, m: int) -> int:
        """m."""
        return m

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedLinear:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: fewer than m runs, or bad weights.
        """
        return FittedLinear(fit_rows(self, table, weights, keep=1))

    def refit(
        self, fitted: FittedLinear, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedLinear]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`."""
        return [FittedLinear(row) for row in refit_rows(self, table, weights, fitted.coefficients)]

    def from_json(self, plain: Mapping[str, Any]) -> FittedLinear:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        return FittedLinear(*read_numbers(self.name, plain, coefficients=2))

    def curve(self, runs: Runs) -> _Curve:
        """The law on these runs, in theta = (A_1 ... A_m)."""
        return _Curve(runs.mixtures.T.copy())

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """None."""
        free = np.full((len(least), table.m), np.inf)
        return -free, free

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, 1, m] the weighted least squares."""
        losses = table.losses.T[:, None, :]
        mean = losses @ weights[:, None] / weights.sum()
        return mean + linear_start(table.mixtures, losses - mean, np.broadcast_to(weights, losses.shape))


@dataclass(frozen=True, eq=False)
class _Curve:
    """A . p on the runs of shares [m, k]."""

    shares: Array

    def values(self, theta: Array) -> Array:
        return np.asarray(theta @ self.shares)

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        return self.values(theta), np.broadcast_to(self.shares, (len(theta), *self.shares.shape))
