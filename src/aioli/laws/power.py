"""Power laws of the loss in the amount of training, fitted to many groups at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aioli.protocol import Array

__all__ = ["PowerLaws", "fit_power_laws"]

HUBER = 1e-3
STEEPEST = 0.8
LEAST_FLOOR = 0.1
"""Least E, as a share of the smallest loss seen."""
STARTS = np.linspace(0.02, 0.78, 12)
STEPS = 60
ENOUGH = 1e-5
"""A fit ends when a step lowers its sum by less than this share."""
SMALLEST = 1e-30
SINGULAR = 1e-10
"""Share of the largest curvature that every variable is given at least."""


class PowerLaws(NamedTuple):
    """L_j(n) = E_j + B_j n^-alpha_j for k groups; [k] each of log E, log B and alpha."""

    log_floor: Array
    log_scale: Array
    exponent: Array

    def reducible(self, log_count: float | Array) -> Array:
        """[k] B n^-alpha at log n: how far the losses are above their floors.

        >>> PowerLaws(np.zeros(1), np.log([2.0]), np.array([0.5])).reducible(np.log(4.0))
        array([1.])
        """
        return np.exp(self.log_scale - self.exponent * log_count)


def fit_power_laws(log_counts: Array, losses: Array) -> PowerLaws:
    """Fit each group's losses [t, k] at log amounts [t]: the least sum of Huber losses of log residuals.

    All groups are solved together: for a dozen exponents the best E and B by weighted least squares, from the
    best of them damped Gauss-Newton steps. 0 < alpha < 0.8; E lies between a tenth of the group's least
    loss and that loss, so the fit does not depend on the size of the losses.

    >>> n = np.linspace(1e3, 1e5, 50)
    >>> law = fit_power_laws(np.log(n), (1.2 + 30 * n**-0.4)[:, None])
    >>> np.round([np.exp(law.log_floor[0]), np.exp(law.log_scale[0]), law.exponent[0]], 3)
    array([ 1.2, 30. ,  0.4])

    References:
        arXiv 2410.11820, section on estimating the scaling laws (Huber 1e-3, alpha at most 0.8).
    Departures:
        The release starts L-BFGS from 512 points for each group and penalises E < 1.65 nats.
    """
    data = losses.T
    centre = log_counts.mean()
    x = log_counts - centre
    problem = _Fits(x, np.log(data), LEAST_FLOOR * data.min(axis=1), data.min(axis=1))
    theta = problem.descend(problem.start(data))
    scale, exponent, floor = problem.read(theta)
    return PowerLaws(np.log(floor), scale + exponent * centre, exponent)


def _solved(systems: Array, values: Array) -> Array:
    return np.linalg.solve(systems, values)


class _Fits(NamedTuple):
    """k fits side by side, in free variables theta [k, 3]: log B at x = 0, and logits of alpha and E."""

    x: Array
    target: Array
    low: Array
    high: Array

    def read(self, theta: Array) -> tuple[Array, Array, Array]:
        shares = 1 / (1 + np.exp(-theta[:, 1:]))
        return theta[:, 0], STEEPEST * shares[:, 0], self.low + (self.high - self.low) * shares[:, 1]

    def start(self, losses: Array) -> Array:
        """The best of a dozen exponents, each with least squares for E and B at weights 1 / L^2."""
        best, lowest = np.zeros((len(losses), 3)), np.full(len(losses), np.inf)
        weight = 1 / losses**2
        for exponent in STARTS:
            basis = np.exp(-exponent * self.x)
            total, first = weight.sum(axis=1), weight @ basis
            second = weight @ basis**2
            determinant = np.maximum(total * second - first**2, SMALLEST)
            value, cross = (weight * losses).sum(axis=1), (weight * losses) @ basis
            span = self.high - self.low
            free = (second * value - first * cross) / determinant
            floor = np.clip(free, self.low + 0.01 * span, self.high - 0.01 * span)
            scale = np.maximum((cross - floor * first) / second, 1e-6 * self.high)
            share = (floor - self.low) / span
            logit = np.log(exponent / (STEEPEST - exponent))
            theta = np.stack([np.log(scale), np.full_like(scale, logit), np.log(share / (1 - share))], axis=1)
            cost = self.cost(theta)
            better = cost < lowest
            best[better], lowest[better] = theta[better], cost[better]
        return best

    def curve(self, theta: Array) -> tuple[Array, Array]:
        """[k, t] the law's log losses, and the reducible share of its losses."""
        scale, exponent, floor = self.read(theta)
        reducible = np.exp(scale[:, None] - exponent[:, None] * self.x)
        loss = reducible + floor[:, None]
        return np.log(loss), reducible / loss

    def cost(self, theta: Array) -> Array:
        """[k] sums of Huber losses."""
        size = np.abs(self.target - self.curve(theta)[0])
        return np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER)).sum(axis=1)

    def descend(self, theta: Array) -> Array:
        """Damped Gauss-Newton (Levenberg-Marquardt) on the reweighted residuals, group by group."""
        damping, cost = np.full(len(theta), 1e-2), self.cost(theta)
        left = np.arange(len(theta))
        for _ in range(STEPS):
            part = _Fits(self.x, self.target[left], self.low[left], self.high[left])
            trial = part.stepped(theta[left], damping[left])
            fresh = part.cost(trial)
            gain = cost[left] - fresh
            better = gain > 0
            theta[left[better]], cost[left[better]] = trial[better], fresh[better]
            damping[left] = np.where(better, damping[left] / 3, damping[left] * 4)
            moving = np.where(better, gain > ENOUGH * cost[left], damping[left] < 1e4)
            left = left[moving]
            if not left.size:
                break
        return theta

    def stepped(self, theta: Array, damping: Array) -> Array:
        """[k, 3] one damped step on."""
        curvature, slope = self._equations(theta)
        diagonal = np.einsum("kii->ki", curvature)
        # a variable that the losses say nothing of still gets some curvature
        least = SINGULAR * diagonal.max(axis=1, keepdims=True) + SMALLEST
        damped = curvature + np.eye(3) * (damping[:, None] * diagonal + least)[:, None, :]
        step = _solved(damped, slope[:, :, None])[:, :, 0]
        return np.clip(theta + np.clip(step, -3, 3), -40, 40)

    def _equations(self, theta: Array) -> tuple[Array, Array]:
        """[k, 3, 3] and [k, 3]: the weighted normal equations of one step."""
        _, exponent, floor = self.read(theta)
        predicted, share = self.curve(theta)
        residual = self.target - predicted
        weight = np.minimum(1, HUBER / np.maximum(np.abs(residual), SMALLEST))
        bend = (exponent * (1 - exponent / STEEPEST))[:, None]
        lift = ((floor - self.low) * (self.high - floor) / (self.high - self.low) / floor)[:, None]
        slopes = np.stack([share, -share * self.x * bend, (1 - share) * lift], axis=1)
        weighted = slopes * weight[:, None, :]
        return weighted @ slopes.transpose(0, 2, 1), (weighted @ residual[:, :, None])[:, :, 0]
