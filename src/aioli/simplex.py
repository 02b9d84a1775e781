"""Proportions: checking them, making them, turning them into whole numbers of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array

__all__ = ["apportion", "as_proportions", "normalise", "project", "softmax"]


def as_proportions(values: Mapping[str, float] | Sequence[float] | Array, groups: Sequence[str]) -> Array:
    """Validate proportions given by name or in order, and return them as [m] summing to 1.

    A sum within 1e-3 of 1 (rounded tables) is accepted and renormalised; anything else is an error.

    >>> as_proportions({"law": 0.25, "code": 0.75}, ["law", "code"])
    array([0.25, 0.75])

    Raises:
        InputError: unknown or missing names, wrong length, negative, NaN, or a sum other than 1.
    """
    if isinstance(values, Mapping):
        for name in values:
            if name not in groups:
                raise InputError(f"proportions name an unknown group {name!r}; {nearest(str(name), groups)}")
        missing = [name for name in groups if name not in values]
        if missing:
            raise InputError(f"proportions need every group; missing: {', '.join(missing)} (0 is allowed)")
        values = [values[name] for name in groups]
    try:
        p = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"proportions must be numbers, got {values!r}") from None
    if p.shape != (len(groups),):
        raise InputError(f"expected {len(groups)} proportions, one a group, got {p.size}: {p.tolist()}")
    if not np.isfinite(p).all():
        raise InputError(f"proportions must be finite, got {p.tolist()}")
    if p.min() < 0:
        raise InputError(f"proportions must not be negative, got {p.tolist()}")
    if abs(p.sum() - 1) > 1e-3:
        raise InputError(f"proportions must sum to 1, got {p.tolist()} with sum {p.sum():.6g}")
    return p / p.sum()


def normalise(weights: Array) -> Array:
    """Divide non-negative weights by their sum.

    >>> normalise(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    total = weights.sum()
    if not total > 0:
        raise InputError(f"weights must be >= 0 with a positive sum, got {weights.tolist()}")
    return weights / total


def softmax(logits: Array) -> Array:
    """exp(logits) normalised, without overflow; -inf gives an exact zero.

    >>> softmax(np.array([0.0, -np.inf, 0.0]))
    array([0.5, 0. , 0.5])
    """
    shifted = np.exp(logits - np.max(logits))
    return shifted / shifted.sum()


def project(point: Array) -> Array:
    """The nearest point of the simplex in Euclidean distance (sort and threshold, O(m log m)).

    >>> project(np.array([0.6, 0.9, -1.0]))
    array([0.35, 0.65, 0.  ])
    """
    ordered = np.sort(point)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, point.size + 1)
    threshold = excess[np.nonzero(ordered > excess)[0][-1]]
    return np.maximum(point - threshold, 0)


def apportion(proportions: Array, total: int, carry: Array | None = None) -> Array:
    """Whole numbers summing to `total`, nearest to `proportions * total + carry` (largest remainder).

    Ties go to the lower index. `carry` [m] is what earlier rounds still owe; a zero proportion gets 0.

    >>> apportion(np.array([0.5, 0.3, 0.2]), 9)
    array([4., 3., 2.])
    """
    wanted = proportions * total + (0 if carry is None else carry)
    wanted = np.where(proportions > 0, np.maximum(wanted, 0), 0)
    wanted = wanted * (total / wanted.sum()) if wanted.sum() > 0 else wanted
    counts = np.floor(wanted + 1e-9)
    left = round(total - counts.sum())
    order = np.argsort(-(wanted - counts), kind="stable")
    counts[order[:left]] += 1
    return counts
