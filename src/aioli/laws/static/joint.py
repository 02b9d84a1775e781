"""The joint law of mixture, model size and tokens: the additive law with terms of scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.additive import Additive, AdditiveCurve, FittedAdditive, additive_starts, inverse_sums
from aioli.laws.static.parametric import fit_rows, linear_start, read_numbers, refit_rows, used_runs
from aioli.protocol import Array
from aioli.static_law import ConvexLosses
from aioli.table import Runs, Table

__all__ = ["FittedJoint", "Joint"]

LEAST_EXPONENT, LARGEST_EXPONENT = 0.02, 2.0
"""Bounds of a and b."""
STARTS = (0.2, 0.5)
"""Starts for a and b."""


@dataclass(frozen=True, eq=False)
class FittedJoint:
    """The additive law plus size_factors_i N^-size_exponents_i + token_factors_i D^-token_exponents_i.

    floors, size_factors, size_exponents, token_factors, token_exponents: [n]; coefficients, exponents:
    [n, m]. A term that the runs said nothing of has the factor 0.
    """

    floors: Array
    coefficients: Array
    exponents: Array
    size_factors: Array
    size_exponents: Array
    token_factors: Array
    token_exponents: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses of runs on mixtures [k, m] with sizes and tokens [k].

        Raises:
            InputError: no size, or no tokens, where the law has a term in them.
        """
        shares = inverse_sums(self.coefficients, self.exponents, mixtures).T
        return self._constant(size, tokens) + shares

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The losses at this size and these tokens as inverses; None where a g > 1.

        Raises:
            InputError: no size, or no tokens, where the law has a term in them.
        """
        floors = self._constant(np.array([size]) if size else None, np.array([tokens]) if tokens else None)
        return FittedAdditive(floors.reshape(-1), self.coefficients, self.exponents).convex()

    def to_json(self) -> dict[str, Any]:
        """The numbers as lists."""
        return {name: getattr(self, name).tolist() for name in NUMBERS}

    def _constant(self, size: Array | None, tokens: Array | None) -> Array:
        """[k, n] the part that does not depend on the mixture, k = 1 where no term of scale is there."""
        total = self.floors[None, :]
        terms = (
            ("size", size, self.size_factors, self.size_exponents),
            ("tokens", tokens, self.token_factors, self.token_exponents),
        )
        for what, scale, factors, exponents in terms:
            if factors.any() and scale is None:
                raise InputError(f"this law depends on {what}: say for which {what} to predict")
            if factors.any() and scale is not None:
                total = total + factors * np.asarray(scale, dtype=np.float64)[:, None] ** -exponents
        return total


NUMBERS = {
    "floors": 1,
    "coefficients": 2,
    "exponents": 2,
    "size_factors": 1,
    "size_exponents": 1,
    "token_factors": 1,
    "token_exponents": 1,
}
"""Arrays of a fitted law and their numbers of axes."""


@dataclass(frozen=True)
class Joint:
    """L_i(p, N, D) = E_i + 1 / sum_j C_ij p_j^g_ij + A_i / N^a_i + B_i / D^b_i: fitted as `Additive`.

    N parameters of the model, D tokens trained; a term is left out where the table does not record it or it
    is the same in all runs (E_i then holds it). A_i, B_i >= 0, 0.02 <= a_i, b_i <= 2, the rest as of
    `Additive`. Convex in p at fixed N and D while every g is at most 1.

    Attributes:
        huber, largest_exponent, starts_kept: as of `Additive`.

    Raises:
        InputError: as of `Additive`.

    References:
        arXiv 2507.09404.
    """

    huber: float = 0.02
    largest_exponent: float = 1.0
    starts_kept: int = 3

    def __post_init__(self) -> None:
        self._additive()

    @property
    def name(self) -> str:
        return "joint"

    def parameters(self, m: int) -> int:
        """2 m + 5, both terms of scale counted."""
        return 2 * m + 5

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedJoint:
        """The law fitted to all targets; deterministic, so the seed plays no part.

        Raises:
            InputError: neither size nor tokens vary, fewer runs than 2 m + 5, or bad weights.
        """
        used, kept = used_runs(table, weights)
        return self._fitted(fit_rows(self, used, kept, self.starts_kept), used)

    def refit(
        self, fitted: FittedJoint, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedJoint]:
        """The law fitted anew under each row of weights [b, k], starting from `fitted`.

        Raises:
            InputError: neither size nor tokens vary, or bad weights.
        """
        centres = np.exp(_Scales.of(table).centres)
        size_terms = fitted.size_factors * centres[0] ** -fitted.size_exponents
        token_terms = fitted.token_factors * centres[1] ** -fitted.token_exponents
        shares = self._additive().numbers(
            FittedAdditive(fitted.floors, fitted.coefficients, fitted.exponents)
        )
        scale = np.column_stack([size_terms, fitted.size_exponents, token_terms, fitted.token_exponents])
        numbers = np.column_stack([shares, scale])
        return [self._fitted(row, table) for row in refit_rows(self, table, weights, numbers)]

    def from_json(self, plain: Mapping[str, Any]) -> FittedJoint:
        """The fitted law of these numbers.

        Raises:
            InputError: content of another shape.
        """
        return FittedJoint(*read_numbers(self.name, plain, **NUMBERS))

    def curve(self, runs: Runs) -> _Curve:
        """The law on these runs, in theta of the additive law with (A N0^-a, a, B D0^-b, b) behind it.

        N0 and D0 are the geometric means of the runs.
        """
        return _Curve(self._additive().curve(runs), _Scales.of(runs).logs)

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """Those of the additive law; A, B at least 0, and 0 where the term is left out."""
        lower, upper = self._additive().bounds(table, least)
        limits = np.tile([0.0, LEAST_EXPONENT], 2), np.tile([np.inf, LARGEST_EXPONENT], 2)
        limits[1][::2][~_Scales.of(table).varies] = 0
        scale = [np.tile(limit, (len(least), 1)) for limit in limits]
        return np.hstack([lower, scale[0]]), np.hstack([upper, scale[1]])

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, 2 m + 5]: for each of several a and b the terms of scale from a linear fit, and then those
        of the additive law on what is left."""
        scales = _Scales.of(table)
        found: list[Array] = []
        for exponents in product(STARTS, STARTS):
            terms = np.where(scales.varies[:, None], np.exp(-np.array(exponents)[:, None] * scales.logs), 0.0)
            factors = _scale_factors(table, weights, terms)
            rest = table.losses - (factors @ terms).T
            shares = additive_starts(table.mixtures, rest, weights, self.largest_exponent)
            scale = np.stack([factors, np.broadcast_to(exponents, factors.shape)], axis=2).reshape(
                table.n, 1, 4
            )
            found.append(np.concatenate([shares, np.tile(scale, (1, shares.shape[1], 1))], axis=2))
        return np.concatenate(found, axis=1)

    def _additive(self) -> Additive:
        return Additive(self.huber, self.largest_exponent, self.starts_kept)

    def _fitted(self, numbers: Array, table: Table) -> FittedJoint:
        shares = self._additive().fitted(numbers[:, :-4])
        centres = np.exp(_Scales.of(table).centres)
        size_term, size_exponent, token_term, token_exponent = numbers[:, -4:].T
        return FittedJoint(
            shares.floors,
            shares.coefficients,
            shares.exponents,
            size_term * centres[0] ** size_exponent,
            size_exponent,
            token_term * centres[1] ** token_exponent,
            token_exponent,
        )


