"""Gradients as the law's matrix: what a small step on each group does to each target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aioli.errors import InputError
from aioli.estimators.measured import Measured, MeasuredState
from aioli.protocol import Array, Observation, Problem, Signal

__all__ = ["Alignment", "DogeScore"]


@dataclass(frozen=True)
class Alignment(Measured):
    """A_ij = <gradient of target i, gradient of group j>: the fall of L_i for a small step on group j.

    Validation losses are read with it, for objectives that weigh the targets by them. A group not measured
    yet gets the mean of its row, so it is neither raised nor lowered for that.

    References:
        arXiv 2310.15393 (DoGE) reads its scores from these products; arXiv 2411.05735 has them as a matrix.
    Departures:
        DoGE pools the targets, clips the gradients' norms and bounds the scores: that is `DogeScore`.
        Here the matrix is raw, and the solver normalises it or not.
    """

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.GRADIENT_ALIGNMENT, Signal.VALIDATION_LOSS})

    def rows(self, problem: Problem) -> int:
        return problem.n

    def read(self, problem: Problem, seen: Observation) -> Array:
        return seen.values[Signal.GRADIENT_ALIGNMENT]

    def matrix(self, problem: Problem, state: MeasuredState) -> Array:
        known = ~np.isnan(state.values)
        total = np.where(known, state.values, 0.0).sum(axis=1, keepdims=True)
        mean = total / np.maximum(known.sum(axis=1, keepdims=True), 1)
        return np.where(known, state.values, mean) if known.any() else state.values


@dataclass(frozen=True)
class DogeScore(Measured):
    """A_ij = s_j / n with DoGE's score s_j = clip(r W_j / (mean_k |g_k| + 1e-6), 0, 5 r).

    r is the learning rate, g_j is the gradient of group j clipped to norm `clip`, G the gradient of the
    weighted mean of the targets, W_j = <g_j, G>. The score pools the targets before it is bounded, so only
    the column sums of A say something, and all rows are equal. A group that was not drawn scores 0 and
    stays out of the mean norm.

    Args:
        clip: largest norm of a group's gradient.

    Raises:
        InputError: a clip that is not positive; in the run, a loop that tells no learning rate.

    References:
        arXiv 2310.15393, Algorithm 1; Olivia-fsm/DoGE.
    """

    clip: float = 5.0
    waits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.clip > 0:
            raise InputError(f"clip, the largest norm of a gradient, must be positive, got {self.clip}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.GRADIENT_ALIGNMENT, Signal.GRADIENT_NORM})

    def rows(self, problem: Problem) -> int:
        return 1

    def read(self, problem: Problem, seen: Observation) -> Array:
        rate = seen.learning_rate
        if not np.isfinite(rate):
            raise InputError(
                "DoGE's score needs the learning rate of the step: give it to "
                "Mixer.tell(values, learning_rate)"
            )
        norms = seen.values[Signal.GRADIENT_NORM]
        drawn = ~np.isnan(norms)
        norms = np.where(drawn, norms, 0.0)
        kept = np.minimum(1.0, self.clip / np.maximum(norms, 1e-300))
        pooled = problem.weights @ np.where(drawn, seen.values[Signal.GRADIENT_ALIGNMENT], 0.0)
        mean_norm = (kept * norms).sum() / max(int(drawn.sum()), 1)
        return np.clip(rate * kept * pooled / (mean_norm + 1e-6), 0, 5 * rate)[None]

    def matrix(self, problem: Problem, state: MeasuredState) -> Array:
        return np.tile(state.values / problem.n, (problem.n, 1))
