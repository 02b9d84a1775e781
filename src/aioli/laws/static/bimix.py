"""The BiMix-style power law: L_i = c_i + sum_j F_ij p_j^(-a_ij)."""

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

__all__ = ["BiMix", "FittedBiMix"]

TYPICAL = 0.1
"""Fits are made in F 0.1^-a, what a group costs at this share."""
LEAST_EXPONENT, LARGEST_EXPONENT = 0.01, 4.0
STARTS = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""Starts for a, equal for all groups."""
FLOOR_SHARES = np.array([0.0, 0.3, 0.6, 0.85, 0.95])
"""Starts for c, as shares of the smallest loss."""


@dataclass(frozen=True, eq=False)
class FittedBiMix:
    """L_i = floors_i + sum_j coefficients_ij max(p_j, least)^(-exponents_ij): [n], [n, m] and [n, m]."""

    floors: Array
    coefficients: Array
    exponents: Array
    least: float

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on mixtures [k, m]."""
        logs = np.log(np.maximum(mixtures.T, self.least))
        powers = np.exp(-self.exponents[:, :, None] * logs)
        return self.floors + (self.coefficients[:, None, :] @ powers)[:, 0].T

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses:
        """The same losses as powers down to p = 0, where they are infinite and not held at `least`."""
        n, m = self.coefficients.shape
        terms = Terms(np.arange(n), np.ones(n), self.coefficients, self.exponents)
        return ConvexLosses(self.floors, np.zeros((n, m)), powers=terms)

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        names = ("floors", "coefficients", "exponents")
        return {name: getattr(self, name).tolist() for name in names} | {"least": self.least}


@dataclass(frozen=True)
class BiMix:
    """L_i(p) = c_i + sum_j F_ij p_j^(-a_ij), fitted by the least weighted sum of Huber losses.

    c_i and F_ij >= 0, 0.01 <= a_ij <= 4; proportions below `least` count as `least`. A group that no run uses
    gets F = 0: it is taken to cost no target anything. Convex in p.

    Attributes:
        own: each target depends on the proportion of the group of its own name alone, as in the paper.
        least: proportion, where the losses stop to rise.
        huber: delta of the Huber loss in nats.
        starts_kept: descents for each target, from the best of a grid of c and equal a with weighted least
            squares for F.

    Raises:
        InputError: settings that are not positive.

    References:
        arXiv 2405.14908 for own proportions; the sum over groups is the form for targets that are no groups.
    """

    own: bool = False
    least: float = 1e-3
    huber: float = 0.02
    starts_kept: int = 4

    def __post_init__(self) -> None:
        if not self.huber > 0 or not 0 < self.least < 1 or self.starts_kept < 1:
            raise InputError(
                "expected huber > 0, 0 < least < 1 and at least one start, "
                f"got {self.huber}, {self.least} and {self.starts_kept}"
            )

    @property
    def name(self) -> str:
        return "bimix"

    def parameters(self, m: int) -> int:
        """2 m + 1, or 3 for own proportions."""
        return 3 if self.own else 2 * m + 1

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedBiMix:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: fewer runs than parameters, bad weights, or `own` with targets that are no groups.
        """
        return self._fitted(fit_rows(self, table, weights, self.starts_kept))

    def refit(
        self, fitted: FittedBiMix, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedBiMix]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`."""
        costs = fitted.coefficients * TYPICAL**-fitted.exponents
        numbers = np.column_stack([fitted.floors, costs, fitted.exponents])
        return [self._fitted(row) for row in refit_rows(self, table, weights, numbers)]

    def from_json(self, plain: Mapping[str, Any]) -> FittedBiMix:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        floors, coefficients, exponents = read_numbers(
            self.name, plain, floors=1, coefficients=2, exponents=2
        )
        least = plain.get("least")
        if not isinstance(least, float) or not 0 < least < 1:
            raise InputError(f"least of a fitted bimix law must be a number between 0 and 1, got {least!r}")
        return FittedBiMix(floors, coefficients, exponents, least)

    def curve(self, runs: Runs) -> _Curve:
        """The law on these runs, in theta = (c, F_1 0.1^-a_1 ..., a_1 ...)."""
        return _Curve(np.log(np.maximum(runs.mixtures.T, self.least) / TYPICAL))

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """c and F at least 0, F = 0 for groups of no use, a within its limits."""
        ones = np.ones((len(least), table.m))
        lower = np.column_stack([0 * least, 0 * ones, LEAST_EXPONENT * ones])
        most = np.where(self._used(table), np.inf, 0.0)
        most = np.tile(most, (len(least) // table.n, 1))
        return lower, np.column_stack([np.inf * ones[:, :1], most, LARGEST_EXPONENT * ones])

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, 2 m + 1] for each of several c and equal a, L - c by least squares in F."""
        data = table.losses.T[:, None, None, :]
        floors = FLOOR_SHARES[:, None, None] * data.min(axis=3, keepdims=True)
        design = (np.maximum(table.mixtures, self.least) / TYPICAL) ** -STARTS[:, None, None]
        used = self._used(table)[:, None, None, :]
        above = np.broadcast_to(data - floors, (table.n, len(FLOOR_SHARES), len(STARTS), len(table)))
        found = linear_start(design * used[:, :, :, None, :], above, np.broadcast_to(weights, above.shape))
        share = 0.01 * above.mean(axis=3, keepdims=True)
        n, c, a, m = found.shape
        parts = [np.broadcast_to(floors, (n, c, a, 1)), np.maximum(found, share)]
        parts.append(np.broadcast_to(STARTS[:, None], (n, c, a, m)))
        return np.concatenate(parts, axis=3).reshape(n, c * a, 2 * m + 1)

    def _used(self, table: Table) -> Array:
        """[n, m] which groups may matter to which target."""
        seen = table.mixtures.max(axis=0) > 0
        if not self.own:
            return np.tile(seen, (table.n, 1))
        foreign = [target for target in table.targets if target not in table.groups]
        if foreign:
            raise InputError(
                f"bimix of own proportions needs targets that are groups, and {foreign[0]} is none: "
                "name the targets as their groups, or set own to false"
            )
        return np.array([[group == target for group in table.groups] for target in table.targets]) & seen

    def _fitted(self, numbers: Array) -> FittedBiMix:
        m = numbers.shape[1] // 2
        exponents = numbers[:, m + 1 :]
        coefficients = numbers[:, 1 : m + 1] * TYPICAL**exponents
        return FittedBiMix(numbers[:, 0], coefficients, exponents, self.least)


@dataclass(frozen=True, eq=False)
class _Curve:
    """c + sum_j b_j (p_j / 0.1)^-a_j on the runs of logs [m, k] of p_j / 0.1, in theta = (c, b, a)."""

    logs: Array

    def values(self, theta: Array) -> Array:
        return self._parts(theta)[0]

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        values, powers = self._parts(theta)
        slopes = np.ones((len(theta), 2 * m + 1, self.logs.shape[1]))
        slopes[:, 1 : m + 1] = powers
        powers *= -theta[:, 1 : m + 1, None]
        np.multiply(powers, self.logs, out=slopes[:, m + 1 :])
        return values, slopes

    def _parts(self, theta: Array) -> tuple[Array, Array]:
        m = len(self.logs)
        powers = -theta[:, m + 1 :, None] * self.logs
        np.exp(powers, out=powers)
        return theta[:, :1] + (theta[:, None, 1 : m + 1] @ powers)[:, 0], powers
