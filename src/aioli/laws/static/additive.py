"""The additive mixing law: L_i = E_i + 1 / sum_j C_ij p_j^g_ij."""

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

__all__ = ["Additive", "AdditiveCurve", "FittedAdditive", "additive_starts", "inverse_sums", "log_shares"]

FLOOR_SHARES = np.array([0.2, 0.5, 0.7, 0.85, 0.95])
"""Starts for E, as shares of the smallest loss."""
EXPONENT_SHARES = np.array([0.1, 0.25, 0.5, 0.9])
"""Starts for g, as shares of the largest exponent."""
LEAST_EXPONENT = 0.02
LEAST_PROPORTION = 1e-300
"""Smaller proportions are taken as 0: their power is below 1e-6 of that of 1."""
TYPICAL = 0.1
"""Fits are made in C 0.1^g, what a group adds at this share: the slopes in it and in g are less alike."""
LEAST_SUM = 1e-6
"""The law never predicts more than 1e6 nats above its floor."""


@dataclass(frozen=True, eq=False)
class FittedAdditive:
    """L_i = floors_i + 1 / sum_j coefficients_ij p_j^exponents_ij: floors [n] nats, the others [n, m]."""

    floors: Array
    coefficients: Array
    exponents: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on mixtures [k, m]; 1e6 nats above the floor where no group of use has a share."""
        return self.floors + inverse_sums(self.coefficients, self.exponents, mixtures).T

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The same losses as inverses, infinite where no group of use has a share; None where a g > 1."""
        used = self.coefficients > 0
        if (self.exponents[used] > 1).any():
            return None
        n, m = used.shape
        exponents = np.where(used, self.exponents, 1.0)
        terms = Terms(np.arange(n), np.ones(n), self.coefficients, exponents)
        return ConvexLosses(self.floors, np.zeros((n, m)), inverses=terms)

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        names = ("floors", "coefficients", "exponents")
        return {name: getattr(self, name).tolist() for name in names}


