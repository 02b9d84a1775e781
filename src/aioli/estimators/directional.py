"""All column sums of the matrix at once: how the groups' losses change along one step for the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aioli.estimators.measured import Measured, MeasuredState
from aioli.protocol import Array, Observation, Problem, Signal

__all__ = ["Directional"]


@dataclass(frozen=True)
class Directional(Measured):
    """A_ij = d_j / n, d_j the fall of the weighted target loss for a small preconditioned step on group j.

    The signal sums over the targets, so only the column sums of A are known, and all rows are equal: the
    objective must be the mean loss, whose weights are in the signal. It takes two passes over a few sequences
    of each group and one gradient, however many groups there are. A group not measured yet gets the
    mean of the others.

    Departures:
        Not a published estimator. Like all gradients it sees the next step only: what helps over
        hundreds of steps can differ.
    """

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.DIRECTIONAL})

    def rows(self, problem: Problem) -> int:
        return 1

    def read(self, problem: Problem, seen: Observation) -> Array:
        return seen.values[Signal.DIRECTIONAL][None]

    def matrix(self, problem: Problem, state: MeasuredState) -> Array:
        sums, known = state.values[0], ~np.isnan(state.values[0])
        if not known.any():
            return np.full((problem.n, problem.m), np.nan)
        mean = float(sums[known].mean())
        return np.tile(np.where(known, sums, mean) / problem.n, (problem.n, 1))
