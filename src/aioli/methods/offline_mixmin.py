"""MixMin: the mixture under which one cheap model a source, mixed, finds the target's documents likeliest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["MixMin", "MixMinAnswer", "autoscale"]


class MixMinAnswer(NamedTuple):
    """proportions [m]; objective in nats per token; gap: bound on how far it is above the least; steps."""

    proportions: Array
    objective: float
    gap: float
    steps: int


@dataclass(frozen=True)
class MixMin:
    """min_p -mean_x (1/T_x) log sum_j p_j q_j(x): documents x of T_x tokens, models q_j of the m sources.

    With g_j the gradient, the default update is p_j <- p_j (-g_j), normalised (expectation maximisation),
    which never raises the objective and has no step size; with `rate` it is the published
    p_j <- p_j exp(-rate g_j), normalised. It ends when the gap max_j(-g_j) - mean_x 1/T_x, which bounds
    what is left to gain, is at most `tolerance` nats, or after `steps` updates.

    >>> q = np.log([[0.9, 0.2], [0.1, 0.8]])
    >>> MixMin().solve(q, np.array([1.0, 1.0])).proportions.round(6)
    array([0.604167, 0.395833])

    References:
        arXiv 2502.10510.
    Departures:
        The published rule has rate 1, 100 steps and stops on max_j |g_j|, which cannot become small: at the
        optimum every active -g_j is mean_x 1/T_x. All documents are used; the released code fits on 80%.
    """

    rate: float | None = None
    steps: int = 10_000
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"rate must be positive, got {self.rate}")
        if self.steps < 1:
            raise InputError(f"steps must be at least 1, got {self.steps}")

    def solve(self, likelihoods: Array, tokens: Array) -> MixMinAnswer:
        """The mixture from equal proportions.

        Args:
            likelihoods: [m, k] log q_j(x), summed over each document's tokens. tokens: [k] T_x.

        Raises:
            InputError: shapes that do not fit, values that are not finite, documents without tokens.
        """
        _check(likelihoods, tokens)
        weight = 1 / (tokens * tokens.size)  # [k]
        relative = np.exp(likelihoods - likelihoods.max(axis=0))  # [m, k], at most 1
        p = np.full(len(likelihoods), 1 / len(likelihoods))
        steps, pull = 0, relative @ (weight / (p @ relative))  # [m] minus the gradient
        while pull.max() - weight.sum() > self.tolerance and steps < self.steps:
            p = p * (pull if self.rate is None else np.exp(self.rate * (pull - pull.max())))
            p = p / p.sum()
            steps, pull = steps + 1, relative @ (weight / (p @ relative))
        gap = float(pull.max() - weight.sum())
        value = -weight @ (np.log(p @ relative) + likelihoods.max(axis=0))
        return MixMinAnswer(p, float(value), max(gap, 0.0), steps)


def _check(likelihoods: Array, tokens: Array) -> None:
    if likelihoods.ndim != 2 or not likelihoods.size or tokens.shape != (likelihoods.shape[1],):
        raise InputError(
            "expected log-likelihoods of every source's model for every document and one token count a "
            f"document, got {likelihoods.shape} and {tokens.shape}"
        )
    if not np.isfinite(likelihoods).all():
        source, document = np.argwhere(~np.isfinite(likelihoods))[0]
        raise InputError(
            f"log-likelihoods must be finite: document {document + 1} under model {source + 1} has "
            f"{likelihoods[source, document]}; remove the document or smooth the model"
        )
    if not (np.isfinite(tokens).all() and tokens.min() > 0):
        bad = int(np.argwhere(~(np.isfinite(tokens) & (tokens > 0)))[0, 0])
        raise InputError(f"every document needs tokens: document {bad + 1} has {tokens[bad]}")


def autoscale(small: Array, large: Array) -> Array:
    """[m] token counts one scale further, from the optimal counts [m] at two: N3_j = N2_j^2 / N1_j.

    >>> counts = autoscale(np.array([10.0, 20, 30]), np.array([30.0, 40, 50]))
    >>> counts.round(6), (counts / counts.sum()).round(6)
    (array([90.      , 80.      , 83.333333]), array([0.355263, 0.315789, 0.328947]))

    References:
        arXiv 2407.20177.

    Raises:
        InputError: counts of different groups, or that are not positive.
    """
    if small.shape != large.shape or not (np.isfinite(small).all() and np.isfinite(large).all()):
        raise InputError(f"expected two finite counts a group, got {small.tolist()} and {large.tolist()}")
    if min(small.min(), large.min()) <= 0:
        raise InputError(f"token counts must be positive, got {small.tolist()} and {large.tolist()}")
    return large**2 / small
