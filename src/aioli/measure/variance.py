"""How much the gradients of a group's sequences differ from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.measure.base import Context, Measure
from aioli.measure.gradients import dot, gradient, weights_of
from aioli.protocol import Array, Signal

__all__ = ["Variance"]


class Variance(Measure):
    """`gradient_variance` [m]: unbiased trace of the covariance of a group's per-sequence gradients.

    Measured when the segment ends, on the next `sequences` rows of every group, whatever will be drawn; a
    group with fewer rows gives all it has, and with fewer than two NaN. With g_s the gradient of sequence
    s of k: (sum_s |g_s|^2 - |sum_s g_s|^2 / k) / (k - 1).

    Costs m x `sequences` forward and backward passes of one sequence. Holds two gradients.
    """

    signals = frozenset({Signal.GRADIENT_VARIANCE})
    requires = ("model", "upcoming")

    def __init__(self, context: Context, sequences: int = 8) -> None:
        super().__init__(context)
        self.sequences = sequences

    def finish(self, steps: int) -> dict[str, Array]:
        assert self.context.upcoming is not None
        values = [self._trace(rows) for rows in self.context.upcoming(self.sequences)]
        return {Signal.GRADIENT_VARIANCE: np.array(values)}

    def _trace(self, rows: NDArray[Any]) -> float:
        if len(rows) < 2:
            return float("nan")
        total = [torch.zeros_like(weight) for weight in weights_of(self.context)]
        squares = sum(self._add(total, rows[s : s + 1]) for s in range(len(rows)))
        return max(squares - dot(total, total) / len(rows), 0.0) / (len(rows) - 1)

    def _add(self, total: list[Tensor], row: NDArray[Any]) -> float:
        """Add a sequence's gradient to `total`; returns its squared norm."""
        fresh = gradient(self, row)
        for whole, part in zip(total, fresh, strict=True):
            whole.add_(part)
        return dot(fresh, fresh)