@dataclass(frozen=True)
class Additive:
    """L_i(p) = E_i + 1 / sum_j C_ij p_j^g_ij, fitted by the least weighted sum of Huber losses.

    0 <= E_i <= the smallest loss of target i, C_ij >= 0, 0.02 <= g_ij <= largest_exponent; 0^g = 0. A group
    that no run uses gets C = 0: it is taken to help no target. Convex in p while every g is at most 1.

    Attributes:
        huber: delta of the Huber loss in nats.
        largest_exponent: of the proportions; above 1 the law need not be convex.
        starts_kept: descents for each target, from the best of a grid of E and of equal g with weighted least
            squares for C.

    Raises:
        InputError: a delta or an exponent that is not positive, or no start.

    References:
        arXiv 2507.09404, the additive law for one model size and number of tokens.
    Departures:
        Starts are linearised fits instead of random points; exponents are bounded.
    """

    huber: float = 0.02
    largest_exponent: float = 1.0
    starts_kept: int = 2

    def __post_init__(self) -> None:
        if not self.huber > 0 or not self.largest_exponent > LEAST_EXPONENT or self.starts_kept < 1:
            raise InputError(
                f"expected huber > 0, largest_exponent > {LEAST_EXPONENT} and starts_kept >= 1, "
                f"got {self.huber}, {self.largest_exponent} and {self.starts_kept}"
            )

    @property
    def name(self) -> str:
        return "additive"

    def parameters(self, m: int) -> int:
        """2 m + 1."""
        return 2 * m + 1

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedAdditive:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: fewer than 2 m + 1 runs, or bad weights.
        """
        return self.fitted(fit_rows(self, table, weights, self.starts_kept))

    def refit(
        self, fitted: FittedAdditive, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedAdditive]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`."""
        return [self.fitted(row) for row in refit_rows(self, table, weights, self.numbers(fitted))]

    def from_json(self, plain: Mapping[str, Any]) -> FittedAdditive:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        return FittedAdditive(*read_numbers(self.name, plain, floors=1, coefficients=2, exponents=2))

    def curve(self, runs: Runs) -> AdditiveCurve:
        """The law on these runs, in theta = (E, C_1 0.1^g_1 ..., g_1 ...)."""
        return AdditiveCurve(log_shares(runs.mixtures) - np.log(TYPICAL))

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """E between 0 and the smallest loss [f], C at least 0, g within its limits."""
        ones = np.ones((len(least), table.m))
        lower = np.column_stack([0 * least, 0 * ones, LEAST_EXPONENT * ones])
        most = np.where(table.mixtures.max(axis=0) > 0, np.inf, 0.0)
        return lower, np.column_stack([least, most * ones, self.largest_exponent * ones])

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, 2 m + 1] linearised fits over a grid of E and g."""
        return additive_starts(table.mixtures, table.losses, weights, self.largest_exponent)

    def numbers(self, fitted: FittedAdditive) -> Array:
        """[n, 2 m + 1] the fitted law as theta."""
        added = fitted.coefficients * TYPICAL**fitted.exponents
        return np.column_stack([fitted.floors, added, fitted.exponents])

    def fitted(self, numbers: Array) -> FittedAdditive:
        """The fitted law of theta [n, 2 m + 1]."""
        m = numbers.shape[1] // 2
        exponents = numbers[:, m + 1 :]
        return FittedAdditive(numbers[:, 0], numbers[:, 1 : m + 1] * TYPICAL**-exponents, exponents)


def additive_starts(mixtures: Array, losses: Array, weights: Array, largest_exponent: float) -> Array:
    """[n, s, 2 m + 1] for each of several E and equal g, 1 / (L - E) by least squares in C 0.1^g.

    The weights (L - E)^4 make the residuals those of L to first order.
    """
    powers = largest_exponent * EXPONENT_SHARES
    data = losses.T[:, None, None, :]
    floors = FLOOR_SHARES[:, None, None] * data.min(axis=3, keepdims=True)
    exponents = np.broadcast_to(powers, floors.shape[:2] + powers.shape)
    design = (mixtures / TYPICAL) ** powers[:, None, None]
    above = data - floors
    found = linear_start(design, 1 / above, weights * above**4)
    share = 0.01 / above.mean(axis=3, keepdims=True)
    n, e, g, m = found.shape
    parts = [np.broadcast_to(floors, (n, e, g, 1)), np.maximum(found, share)]
    parts.append(np.repeat(exponents[..., None], m, axis=3))
    return np.concatenate(parts, axis=3).reshape(n, e * g, 2 * m + 1)


def log_shares(mixtures: Array) -> Array:
    """[m, k] logarithms of proportions [k, m], finite."""
    return np.log(np.maximum(mixtures.T, LEAST_PROPORTION))


def inverse_sums(coefficients: Array, exponents: Array, mixtures: Array) -> Array:
    """[n, k] 1 / sum_j C_ij p_j^g_ij on mixtures [k, m].

    >>> inverse_sums(np.array([[2.0, 1.0]]), np.array([[0.5, 1.0]]), np.array([[0.25, 0.75]]))
    array([[0.57142857]])
    """
    powers = np.exp(exponents[:, :, None] * log_shares(mixtures))
    return 1 / np.maximum((coefficients[:, None, :] @ powers)[:, 0], LEAST_SUM)


@dataclass(frozen=True, eq=False)
class AdditiveCurve:
    """E + 1 / sum_j a_j (p_j / 0.1)^g_j on the runs of logs [m, k] of p_j / 0.1, in theta = (E, a, g)."""

    logs: Array

    def values(self, theta: Array) -> Array:
        return theta[:, :1] + self._inverses(theta)[0]

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        inverse, powers = self._inverses(theta)
        slopes = np.ones((len(theta), 2 * m + 1, self.logs.shape[1]))
        powers *= -(inverse**2)[:, None, :]
        slopes[:, 1 : m + 1] = powers
        powers *= theta[:, 1 : m + 1, None]
        np.multiply(powers, self.logs, out=slopes[:, m + 1 :])
        return theta[:, :1] + inverse, slopes

    def _inverses(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        powers = theta[:, m + 1 :, None] * self.logs
        np.exp(powers, out=powers)
        sums = (theta[:, None, 1 : m + 1] @ powers)[:, 0]
        return 1 / np.maximum(sums, LEAST_SUM), powers
