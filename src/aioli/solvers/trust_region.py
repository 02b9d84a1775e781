"""The largest gain within a given distance: a step whose size does not depend on the matrix's scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.constraints import free_groups
from aioli.errors import InputError
from aioli.protocol import Array, Law, Problem
from aioli.regroup import Regroup

__all__ = ["TrustRegion", "TrustRegionState", "best_within"]

PRECISION = 1e-13
"""Relative width at which the bisection stops."""
LARGEST = 1e18
"""An eta at which only the best groups are left: gains scaled to a spread of 1 differ by 1e-16 at least."""


class TrustRegionState(NamedTuple):
    """`eta`: that of the last step, for gains scaled to [-1, 0]; 0 before it, infinite at the limit."""

    eta: float


@dataclass(frozen=True)
class TrustRegion:
    """The p of largest gain g . p, g_j = sum_i w_i A_ij, with KL(p || q) <= radius; q: the proportions now.

    The gain is linear and the set convex, so p is optimal when for some eta > 0 it maximises
    g . p - KL(p || q) / eta on the simplex and has KL(p || q) = radius. The maximum is at
    p_j ~ q_j exp(eta g_j), whose KL grows with eta (its derivative is eta times the variance of g under
    p), so bisection finds the one eta. For eta -> infinity p tends to q on the groups of the best gain
    alone. Nothing gains more, so from a radius of that p's KL on, it is the answer: every
    other group is left for good.

    A step depends on the order and the ratios of the gains' differences, not on their size or on what is
    common to all groups: there is nothing to normalise, and no eta to fit to a model. It also means that
    a step over mere noise is as long as any other.

    Args:
        radius: in nats; for a small radius, proportions move by about sqrt(2 radius) of themselves.

    Raises:
        InputError: a radius that is not a positive finite number.

    References:
        The step of relative entropy policy search (Peters et al., AAAI 2010), on proportions.
    Departures:
        No published mixing method uses it. Fixed proportions stay out: KL and gain are those of the
        rest. Caps and floors come after the step, as a projection.
    """

    radius: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"radius must be a positive finite number of nats, got {self.radius}")

    def init(self, problem: Problem, start: Array) -> TrustRegionState:
        """The state before the first step."""
        return TrustRegionState(0.0)

    def step(
        self,
        problem: Problem,
        state: TrustRegionState,
        law: Law,
        proportions: Array,
        matrix: Array,
        weights: Array,
    ) -> tuple[TrustRegionState, Array]:
        """One update from proportions [m], raw matrix [n, m] and weights [n] (summing to n)."""
        usable = free_groups(problem) & (proportions > 0)
        if not usable.any():
            return TrustRegionState(0.0), proportions
        gain = law.descent(matrix[:, usable], weights)
        mass = proportions[usable].sum()
        eta, share = best_within(proportions[usable] / mass, gain, self.radius / mass)
        p = proportions.copy()
        p[usable] = mass * share
        return TrustRegionState(eta), p

    def regroup(self, change: Regroup, state: TrustRegionState) -> TrustRegionState:
        return state


def best_within(start: Array, gain: Array, radius: float) -> tuple[float, Array]:
    """eta and the p [m] of largest gain . p with KL(p || start) <= radius; start positive, summing to 1.

    eta is for gains scaled to a spread of 1; 0 when all gains are equal (p is start), infinite at the limit.

    >>> best_within(np.array([0.5, 0.5]), np.array([2.0, 1.0]), 1.0)
    (inf, array([1., 0.]))
    """
    spread = gain.max() - gain.min()
    if not spread > 0:
        return 0.0, start
    scaled = (gain - gain.max()) / spread
    best = np.where(scaled == 0, start, 0.0)
    if -np.log(best.sum()) <= radius:
        return float("inf"), best / best.sum()
    low, high = 0.0, 1.0
    while _distance(start, scaled, high) < radius:
        if high > LARGEST:
            return float("inf"), best / best.sum()
        low, high = high, 2 * high
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _distance(start, scaled, middle) < radius else (low, middle)
    return low, _tilted(start, scaled, low)


def _tilted(start: Array, scaled: Array, eta: float) -> Array:
    """start exp(eta scaled), normalised; scaled <= 0 with maximum 0."""
    p = start * np.exp(eta * scaled)
    return p / p.sum()


def _distance(start: Array, scaled: Array, eta: float) -> float:
    """KL of `_tilted` from start, in nats: eta E[scaled] - log sum_j start_j exp(eta scaled_j)."""
    p = start * np.exp(eta * scaled)
    total = p.sum()
    return float(eta * (p @ scaled) / total - np.log(total))
