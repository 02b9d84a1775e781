"""Bounded robust curve fits, many at once: damped Gauss-Newton on reweighted residuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from aioli.protocol import Array

__all__ = ["Curve", "Problems", "best_starts", "descend", "huber_sum", "lowest", "solved"]

STEPS = 150
ENOUGH = 1e-8
"""A fit ends when a step lowers its sum by less than this share."""
STUCK = 1e8
"""A fit ends when no step helps at this damping."""
FAR = 0.2
"""Share of the reweighted curvature that residuals beyond delta keep: their true curvature is 0, and a share
of 1 takes twice the steps."""
SMALLEST = 1e-30
SINGULAR = 1e-12
"""Share of the largest curvature that every variable is given at least."""
BLOCK_BYTES = 2**21
"""Slopes held at a time."""


class Curve(Protocol):
    """Predicted losses of the same k runs for f sets of q numbers theta [f, q]."""

    def values(self, theta: Array) -> Array:
        """[f, k] predicted losses."""
        ...

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        """[f, k] predicted losses, and their derivatives [f, q, k] in theta."""
        ...


@dataclass(frozen=True, eq=False)
class Problems:
    """f fits: minimise sum_k weights_k huber(losses_k - curve(theta)_k) with lower <= theta <= upper.

    huber(r) is r^2 / 2 up to |r| = delta and delta (|r| - delta / 2) beyond.

    Attributes:
        losses, weights: [f, k], nats per token and >= 0. lower, upper: [f, q]. delta: in nats; infinite for
            least squares.
    """

    curve: Curve
    losses: Array
    weights: Array
    lower: Array
    upper: Array
    delta: float

    def __len__(self) -> int:
        return len(self.losses)

    def rows(self, chosen: Array | slice) -> Problems:
        """These fits alone, in this order."""
        names = ("losses", "weights", "lower", "upper")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def cost(self, theta: Array) -> Array:
        """[f] the sums that are minimised, at theta [f, q]."""
        cost = np.empty(len(self))
        for at in _blocks(len(self), theta.shape[1] * self.losses.shape[1]):
            part = self.rows(at)
            cost[at] = huber_sum(part.losses - part.curve.values(theta[at]), part.weights, self.delta)
        return cost

    def equations(self, theta: Array) -> tuple[Array, Array, Array]:
        """[f], [f, q, q] and [f, q]: the sums, and curvature and descent direction for a step from theta."""
        predicted, slopes = self.curve.slopes(theta)
        residual = self.losses - predicted
        size = np.abs(residual)
        weight = self.weights * np.minimum(1, self.delta / np.maximum(size, SMALLEST))
        slope = (slopes @ (weight * residual)[:, :, None])[:, :, 0]
        weight[size > self.delta] *= FAR
        curvature = (slopes * weight[:, None, :]) @ slopes.transpose(0, 2, 1)
        return huber_sum(residual, self.weights, self.delta), curvature, slope


def huber_sum(residual: Array, weights: Array, delta: float) -> Array:
    """[f] weighted sums of Huber losses of residuals [f, k].

    >>> huber_sum(np.array([[0.1, -3.0]]), np.ones((1, 2)), 1.0)
    array([2.505])
    """
    size = np.abs(residual)
    near = np.minimum(size, delta)
    return (weights * near * (size - 0.5 * near)).sum(axis=1)


def descend(problems: Problems, theta: Array) -> tuple[Array, Array]:
    """Numbers [f, q] that no damped step from theta [f, q] improves, and their sums [f].

    Gauss-Newton steps on the reweighted residuals with Levenberg-Marquardt damping; a number at a bound that
    the slope presses against is held there for a step, and steps are cut off at the bounds. A fit leaves the
    batch when it gains no more. Deterministic.
    """
    theta = np.clip(theta, problems.lower, problems.upper)
    cost = np.empty(len(problems))
    for at in _blocks(len(problems), theta.shape[1] * problems.losses.shape[1]):
        theta[at], cost[at] = _descend_block(problems.rows(at), theta[at])
    return theta, cost


def _descend_block(problems: Problems, theta: Array) -> tuple[Array, Array]:
    end, sums = theta.copy(), np.empty(len(theta))
    left, damping = np.arange(len(theta)), np.full(len(theta), 1e-2)
    cost, curvature, slope = problems.equations(theta)
    for _ in range(STEPS):
        trial = _stepped(problems, theta, curvature, slope, damping)
        fresh, *equations = problems.equations(trial)
        gain, expected = cost - fresh, _expected(trial - theta, curvature, slope)
        better = gain > 0
        moving = np.where(better, gain > ENOUGH * cost, damping < STUCK)
        damping = damping * _change(better, gain, expected)
        theta = np.where(better[:, None], trial, theta)
        cost = np.where(better, fresh, cost)
        curvature = np.where(better[:, None, None], equations[0], curvature)
        slope = np.where(better[:, None], equations[1], slope)
        end[left], sums[left] = theta, cost
        if not moving.all():
            left, theta, damping, cost = left[moving], theta[moving], damping[moving], cost[moving]
            curvature, slope, problems = curvature[moving], slope[moving], problems.rows(moving)
        if not left.size:
            break
    return end, sums


def _expected(step: Array, curvature: Array, slope: Array) -> Array:
    """[f] what the sums would fall by if they were quadratic."""
    return (step * slope).sum(axis=1) - 0.5 * ((curvature @ step[:, :, None])[:, :, 0] * step).sum(axis=1)


def _change(better: Array, gain: Array, expected: Array) -> Array:
    """[f] factors of the damping: down where the sum fell about as expected, up where it did not."""
    agreed = np.where(gain > 0.25 * expected, 1 / 1.5, 2.0)
    return np.where(better, np.where(gain > 0.75 * expected, 0.2, agreed), 5.0)


def _stepped(problems: Problems, theta: Array, curvature: Array, slope: Array, damping: Array) -> Array:
    """[f, q] one damped step on, within the bounds."""
    held = ((theta <= problems.lower) & (slope <= 0)) | ((theta >= problems.upper) & (slope >= 0))
    free = (~held).astype(np.float64)
    diagonal = np.einsum("fii->fi", curvature)
    # a number that the losses say nothing of still gets some curvature
    least = SINGULAR * diagonal.max(axis=1, keepdims=True) + SMALLEST
    system = curvature * free[:, :, None] * free[:, None, :]
    diagonal = damping[:, None] * diagonal * free + least + held * (1 + diagonal)
    system += diagonal[:, :, None] * np.eye(theta.shape[1])
    step = solved(system, (slope * free)[:, :, None])[:, :, 0]
    return np.clip(theta + step, problems.lower, problems.upper)


def solved(systems: Array, values: Array) -> Array:
    """[..., q, r] the solutions of systems [..., q, q] for values [..., q, r]."""
    return np.linalg.solve(systems, values)


def _blocks(count: int, numbers: int) -> list[slice]:
    """Slices of `count` fits, each with at most BLOCK_BYTES of `numbers` floats a fit."""
    size = max(1, BLOCK_BYTES // (8 * numbers))
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def best_starts(problems: Problems, starts: Array, keep: int) -> tuple[Problems, Array]:
    """The `keep` starts of lowest sum for each of f fits, from starts [f, s, q]: f x keep fits in all."""
    count, each, q = starts.shape
    every = problems.rows(np.repeat(np.r_[:count], each))
    cost = every.cost(np.clip(starts.reshape(-1, q), every.lower, every.upper)).reshape(count, each)
    chosen = np.argsort(cost, axis=1, kind="stable")[:, :keep]
    best = np.take_along_axis(starts, chosen[:, :, None], axis=1)
    return problems.rows(np.repeat(np.r_[:count], chosen.shape[1])), best.reshape(-1, q)


def lowest(theta: Array, cost: Array, fits: int) -> tuple[Array, Array]:
    """[fits, q] and [fits]: of the descents of each fit the one with the lowest sum."""
    grouped = cost.reshape(fits, -1)
    best = grouped.argmin(axis=1)
    rows = np.arange(fits)
    return theta.reshape(fits, grouped.shape[1], -1)[rows, best], grouped[rows, best]
