"""A primal-dual interior-point method for smooth convex mixture problems, with dense second derivatives.

It solves for the proportions directly, so its linear systems have as many unknowns as there are groups (and
a few more), where a cone program needs several for each power of each proportion.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aioli.protocol import Array
from aioli.solvers.optional import required
from aioli.solvers.smooth import SmoothProgram

__all__ = ["Found", "solve_smooth"]

lapack, sparse = required("scipy.linalg.lapack"), required("scipy.sparse")

STEPS = 150
CLOSE = 1e-11
"""Gap by duality (relative to the objective or 1) and violation at which it stops."""
NEARLY = 1e-7
"""Complementarity, likewise, from which on the gap is looked at."""
PATIENCE = 4
"""Steps without a smaller gap, when complementarity is gone, after which rounding allows no better."""
LOST = 1e9
"""A residual from which no way back is expected: most often no mixture meets the limits."""
SHORT = 0.2
"""A step shorter than this part of Newton's is followed by a careful one."""
BEHIND = 0.01
"""Complementarity below this part of the residual is held."""
GROWTH = 10.0
"""A step is halved that makes the residual this much larger than it, and than the root of the gap, was."""
HALVINGS = 10
ROOM = 0.1
"""Of rows at the start, in their units (nats)."""
BACK = 0.995
"""Of the way to the nearest bound that a step goes at most."""


class Found(NamedTuple):
    """proportions [m], the objective there, a bound from below on the optimum by duality, and whether all
    rows and bounds are met (to 1e-11) and the bound means something.

    prices: [c] change of the optimum for each unit that a row's limit is raised by, <= 0; on_lower, on_upper:
    [m] the same for bounds, and on_held for both bounds of a group where they are equal (0 elsewhere).
    """

    proportions: Array
    objective: float
    bound: float
    finished: bool
    prices: Array
    on_lower: Array
    on_upper: Array
    on_held: Array

    @property
    def gap(self) -> float:
        """objective - bound, relative to the objective or 1; infinite when not finished."""
        gap = abs(self.objective - self.bound) / max(1.0, abs(self.objective))
        return gap if self.finished and np.isfinite(gap) else float("inf")


class _Point(NamedTuple):
    """p [m]; extra variables y [k]; slack and multiplier [c + 2 f] of rows and the f free groups' lower and
    upper bounds; the multiplier of sum p = 1."""

    p: Array
    y: Array
    slack: Array
    multiplier: Array
    total: float


class _Step(NamedTuple):
    """Changes of (p, y), of slacks, of multipliers and of the sum's multiplier."""

    variables: Array
    slack: Array
    multiplier: Array
    total: float


class _Layout:
    """What stays the same from step to step.

    Rows with at most two entries, all constant, are light: they are eliminated like bounds, with sparse
    products. The others keep their multiplier as an unknown, which stays accurate when they become tight.
    """

    def __init__(self, program: SmoothProgram, lower: Array, upper: Array) -> None:
        self.program, self.lower, self.upper = program, lower, upper
        self.free = np.flatnonzero(upper > lower)
        constant = np.hstack([program.on_p[:, self.free], program.on_y])
        light = ~program.on_z.any(axis=1) & (np.count_nonzero(constant, axis=1) <= 2)
        self.light, self.heavy = np.flatnonzero(light), np.flatnonzero(~light)
        self.sparse: Any = sparse.csr_matrix(constant[self.light])
        self.on_z, self.constant = program.on_z[self.heavy], constant[self.heavy]
        self.width = np.concatenate([(upper - lower)[self.free], np.ones(program.extra_cost.size)])
        self.ones = np.concatenate([np.ones(self.free.size), np.zeros(program.extra_cost.size)])


