"""The linear dynamic law: L_i(after) = L_i(before) - sum_j A_ij p_j."""

from __future__ import annotations

from dataclasses import dataclass

from aioli.protocol import Array

__all__ = ["Linear"]


@dataclass(frozen=True)
class Linear:
    """Target losses fall linearly in the proportions over one segment.

    With the losses before the segment measured, a constant in a row of A is identified: it is the trend
    common to all mixtures.

    >>> import numpy as np
    >>> Linear().predict(np.array([4.0]), np.array([[0.2, 0.1]]), np.array([0.5, 0.5]))
    array([3.85])

    References:
        arXiv 2411.05735, equation of the linear dynamic mixing law (sigma = identity).
    """

    def predict(self, losses: Array, matrix: Array, proportions: Array) -> Array:
        """[n] losses after a segment, from losses [n] before it, matrix [n, m], proportions [m]."""
        return losses - matrix @ proportions

    def descent(self, matrix: Array, weights: Array) -> Array:
        """[m] minus the gradient of the weighted target loss in the proportions: sum_i w_i A_ij."""
        return weights @ matrix
