"""A mixture problem as a smooth convex program in the proportions and a few more variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aioli.protocol import Array
from aioli.solvers import convex
from aioli.solvers.convex import TINY
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses

__all__ = ["SmoothProgram", "range_program", "smooth_program", "violation_program"]


class SmoothProgram(NamedTuple):
    """minimise cost . z(p) + extra_cost . y subject to on_z z(p) + on_p p + on_y y <= limit.

    z(p) [i]: all losses; log sum_k soft_gk exp(loss_k) for each row of soft; KL(p || reference) if there is
    one. p [m] are proportions within bounds, y [k] free variables. Rows c have the name of the problem's
    limit that they are, or none.
    """

    losses: ConvexLosses
    soft: Array
    reference: Array | None
    cost: Array
    extra_cost: Array
    on_z: Array
    on_p: Array
    on_y: Array
    limit: Array
    names: tuple[str, ...]

    def values(self, p: Array) -> Array:
        """[i] z(p)."""
        known = convex.values(self.losses, p)
        top = known.max()
        parts = [known, top + np.log(self.soft @ np.exp(known - top))]
        if self.reference is not None:
            some = self.reference > 0
            ratio = np.log(np.maximum(p[some], TINY) / self.reference[some])
            parts.append(np.array([(p[some] * ratio).sum()]))
        return np.concatenate(parts)

    def gradients(self, p: Array) -> Array:
        """[i, m] of z."""
        slopes = convex.gradients(self.losses, p)
        parts = [slopes, self._shares(p) @ slopes]
        if self.reference is not None:
            ratio = np.maximum(p, TINY) / np.where(self.reference > 0, self.reference, 1.0)
            parts.append(np.where(self.reference > 0, np.log(ratio) + 1, 0.0)[None])
        return np.vstack(parts)

    def hessian(self, p: Array, weights: Array) -> Array:
        """[m, m] of weights [i] . z."""
        count, groups = self.losses.constant.size, len(self.soft)
        on_losses, on_soft = weights[:count], weights[count : count + groups]
        if not on_soft.any():
            total = convex.hessian(self.losses, p, on_losses)
        else:
            shares, slopes = self._shares(p), convex.gradients(self.losses, p)
            spread = on_soft @ shares
            total = convex.hessian(self.losses, p, on_losses + spread)
            means = shares @ slopes
            total += (slopes.T * spread) @ slopes - (means.T * on_soft) @ means
        if self.reference is not None:
            bends = np.where(self.reference > 0, weights[-1] / np.maximum(p, TINY), 0.0)
            total[np.diag_indices(p.size)] += bends
        return total

    def _shares(self, p: Array) -> Array:
        """[g, k] derivatives of the soft rows by the losses."""
        known = convex.values(self.losses, p)
        shares = self.soft * np.exp(known - known.max())
        return shares / shares.sum(axis=1, keepdims=True)


class _Sum(NamedTuple):
    """on_z . z + sum of y times their factors."""

    on_z: Array
    on_y: dict[int, float]


class _Rows:
    """A program while it is put together."""

    def __init__(self, laws: int, problem: MixtureProblem) -> None:
        self.problem, self.losses, self.extra = problem, problem.n * laws, 0
        self.soft = laws if 0 < problem.form.tau < np.inf else 0
        self.distance = problem.kl > 0 or np.isfinite(problem.max_kl)
        self.count = self.losses + self.soft + self.distance
        self.rows: list[tuple[Array, Array, dict[int, float], float]] = []
        self.names: list[str] = []

    def new(self, count: int) -> list[int]:
        self.extra += count
        return list(range(self.extra - count, self.extra))

    def unit(self, place: int, value: float = 1.0) -> Array:
        row = np.zeros(self.count)
        row[place] = value
        return row

    def require(self, what: _Sum, limit: float, on_p: Array | None = None, name: str = "") -> None:
        """what + on_p . p <= limit."""
        self.names.append(name)
        self.rows.append((what.on_z, np.zeros(self.problem.m) if on_p is None else on_p, what.on_y, limit))

    def aggregate(self, start: int) -> _Sum:
        """F of the n losses from place `start` on."""
        form, weights = self.problem.form, self.problem.weights
        if self.soft:
            return _Sum(self.unit(self.losses + start // weights.size), {})
        if form.tau == np.inf and not form.excess:
            row = np.zeros(self.count)
            row[start : start + weights.size] = weights
            return _Sum(row, {})
        used = np.flatnonzero(weights > 0)
        base = np.zeros(weights.size) if form.references is None else np.asarray(form.references)
        tops = self.new(1) * used.size if form.tau == 0 else self.new(used.size)
        for i, top in zip(used, tops, strict=True):
            self.require(_Sum(self.unit(start + int(i)), {top: -1.0}), float(base[i]))
        if form.tau == 0:
            return _Sum(np.zeros(self.count), {tops[0]: 1.0})
        for top in tops:
            self.require(_Sum(np.zeros(self.count), {top: -1.0}), 0.0)
        return _Sum(np.zeros(self.count), dict(zip(tops, weights[used].tolist(), strict=True)))

    def worst_mean(self, values: list[_Sum]) -> _Sum:
        """min over level of level + sum_b max(value_b - level, 0) / ((1 - caution) B)."""
        (level,), over = self.new(1), self.new(len(values))
        for value, excess in zip(values, over, strict=True):
            self.require(value._replace(on_y={**value.on_y, level: -1.0, excess: -1.0}), 0.0)
            self.require(_Sum(np.zeros(self.count), {excess: -1.0}), 0.0)
        share = 1 / ((1 - self.problem.caution) * len(values))
        return _Sum(np.zeros(self.count), {level: 1.0, **dict.fromkeys(over, share)})

    def limit(self, slack: dict[int, float]) -> None:
        """The problem's limits, each loosened by the slack."""
        problem, m = self.problem, self.problem.m
        limits = np.full(problem.n, np.inf) if problem.loss_limits is None else problem.loss_limits
        for i in np.flatnonzero(np.isfinite(limits)):
            self.require(
                _Sum(self.unit(int(i)), slack), float(limits[i]), name=f"limit of {problem.targets[i]}"
            )
        if np.isfinite(problem.max_kl):
            self.require(_Sum(self.unit(-1), slack), problem.max_kl, name="max_kl")
        if problem.reference is not None and np.isfinite(problem.max_variation):
            moved, nothing = self.new(m), np.zeros(self.count)
            for j in range(m):
                self.require(_Sum(nothing, {moved[j]: -1.0}), float(problem.reference[j]), np.eye(m)[j])
                self.require(_Sum(nothing, {moved[j]: -1.0}), 0.0)
            total = _Sum(nothing, {**dict.fromkeys(moved, 1.0), **slack})
            self.require(total, problem.max_variation, name="max_variation")

    def program(self, laws: Sequence[ConvexLosses], cost: _Sum) -> SmoothProgram:
        extra = np.zeros((1 + len(self.rows), self.extra))
        for row, on_y in zip(extra, (cost.on_y, *(row[2] for row in self.rows)), strict=True):
            for place, value in on_y.items():
                row[place] = value
        k, m = len(self.rows), self.problem.m
        return SmoothProgram(
            convex.side_by_side(laws),
            np.kron(np.eye(self.soft, self.losses // self.problem.n), self.problem.weights[None]),
            self.problem.reference if self.distance else None,
            cost.on_z,
            extra[0],
            np.array([row[0] for row in self.rows]).reshape(k, self.count),
            np.array([row[1] for row in self.rows]).reshape(k, m),
            extra[1:],
            np.array([row[3] for row in self.rows]),
            tuple(self.names),
        )


def smooth_program(
    losses: ConvexLosses, problem: MixtureProblem, replicates: Sequence[ConvexLosses] = ()
) -> SmoothProgram:
    """The problem."""
    laws = [losses, *replicates]
    rows = _Rows(len(laws), problem)
    cost = _cost(rows, len(laws))
    rows.limit({})
    return rows.program(laws, cost)


def violation_program(losses: ConvexLosses, problem: MixtureProblem) -> SmoothProgram:
    """The least t by which all limits of the problem have to be loosened; it may be negative."""
    rows = _Rows(1, problem)
    (slack,) = rows.new(1)
    rows.limit({slack: -1.0})
    return rows.program([losses], _Sum(np.zeros(rows.count), {slack: 1.0}))


def range_program(
    losses: ConvexLosses,
    problem: MixtureProblem,
    replicates: Sequence[ConvexLosses],
    level: float,
    along: Array,
) -> SmoothProgram:
    """The least of along [m] . p where the problem's objective is at most `level`."""
    laws = [losses, *replicates]
    rows = _Rows(len(laws), problem)
    rows.require(_cost(rows, len(laws)), level)
    rows.limit({})
    (reached,) = rows.new(1)
    nothing = np.zeros(rows.count)
    rows.require(_Sum(nothing, {reached: -1.0}), 0.0, along)
    return rows.program(laws, _Sum(nothing, {reached: 1.0}))


def _cost(rows: _Rows, laws: int) -> _Sum:
    values = [rows.aggregate(rows.problem.n * k) for k in range(laws > 1, laws)]
    cost = rows.worst_mean(values) if laws > 1 else values[0]
    if rows.problem.kl > 0:
        return cost._replace(on_z=cost.on_z + rows.unit(-1, rows.problem.kl))
    return cost