class _System:
    """Values and residuals at a point, and Newton's equations there."""

    def __init__(self, layout: _Layout, at: _Point) -> None:
        self.layout, self.at = layout, at
        program, free = layout.program, layout.free
        self.rows = program.limit.size
        z, slopes = program.values(at.p), program.gradients(at.p)[:, free]
        self.objective = float(program.cost @ z + program.extra_cost @ at.y)
        self.heavy = layout.constant.copy()
        self.heavy[:, : free.size] += layout.on_z @ slopes
        over = program.on_z @ z + program.on_p @ at.p + program.on_y @ at.y - program.limit
        bounds = np.concatenate([layout.lower[free] - at.p[free], at.p[free] - layout.upper[free]])
        self.primal = np.concatenate([over, bounds]) + at.slack
        cost = np.concatenate([program.cost @ slopes, program.extra_cost])
        self.sum = float(at.p.sum() - 1)
        self.dual = cost + self.spread(at.multiplier) + at.total * layout.ones

    @property
    def gap(self) -> float:
        """Complementarity: slack . multiplier."""
        return float(self.at.slack @ self.at.multiplier)

    @property
    def missed(self) -> float:
        """Largest violation of rows, bounds and sum."""
        return max(float(np.abs(self.primal).max()), abs(self.sum))

    @property
    def residual(self) -> float:
        """`missed`, or if it is larger the slope along which the Lagrangian still falls."""
        return max(self.missed, float(np.abs(self.dual * self.layout.width).max()))

    def spread(self, multiplier: Array) -> Array:
        """Transposed Jacobian of rows and bounds times a vector."""
        rows, f, layout = self.rows, self.layout.free.size, self.layout
        total = multiplier[layout.heavy] @ self.heavy + layout.sparse.T @ multiplier[layout.light]
        total[:f] += multiplier[rows + f :] - multiplier[rows : rows + f]
        return total

    def along(self, step: Array) -> Array:
        """Jacobian of rows and bounds times a vector."""
        f, layout, found = self.layout.free.size, self.layout, np.empty(self.rows)
        found[layout.heavy], found[layout.light] = self.heavy @ step, layout.sparse @ step
        return np.concatenate([found, -step[:f], step[:f]])

    def factorise(self) -> bool:
        """Newton's equations in (p, y), the heavy rows' multipliers and the sum's; False if singular."""
        at, rows, layout = self.at, self.rows, self.layout
        f, k, heavy = layout.free.size, layout.ones.size, layout.heavy
        ratio = at.multiplier / at.slack
        weights = layout.program.cost + at.multiplier[:rows] @ layout.program.on_z
        matrix = np.zeros((k + heavy.size + 1, k + heavy.size + 1))
        matrix[:f, :f] = layout.program.hessian(at.p, weights)[np.ix_(layout.free, layout.free)]
        if layout.light.size:
            scaled = layout.sparse.multiply(ratio[layout.light][:, None])
            matrix[:k, :k] += (layout.sparse.T @ scaled).toarray()
        matrix[np.arange(f), np.arange(f)] += ratio[rows : rows + f] + ratio[rows + f :]
        matrix[k:-1, :k], matrix[:k, k:-1] = self.heavy, self.heavy.T
        matrix[np.arange(k, k + heavy.size), np.arange(k, k + heavy.size)] = -1 / ratio[heavy]
        matrix[-1, :k] = matrix[:k, -1] = layout.ones
        *self.factor, singular = lapack.dgetrf(matrix, overwrite_a=True)
        return not singular

    def direction(self, wanted: Array) -> _Step:
        """The Newton step; wanted: slack x multiplier after it."""
        at, heavy, k = self.at, self.layout.heavy, self.layout.ones.size
        push = wanted / at.slack - at.multiplier + at.multiplier / at.slack * self.primal
        push[heavy] = 0
        tight = (at.slack - self.primal - wanted / at.multiplier)[heavy]
        right = np.concatenate([-self.dual - self.spread(push), tight, [-self.sum]])
        found: Array = lapack.dgetrs(*self.factor, right)[0]
        slack = -self.primal - self.along(found[:k])
        multiplier = (wanted - at.multiplier * slack) / at.slack - at.multiplier
        multiplier[heavy] = found[k:-1]
        return _Step(found[:k], slack, multiplier, float(found[-1]))


def solve_smooth(program: SmoothProgram, lower: Array, upper: Array) -> Found:
    """The least of a program over lower <= p <= upper, sum p = 1, where that leaves a choice."""
    with np.errstate(all="ignore"):  # a problem without a solution may run off to infinity
        return _solved(program, lower, upper)


