"""What a mixture is worth in a problem, and how far it is from meeting the problem's limits."""

from __future__ import annotations

import numpy as np

from aioli.protocol import Array
from aioli.solvers.problem import MixtureProblem

__all__ = ["binding", "divergence", "in_nats", "objective", "variation", "violations", "worst_mean"]

NEAR = 1e-6
"""A bound or limit is binding when it is no further away."""


def divergence(p: Array, reference: Array) -> Array:
    """KL(p || reference) in nats [...] of p [..., m], infinite where p has what the reference has not.

    >>> divergence(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == np.log(2)
    np.True_
    """
    some = p > 0
    ratio = np.where(some, p, 1.0) / np.where(some & (reference > 0), reference, 1.0)
    known = np.where(some, p * np.log(ratio), 0.0).sum(axis=-1)
    return np.where((some & (reference <= 0)).any(axis=-1), np.inf, known)


def variation(p: Array, reference: Array) -> Array:
    """sum_j |p_j - reference_j| / 2 [...] of p [..., m]."""
    return np.abs(p - reference).sum(axis=-1) / 2


def in_nats(problem: MixtureProblem, losses: Array) -> Array:
    """[...] F of losses [..., n]; for the mean perplexity its log."""
    form = problem.form
    value = np.apply_along_axis(form.value, -1, losses, problem.weights)
    return np.log(value) if form.name == "mean_perplexity" else value


def worst_mean(values: Array, caution: float) -> Array:
    """The mean of values [b, ...] over the largest share 1 - caution of them (conditional value at risk).

    A value that is only partly within the share counts in part.

    >>> float(worst_mean(np.array([1.0, 2.0, 3.0, 4.0]), 0.5))
    3.5
    """
    share = (1 - caution) * len(values)
    counted = np.clip(share - np.arange(len(values)), 0, 1)
    return np.tensordot(counted, -np.sort(-values, axis=0), 1) / share


def objective(problem: MixtureProblem, p: Array, losses: Array, replicates: Array | None = None) -> Array:
    """What `problem` minimises at p [..., m], from losses [..., n] there and, with caution, those of
    replicates [b, ..., n]."""
    if problem.caution > 0 and replicates is not None:
        value = worst_mean(in_nats(problem, replicates), problem.caution)
    else:
        value = in_nats(problem, losses)
    if problem.kl > 0 and problem.reference is not None:
        return value + problem.kl * divergence(p, problem.reference)
    return value


def violations(problem: MixtureProblem, p: Array, losses: Array) -> Array:
    """By how much p exceeds each loss limit, max_kl and max_variation: [..., n + 2], negative inside."""
    over = np.full((*losses.shape[:-1], problem.n + 2), -np.inf)
    if problem.loss_limits is not None:
        over[..., :-2] = losses - problem.loss_limits
    if problem.reference is not None and np.isfinite(problem.max_kl):
        over[..., -2] = divergence(p, problem.reference) - problem.max_kl
    if problem.reference is not None and np.isfinite(problem.max_variation):
        over[..., -1] = variation(p, problem.reference) - problem.max_variation
    return over


def binding(problem: MixtureProblem, p: Array, losses: Array) -> tuple[str, ...]:
    """Names of what holds with equality: "cap of law", "limit of code", "max_kl" ..."""
    lower, upper = problem.box
    names = [f"fixed {g}" for g, a, b in zip(problem.groups, lower, upper, strict=True) if a == b > 0]
    free = lower < upper
    names += [f"cap of {problem.groups[j]}" for j in np.flatnonzero(free & (upper < 1) & (p >= upper - NEAR))]
    names += [
        f"floor of {problem.groups[j]}" for j in np.flatnonzero(free & (lower > 0) & (p <= lower + NEAR))
    ]
    tight = violations(problem, p, losses) > -NEAR
    names += [f"limit of {problem.targets[i]}" for i in np.flatnonzero(tight[:-2])]
    return (
        *names,
        *(name for name, is_tight in zip(("max_kl", "max_variation"), tight[-2:], strict=True) if is_tight),
    )
