"""The point of the simplex within bounds that is nearest to another: by KL divergence, or Euclidean."""

from __future__ import annotations

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["project_euclidean", "project_kl"]

TOLERANCE = 1e-12
"""Of sums and, relatively, of bounds: a point that is off by no more counts as inside."""
VANISHING = 1e-200
"""A proportion up to this counts as zero in `project_kl`."""


def project_kl(point: Array, lower: Array, upper: Array) -> Array:
    """The x [m] with lower <= x <= upper and sum 1 that has the least KL(x || point).

    x_j = clip(theta point_j, lower_j, upper_j); the scalar theta follows from the sorted breakpoints, in
    O(m log m). A zero point_j stays at its lower bound, unless the others at their upper bounds do not
    sum to 1 with it: then the zeros share the rest equally within their bounds, the limit of
    equal point_j that tend to 0. A point inside is returned as it is.

    Args:
        point: [m] proportions. lower, upper: [m] bounds in [0, 1].

    >>> project_kl(np.array([0.5, 0.3, 0.2]), np.zeros(3), np.array([0.2, 1, 1]))
    array([0.2 , 0.48, 0.32])

    Raises:
        InputError: bounds that no proportions meet.
    """
    _check_box(lower, upper)
    if _inside(point, lower, upper):
        return point
    some = point > VANISHING
    slope, rest = point[some], 1 - lower[~some].sum()
    x = lower.copy()
    if upper[some].sum() < rest and not some.all():
        x[some] = upper[some]
        slope, rest, some = np.ones(point.size)[~some], 1 - upper[some].sum(), ~some
    x[some] = _meet(np.zeros(slope.size), slope, lower[some], upper[some], rest)
    return x


def project_euclidean(point: Array, lower: Array, upper: Array) -> Array:
    """The x [m] with lower <= x <= upper and sum 1 nearest to point in Euclidean distance.

    x_j = clip(point_j - tau, lower_j, upper_j), tau from the sorted breakpoints, in O(m log m).

    >>> project_euclidean(np.array([0.5, 0.3, 0.2]), np.zeros(3), np.array([0.2, 1, 1]))
    array([0.2 , 0.45, 0.35])

    Raises:
        InputError: bounds that no proportions meet.
    """
    _check_box(lower, upper)
    if _inside(point, lower, upper):
        return point
    return _meet(point - point.max(), np.ones(point.size), lower, upper, 1.0)


def _meet(start: Array, slope: Array, lower: Array, upper: Array, total: float) -> Array:
    """clip(start + theta slope, lower, upper) [m] with that sum; slopes positive, total within reach."""
    enter, leave = (lower - start) / slope, (upper - start) / slope
    breaks = np.sort(np.concatenate([enter, leave]))
    low, high = 0, breaks.size - 1
    while low < high:  # the first breakpoint where the sum has reached the total
        middle = (low + high) // 2
        reached = np.minimum(np.maximum(start + breaks[middle] * slope, lower), upper).sum() >= total
        low, high = (low, middle) if reached else (middle + 1, high)
    moving = (enter <= breaks[max(low - 1, 0)]) & (leave >= breaks[low]) & (enter < leave)
    still = np.where(leave <= breaks[max(low - 1, 0)], upper, lower)
    if not moving.any():
        return np.minimum(np.maximum(start + breaks[low] * slope, lower), upper)
    origin = start[moving][0]  # theta is told from here, so that large starts cost no digits
    rest = total - still[~moving].sum() - (start[moving] - origin).sum()
    theta = rest / slope[moving].sum()
    return np.where(moving, np.clip((start - origin) + theta * slope, lower, upper), still)


def _inside(point: Array, lower: Array, upper: Array) -> bool:
    within = (point >= lower * (1 - TOLERANCE)) & (point <= upper * (1 + TOLERANCE))
    return bool(within.all()) and abs(point.sum() - 1) <= TOLERANCE


def _check_box(lower: Array, upper: Array) -> None:
    if not ((lower <= upper).all() and lower.sum() <= 1 + TOLERANCE and upper.sum() >= 1 - TOLERANCE):
        raise InputError(
            f"no proportions lie between these bounds: the lower ones {lower.tolist()} sum to "
            f"{lower.sum():.6g}, the upper ones {upper.tolist()} to {upper.sum():.6g}"
        )
