"""Exponentiated gradient descent on the simplex, with Aioli's normalisation of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array, Law, Problem
from aioli.simplex import softmax

__all__ = ["EgState", "ExponentiatedGradient", "normalise_matrix"]


class EgState(NamedTuple):
    """`average` [n, m]: the running mean of normalised matrices (NaN before the first)."""

    average: Array


@dataclass(frozen=True)
class ExponentiatedGradient:
    """p_j <- p_j exp(eta sum_i w_i A_ij), normalised.

    Args:
        eta: step size; with `normalise` no ratio p_j / p_k moves by more than e^eta in a step.
        normalise: shift the matrix so that no entry is negative and divide it by its sum.
        memory: None accumulates in p (the paper's Algorithm 1). A number e in [0, 1) keeps
            G <- (1 - e) A + e G instead and restarts from uniform, p ~ exp(eta sum_i w_i G_ij)
            (the released code), so that nothing accumulates.

    Raises:
        InputError: eta negative or not finite, memory outside [0, 1).

    References:
        arXiv 2411.05735, Algorithm 1.
    Departures:
        Target weights (rescaled to sum to n, so that the published eta keeps its meaning) multiply the
        rows after normalising. A zero matrix leaves p unchanged. Groups without data keep exactly 0
        and stay out of the normalisation.
    """

    eta: float
    normalise: bool = True
    memory: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.eta) and self.eta >= 0):
            raise InputError(f"eta must be a finite number >= 0, got {self.eta}")
        if self.memory is not None and not 0 <= self.memory < 1:
            raise InputError(f"the ema weight of the past must be in [0, 1), got {self.memory}")

    def init(self, problem: Problem) -> EgState:
        return EgState(np.full((problem.n, problem.m), np.nan))

    def step(
        self, problem: Problem, state: EgState, law: Law, proportions: Array, matrix: Array, weights: Array
    ) -> tuple[EgState, Array]:
        """One update from proportions [m], raw matrix [n, m] and weights [n] (summing to n)."""
        usable = problem.available
        matrix = np.where(usable, matrix, 0.0)
        if self.normalise:
            matrix[:, usable] = normalise_matrix(matrix[:, usable])
        if self.memory is not None:
            first = np.isnan(state.average).any()
            average = matrix if first else (1 - self.memory) * matrix + self.memory * state.average
            state, matrix, proportions = EgState(average), average, problem.uniform
        with np.errstate(divide="ignore"):
            return state, softmax(np.log(proportions) + self.eta * law.descent(matrix, weights))


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