def _solved(program: SmoothProgram, lower: Array, upper: Array) -> Found:
    layout = _Layout(program, lower, upper)
    system = _System(layout, _start(program, lower, upper))
    best, part, stuck = _found(system, False), 1.0, 0
    for _ in range(STEPS):
        if system.missed <= CLOSE and system.gap <= NEARLY * max(1.0, abs(system.objective)):
            found = _found(system, True)
            better = not best.finished or found.gap < best.gap
            best, stuck = (found, 0) if better else (best, stuck + (system.gap <= CLOSE))
        if best.gap <= CLOSE or stuck == PATIENCE or not system.residual < LOST or not system.factorise():
            break
        step = _step(system, careful=part < SHORT)
        part = min(1.0, BACK * _length(system.at, step))
        allowed = GROWTH * max(system.residual, float(np.sqrt(system.gap)))
        ahead = _System(layout, _moved(system, step, part))
        for _ in range(HALVINGS):
            if ahead.residual <= allowed:
                break
            part /= 2
            ahead = _System(layout, _moved(system, step, part))
        system = ahead
    return best


def _start(program: SmoothProgram, lower: Array, upper: Array) -> _Point:
    """Strictly inside the bounds, each group at the same part of the way from its lower to its upper one."""
    part = (1 - lower.sum()) / max((upper - lower).sum(), 1e-300)
    p = lower + part * (upper - lower)
    free = upper > lower
    over = program.on_z @ program.values(p) + program.on_p @ p - program.limit
    y = np.zeros(program.extra_cost.size)
    for j in range(y.size):  # each large enough for its rows, given those before it
        rows = program.on_y[:, j] < 0
        y[j] = (over + program.on_y @ y)[rows].max(initial=0.0) + ROOM
    slack = np.concatenate([np.maximum(-over - program.on_y @ y, ROOM), (p - lower)[free], (upper - p)[free]])
    return _Point(p, y, slack, ROOM / slack / slack.size, 0.0)


def _step(system: _System, careful: bool) -> _Step:
    """A predictor-corrector step (Mehrotra); a careful one keeps closer to the central path."""
    at = system.at
    mean = system.gap / at.slack.size
    plain = system.direction(np.zeros(at.slack.size))
    part = _length(at, plain)
    ahead = (at.slack + part * plain.slack) @ (at.multiplier + part * plain.multiplier) / system.gap
    if system.gap < BEHIND * system.residual:  # first let the rows catch up
        return system.direction(np.full(at.slack.size, mean))
    if careful:
        return system.direction(np.full(at.slack.size, mean * max(float(ahead), 0.5)))
    return system.direction(mean * float(ahead) ** 3 - plain.slack * plain.multiplier)


def _moved(system: _System, step: _Step, part: float) -> _Point:
    at, free = system.at, system.layout.free
    p = at.p.copy()
    p[free] += part * step.variables[: free.size]
    return _Point(
        p,
        at.y + part * step.variables[free.size :],
        at.slack + part * step.slack,
        at.multiplier + part * step.multiplier,
        at.total + part * step.total,
    )


def _length(at: _Point, step: _Step) -> float:
    """How much of a step keeps slacks and multipliers from becoming negative, at most 1."""
    falls = max(float((-step.slack / at.slack).max()), float((-step.multiplier / at.multiplier).max()))
    return 1 / max(falls, 1.0)


def _found(system: _System, finished: bool) -> Found:
    """With the bound: the Lagrangian is convex, so nowhere below its tangent at p.

    Over the bounds the tangent is least where the groups of the smallest slopes are at their upper ones.
    """
    at, layout, program = system.at, system.layout, system.layout.program
    free, lower, upper = layout.free, layout.lower, layout.upper
    multiplier = at.multiplier[: system.rows]
    over = (system.primal - at.slack)[: system.rows]
    weights = program.cost + multiplier @ program.on_z
    every = weights @ program.gradients(at.p) + multiplier @ program.on_p
    slopes = every[free]
    order = np.argsort(slopes)
    room = (upper - lower)[free][order]
    filled = np.clip(1 - lower.sum() - (np.cumsum(room) - room), 0, room)
    bound = system.objective + multiplier @ over + slopes[order] @ filled - slopes @ (at.p - lower)[free]
    left = np.abs(program.extra_cost + multiplier @ program.on_y) @ np.abs(at.y)
    prices = np.zeros((3, lower.size))
    prices[0, free], prices[1, free] = np.split(at.multiplier[system.rows :], 2)
    prices[1] *= -1
    held = np.setdiff1d(np.arange(lower.size), free)
    prices[2, held] = every[held] + at.total
    return Found(at.p, system.objective, float(bound - left), finished, -multiplier, *prices)
