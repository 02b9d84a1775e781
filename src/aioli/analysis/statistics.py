"""Means over seeds with t intervals, paired by seed where two methods are compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from aioli.analysis.intervals import Interval
from aioli.protocol import Array

__all__ = ["Interval", "column_intervals", "interval"]


def interval(values: Sequence[float] | Array, confidence: float = 0.95) -> Interval:
    """Mean of independent values and its Student t interval: mean +- t(k - 1) sd / sqrt(k).

    One value has a mean and no interval; no value, or any that is not finite, has neither.

    >>> interval([1.0, 2.0, 3.0])  # doctest: +ELLIPSIS
    Interval(mean=2.0, low=-0.4841..., high=4.4841..., sd=1.0)
    >>> interval([1.5])
    Interval(mean=1.5, low=None, high=None, sd=None)
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0 or not np.isfinite(sample).all():
        return Interval(None, None, None, None)
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, None, None, None)
    sd = float(sample.std(ddof=1))
    half = float(stdtrit(sample.size - 1, 0.5 + confidence / 2)) * sd / float(np.sqrt(sample.size))
    return Interval(mean, mean - half, mean + half, sd)


def column_intervals(values: Array) -> list[Interval]:
    """The interval of each column of `values` [seeds, columns]."""
    return [interval(column) for column in values.T]
