"""The effective-data law: a power law in a concave sum of what the groups contribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.additive import LEAST_EXPONENT, LEAST_SUM, log_shares
from aioli.laws.static.parametric import fit_rows, linear_start, read_numbers, refit_rows
from aioli.protocol import Array
from aioli.static_law import ConvexLosses, Terms
from aioli.table import Runs, Table

__all__ = ["Effective", "FittedEffective"]

FLOOR_SHARES = np.array([0.2, 0.5, 0.7, 0.85, 0.95])
"""Starts for E, as shares of the smallest loss."""
EXPONENTS = np.array([0.25, 0.5, 0.9])
"""Starts for g."""
POWERS = np.array([0.25, 0.5, 1.0])
"""Starts for a."""
LEAST_POWER = 0.1
LARGEST_POWER = 5.0


@dataclass(frozen=True, eq=False)
class FittedEffective:
    """L_i = floors_i + (sum_j coefficients_ij p_j^exponents_ij)^(-powers_i); floors and powers [n]."""

    floors: Array
    coefficients: Array
    exponents: Array
    powers: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on mixtures [k, m]; large and finite where no group of use has a share."""
        theta = np.column_stack([self.floors, self.coefficients, self.exponents, self.powers])
        return _Curve(log_shares(mixtures)).values(theta).T

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The same losses as inverses with powers, infinite where no group of use has a share."""
        used = self.coefficients > 0
        n, m = used.shape
        exponents = np.where(used, self.exponents, 1.0)
        terms = Terms(np.arange(n), np.ones(n), self.coefficients, exponents, self.powers)
        return ConvexLosses(self.floors, np.zeros((n, m)), inverses=terms)

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        names = ("floors", "coefficients", "exponents", "powers")
        return {name: getattr(self, name).tolist() for name in names}


@dataclass(frozen=True)
class Effective:
    """L_i(p) = E_i + (sum_j C_ij p_j^g_ij)^(-a_i), fitted by the least weighted sum of Huber losses.

    The sum is the data that target i gets in effect, and its loss falls with it as scaling laws fall with
    tokens. With a = 1 it is the additive law. 0 <= E_i <= the smallest loss of target i, C_ij >= 0,
    0.02 <= g_ij <= 1, 0.1 <= a_i <= 5; 0^g = 0; a group that no run uses gets C = 0. Convex in p.

    Attributes:
        huber: delta of the Huber loss in nats. starts_kept: descents for each target, from the best of a
            grid of E, g and a with weighted least squares for C.

    Raises:
        InputError: a delta that is not positive, or no start.

    References:
        arXiv 2507.09404 for a = 1. The power a is ours.
    """

    huber: float = 0.02
    starts_kept: int = 2

    def __post_init__(self) -> None:
        if not self.huber > 0 or self.starts_kept < 1:
            raise InputError(
                f"expected huber > 0 and starts_kept >= 1, got {self.huber} and {self.starts_kept}"
            )

    @property
    def name(self) -> str:
        return "effective"

    def parameters(self, m: int) -> int:
        """2 m + 2."""
        return 2 * m + 2

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedEffective:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: fewer than 2 m + 2 runs, or bad weights.
        """
        return _fitted(fit_rows(self, table, weights, self.starts_kept))

    def refit(self, fitted: Any, table: Table, weights: Array, seed: int = 0) -> Sequence[FittedEffective]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`."""
        parts = [fitted.floors, fitted.coefficients, fitted.exponents, fitted.powers]
        return [_fitted(row) for row in refit_rows(self, table, weights, np.column_stack(parts))]

    def from_json(self, plain: Mapping[str, Any]) -> FittedEffective:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        floors, powers, coefficients, exponents = read_numbers(
            self.name, plain, floors=1, powers=1, coefficients=2, exponents=2
        )
        return FittedEffective(floors, coefficients, exponents, powers)

    def curve(self, runs: Runs) -> _Curve:
        """The law on these runs, in theta = (E, C_1 ... C_m, g_1 ... g_m, a)."""
        return _Curve(log_shares(runs.mixtures))

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """E between 0 and the smallest loss [f], C at least 0, g and a within their limits."""
        ones = np.ones((len(least), table.m))
        most = np.where(table.mixtures.max(axis=0) > 0, np.inf, 0.0)
        lower = np.column_stack([0 * least, 0 * ones, LEAST_EXPONENT * ones, LEAST_POWER * ones[:, :1]])
        return lower, np.column_stack([least, most * ones, ones, LARGEST_POWER * ones[:, :1]])

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, 2 m + 2] for each of several E, g and a, (L - E)^(-1/a) by least squares in C.

        The weights (a (L - E)^(1 + 1/a))^2 make the residuals those of L to first order.
        """
        data = table.losses.T[:, None, None, None, :]
        floors = FLOOR_SHARES[:, None, None, None] * data.min(axis=4, keepdims=True)
        power = POWERS[:, None]
        above = data - floors
        unit = above.mean(axis=4, keepdims=True)
        relative = above / unit
        design = table.mixtures ** EXPONENTS[:, None, None, None]
        importance = weights * relative ** (2 + 2 / power)
        found = linear_start(design, relative ** (-1 / power), importance)
        found = np.maximum(found, 0.01) * unit ** (-1 / power)
        n, e, g, a, m = found.shape
        parts = [
            np.broadcast_to(floors, (n, e, g, a, 1)),
            found,
            np.broadcast_to(EXPONENTS[:, None, None], found.shape),
            np.broadcast_to(power, (n, e, g, a, 1)),
        ]
        return np.concatenate(parts, axis=4).reshape(n, e * g * a, 2 * m + 2)


def _fitted(numbers: Array) -> FittedEffective:
    m = numbers.shape[1] // 2 - 1
    return FittedEffective(numbers[:, 0], numbers[:, 1 : m + 1], numbers[:, m + 1 : -1], numbers[:, -1])


@dataclass(frozen=True, eq=False)
class _Curve:
    """E + (sum_j C_j p_j^g_j)^-a on the runs of log proportions [m, k], in theta = (E, C, g, a)."""

    logs: Array

    def values(self, theta: Array) -> Array:
        return theta[:, :1] + self._sums(theta)[0] ** -theta[:, -1:]

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        sums, shares = self._sums(theta)
        power = theta[:, -1:]
        reducible = sums**-power
        slopes = np.ones((len(theta), 2 * m + 2, self.logs.shape[1]))
        shares *= (-power * reducible / sums)[:, None, :]
        slopes[:, 1 : m + 1] = shares
        shares *= theta[:, 1 : m + 1, None]
        np.multiply(shares, self.logs, out=slopes[:, m + 1 : -1])
        slopes[:, -1] = -reducible * np.log(sums)
        return theta[:, :1] + reducible, slopes

    def _sums(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        shares = np.exp(theta[:, m + 1 : -1, None] * self.logs)
        sums = (theta[:, None, 1 : m + 1] @ shares)[:, 0]
        return np.maximum(sums, LEAST_SUM), shares
