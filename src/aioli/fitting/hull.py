"""How far a mixture is from the mixtures that were trained."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from aioli.protocol import Array

__all__ = ["distance_outside"]

HOLD = 1e3
"""Weight of the sum to 1 against distances of at most 1."""
INSIDE = 1e-6
"""Shares below this are rounding."""


def distance_outside(mixtures: Array, trained: Array) -> Array:
    """[k] the share of each mixture that leaves the convex hull of the trained mixtures [r, m]; 0: inside.

    min_w ||p - sum_r w_r x_r||, w >= 0 with sum 1 (non-negative least squares); reported is half the sum of
    |p - sum_r w_r x_r|, the part of the data that differs from the nearest mixture of runs.

    >>> corners = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    >>> distance_outside(np.array([[0.3, 0.7, 0], [0.3, 0.5, 0.2]]), corners).round(6)
    array([0. , 0.2])
    """
    corners = np.unique(trained, axis=0)
    system = np.vstack([corners.T, np.full(len(corners), HOLD)])
    found = np.empty(len(mixtures))
    for row, mixture in enumerate(mixtures):
        weights, _ = nnls(system, np.append(mixture, HOLD))
        nearest = corners.T @ (weights / weights.sum())
        found[row] = 0.5 * np.abs(mixture - nearest).sum()
    return np.where(found < INSIDE, 0.0, found)
