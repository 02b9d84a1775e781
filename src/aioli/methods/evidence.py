"""What short paired blocks of training say about the value of moving the mixture in a direction.

A block pair trains on x + s/2 and on x - s/2 and compares how much the objective falls per step. Under a
law that is linear for small moves the difference is v . s + noise, v [m] the value of each group. Pairs of
the last rounds, in whatever directions, are combined by Bayesian linear regression of v, so that a
direction counts as known only as far as it was tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aioli.protocol import Array

__all__ = ["Evidence", "add_pair", "no_evidence", "value_along"]

WINDOW = 24
"""Pairs remembered."""
PRIOR = 1.0
"""Prior deviation of v, in units of the largest value per unit of direction seen lately."""


class Evidence(NamedTuple):
    """directions [k, m] tried, newest last; falls [k]: differences per step; noise [k]: squared errors of
    each pair alone, from its repetition."""

    directions: Array
    falls: Array
    noise: Array


def no_evidence(groups: int) -> Evidence:
    return Evidence(np.zeros((0, groups)), np.zeros(0), np.zeros(0))


def add_pair(evidence: Evidence, direction: Array, fall: float, noise: float) -> Evidence:
    """Remember a pair, and forget the oldest beyond the window."""
    return Evidence(
        np.vstack([evidence.directions, direction])[-WINDOW:],
        np.append(evidence.falls, fall)[-WINDOW:],
        np.append(evidence.noise, noise)[-WINDOW:],
    )


def value_along(evidence: Evidence, direction: Array, memory: float) -> tuple[float, float]:
    """Posterior mean and deviation of v . direction, in nats per step.

    v drifts: its values one round apart correlate by `memory`, k rounds apart by memory^k, and it is asked
    for one round after the newest pair. The noise variance of a pair is the mean over pairs of the
    squared errors that their repetitions showed, recent ones weighing more.

    >>> tried = add_pair(no_evidence(2), np.array([0.5, -0.5]), 0.2, 0.0001)
    >>> [round(x, 2) for x in value_along(tried, np.array([0.5, -0.5]), 0.9)]
    [0.18, 0.08]
    """
    size = float(direction @ direction)
    count = len(evidence.falls)
    lengths = np.sqrt((evidence.directions**2).sum(axis=1))
    if not count or size == 0 or not (lengths > 0).all():
        return 0.0, float("inf") if size else 0.0
    age = np.arange(count, 0, -1)
    weights = memory**age
    noise = float(weights @ evidence.noise / weights.sum())
    scale = PRIOR * float(np.max(memory ** (age / 2) * np.abs(evidence.falls) / lengths))
    if scale == 0:
        return 0.0, 0.0
    together = memory ** np.abs(age[:, None] - age)
    kernel = scale**2 * together * (evidence.directions @ evidence.directions.T) + noise * np.eye(count)
    cross = scale**2 * weights * (evidence.directions @ direction)
    solved = np.linalg.solve(kernel + 1e-12 * np.trace(kernel) * np.eye(count), cross)
    variance = scale**2 * size - float(cross @ solved)
    return float(solved @ evidence.falls), float(np.sqrt(max(variance, 0.0)))
