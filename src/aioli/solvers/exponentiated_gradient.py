"""Exponentiated gradient descent on the simplex, with Aioli's normalisation of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.constraints import free_groups
from aioli.errors import InputError
from aioli.protocol import Array, Law, Problem
from aioli.regroup import Regroup, filled
from aioli.simplex import softmax

__all__ = ["EgState", "ExponentiatedGradient", "normalise_matrix"]


class EgState(NamedTuple):
    """`average` [n, m]: running mean of matrices, NaN before the first. `anchor` [m]: the start."""

    average: Array
    anchor: Array


@dataclass(frozen=True)
class ExponentiatedGradient:
    """p_j <- p_j exp(eta sum_i w_i A_ij), normalised.

    Args:
        eta: step size; with `normalise` no ratio p_j / p_k moves by more than e^eta in a step.
        normalise: shift the matrix so that no entry is negative and divide it by its sum.
        memory: use G <- (1 - memory) A + memory G (G starts as the first A) in place of A.
        restart: step from the start instead of from p, so that steps do not accumulate.
        smoothing: share c of uniform mixed in after the step, p <- (1 - c) p + c / m.

    Raises:
        InputError: eta negative or not finite, memory or smoothing outside [0, 1).

    References:
        arXiv 2411.05735, Algorithm 1 (accumulating). Its released code has memory and restart from
        uniform, arXiv 2307.14430 (Skill-It) restart, arXiv 2310.06694 smoothing.
    Departures:
        Target weights (rescaled to sum to n, so that the published eta keeps its meaning) multiply the
        rows after normalising. A zero matrix leaves p unchanged. Groups without data keep exactly 0
        and stay out of the normalisation and the smoothing, groups with a fixed proportion out of
        the normalisation.
    """

    eta: float
    normalise: bool = True
    memory: float = 0.0
    restart: bool = False
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.eta) and self.eta >= 0):
            raise InputError(f"eta must be a finite number >= 0, got {self.eta}")
        for name in ("memory", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def init(self, problem: Problem, start: Array) -> EgState:
        """The state before the first step; `start` [m] are the proportions it will begin from."""
        return EgState(np.full((problem.n, problem.m), np.nan), start)

    def step(
        self, problem: Problem, state: EgState, law: Law, proportions: Array, matrix: Array, weights: Array
    ) -> tuple[EgState, Array]:
        """One update from proportions [m], raw matrix [n, m] and weights [n] (summing to n)."""
        usable = free_groups(problem)
        matrix = np.where(usable, matrix, 0.0)
        if self.normalise and usable.any():
            matrix[:, usable] = normalise_matrix(matrix[:, usable])
        if not np.isnan(state.average).any():
            matrix = (1 - self.memory) * matrix + self.memory * state.average
        start = state.anchor if self.restart else proportions
        with np.errstate(divide="ignore"):
            p = softmax(np.log(start) + self.eta * law.descent(matrix, weights))
        return EgState(matrix, state.anchor), (1 - self.smoothing) * p + self.smoothing * problem.uniform

    def regroup(self, change: Regroup, state: EgState) -> EgState:
        """The mean matrix is inherited; a new group has its row's mean, a new target one value for all."""
        average = change.matrix(state.average)
        known = ~np.isnan(state.average).any()
        return EgState(filled(average) if known else average, change.proportions(state.anchor))


def normalise_matrix(matrix: Array) -> Array:
    """Subtract the smallest entry of the whole matrix if it is negative, then divide by the sum.

    A zero matrix stays zero.

    >>> normalise_matrix(np.array([[0.2, 0.1], [0.1, 0.4]]))
    array([[0.25 , 0.125],
           [0.125, 0.5  ]])
    """
    shifted = matrix - min(matrix.min(), 0.0)
    total = shifted.sum()
    return shifted / total if total > 0 else np.zeros_like(matrix)