def _scale_factors(table: Table, weights: Array, terms: Array) -> Array:
    """[n, 2] factors of the terms of scale [2, k] by least squares; they leave a fifth of every loss."""
    design = np.column_stack([table.mixtures, terms.T])
    losses = table.losses.T
    found = linear_start(design, losses, np.broadcast_to(weights, losses.shape))[:, -2:]
    factors = np.maximum(found, 0.01 * losses.mean(axis=1, keepdims=True))
    share = ((factors @ terms) / losses).max(axis=1, keepdims=True)
    return factors * np.minimum(1, 0.8 / share)


class _Scales(NamedTuple):
    """Logarithms of size and tokens: centres [2], which vary [2], and logs [2, k] from the centres."""

    centres: Array
    varies: Array
    logs: Array

    @staticmethod
    def of(runs: Runs) -> _Scales:
        logs = np.log([np.ones(len(runs)) if scale is None else scale for scale in (runs.size, runs.tokens)])
        varies = np.ptp(logs, axis=1) > 0
        if not varies.any():
            raise InputError(
                "the joint law needs runs of different sizes or tokens, and neither varies in this table: "
                "record size and tokens of the runs, or choose the additive law"
            )
        centres = logs.mean(axis=1)
        return _Scales(centres, varies, logs - centres[:, None])


@dataclass(frozen=True, eq=False)
class _Curve:
    """The additive curve plus two terms of scale, of logs [2, k] of N / N0 and D / D0."""

    shares: AdditiveCurve
    logs: Array

    def values(self, theta: Array) -> Array:
        terms = theta[:, -4::2, None] * np.exp(-theta[:, -3::2, None] * self.logs)
        return self.shares.values(theta[:, :-4]) + terms.sum(axis=1)

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        values, slopes = self.shares.slopes(theta[:, :-4])
        powers = np.exp(-theta[:, -3::2, None] * self.logs)
        terms = theta[:, -4::2, None] * powers
        scale = np.stack([powers, -terms * self.logs], axis=2).reshape(len(theta), 4, -1)
        return values + terms.sum(axis=1), np.concatenate([slopes, scale], axis=1)
