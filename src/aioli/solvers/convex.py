"""Losses that are convex in the proportions: values, derivatives, means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aioli.protocol import Array
from aioli.static_law import ConvexLosses, Terms

__all__ = ["averaged", "gradients", "hessian", "of_targets", "side_by_side", "values"]

TINY = 1e-12
"""Powers of a smaller proportion are taken as of this one."""
LARGEST = 700.0
"""Exponents are cut here, below overflow."""


def values(losses: ConvexLosses, p: Array) -> Array:
    """[n] losses at proportions p [m]; [k, n] at [k, m].

    >>> half = Terms(np.array([0]), np.array([1.0]), np.array([0.0]), np.array([[-1.0, 0.0]]))
    >>> values(ConvexLosses(np.ones(1), np.zeros((1, 2)), half), np.array([0.0, 1.0]))
    array([2.])
    """
    total = losses.constant + p @ losses.linear.T
    p = np.maximum(p, TINY)
    for terms, term in zip(losses[2:], (_exponentials, _powers, _inverses), strict=True):
        if terms is not None:
            parts = terms.weight * term(terms, p)
            total = total + _summed(terms, parts.T, losses.constant.size).T
    return total


def gradients(losses: ConvexLosses, p: Array) -> Array:
    """[n, m] derivatives of the losses at p [m], in nats per unit of proportion."""
    total, p, n = losses.linear, np.maximum(p, TINY), losses.constant.size
    if (terms := losses.exponentials) is not None:
        scale = terms.weight * _exponentials(terms, p)
        total = total + _summed(terms, scale[:, None] * terms.second, n)
    if (terms := losses.powers) is not None:
        slopes = -terms.second * terms.first * p ** (-terms.second - 1)
        total = total + _summed(terms, terms.weight[:, None] * slopes, n)
    if (terms := losses.inverses) is not None:
        scale = -terms.weight * terms.powers * _sums(terms, p) ** (-terms.powers - 1)
        slopes = terms.second * terms.first * p ** (terms.second - 1)
        total = total + _summed(terms, scale[:, None] * slopes, n)
    return total


def hessian(losses: ConvexLosses, p: Array, weights: Array) -> Array:
    """[m, m] second derivatives of sum_i weights_i L_i at p [m]."""
    m, p = p.size, np.maximum(p, TINY)
    total, diagonal = np.zeros((m, m)), np.zeros(m)
    if (terms := losses.exponentials) is not None:
        scale = weights[terms.target] * terms.weight * _exponentials(terms, p)
        total += (terms.second.T * scale) @ terms.second
    if (terms := losses.powers) is not None:
        bends = terms.second * (terms.second + 1) * terms.first * p ** (-terms.second - 2)
        diagonal += (weights[terms.target] * terms.weight) @ bends
    if (terms := losses.inverses) is not None:
        a, value = terms.powers, 1 / _sums(terms, p)
        scale = weights[terms.target] * terms.weight * a * value ** (a + 1)
        slopes = terms.second * terms.first * p ** (terms.second - 1)
        bends = terms.second * (1 - terms.second) * terms.first * p ** (terms.second - 2)
        total += (slopes.T * ((a + 1) * scale * value)) @ slopes
        diagonal += scale @ bends
    total[np.diag_indices(m)] += diagonal
    return total


def averaged(many: Sequence[ConvexLosses], shares: Array | None = None) -> ConvexLosses:
    """sum_k shares_k L^k of losses of the same groups and targets; None: equal shares."""
    given = np.full(len(many), 1 / len(many)) if shares is None else shares
    kinds: list[Terms | None] = []
    for kind in range(3):
        parts = zip((one[2:][kind] for one in many), given, strict=True)
        some = [terms._replace(weight=share * terms.weight) for terms, share in parts if terms is not None]
        kinds.append(Terms.joined(some))
    constant = sum(share * one.constant for one, share in zip(many, given, strict=True))
    linear = sum(share * one.linear for one, share in zip(many, given, strict=True))
    return ConvexLosses(np.asarray(constant), np.asarray(linear), *kinds)


def side_by_side(many: Sequence[ConvexLosses]) -> ConvexLosses:
    """The losses of several laws on the same groups as those of one law with all their targets in turn."""
    starts = np.cumsum([0, *(one.constant.size for one in many)])
    kinds: list[Terms | None] = []
    for kind in range(3):
        parts = zip((one[2:][kind] for one in many), starts[:-1], strict=True)
        kinds.append(
            Terms.joined(
                [terms._replace(target=terms.target + start) for terms, start in parts if terms is not None]
            )
        )
    linear = np.concatenate([one.linear for one in many])
    return ConvexLosses(np.concatenate([one.constant for one in many]), linear, *kinds)


def of_targets(losses: ConvexLosses, kept: NDArray[np.bool_]) -> ConvexLosses:
    """The losses of some targets alone, [kept].sum() of them."""
    place = np.cumsum(kept) - 1

    def cut(terms: Terms | None) -> Terms | None:
        if terms is None or not kept[terms.target].any():
            return None
        part = terms.rows(kept[terms.target])
        return part._replace(target=place[part.target])

    kinds = [cut(terms) for terms in losses[2:]]
    return ConvexLosses(losses.constant[kept], losses.linear[kept], *kinds)


def _summed(terms: Terms, parts: Array, n: int) -> Array:
    """[n, ...] sums over the terms of each target, of parts [r, ...]; work grows with r, not with r n."""
    target = terms.target.astype(np.int64)
    if target.size == n and (target == np.arange(n)).all():  # one each, in order: the usual law
        return parts
    total = np.zeros((n, *parts.shape[1:]))
    if target.size:
        order = np.argsort(target, kind="stable")
        target = target[order]
        first = np.flatnonzero(np.concatenate([[True], target[1:] != target[:-1]]))
        total[target[first]] = np.add.reduceat(parts[order], first, axis=0)
    return total


def _exponentials(terms: Terms, p: Array) -> Array:
    return np.exp(np.minimum(terms.first + p @ terms.second.T, LARGEST))


def _powers(terms: Terms, p: Array) -> Array:
    return (terms.first * p[..., None, :] ** -terms.second).sum(axis=-1)


def _inverses(terms: Terms, p: Array) -> Array:
    return _sums(terms, p) ** -terms.powers


def _sums(terms: Terms, p: Array) -> Array:
    return (terms.first * p[..., None, :] ** terms.second).sum(axis=-1)
