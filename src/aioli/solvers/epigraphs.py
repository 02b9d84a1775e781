"""Convex losses, distances and objectives as expressions of a cone program.

Each function returns expressions that are at least as large as what they stand for, and equal to it where
they are minimised or bounded: the epigraph form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.objectives import Objective
from aioli.protocol import Array
from aioli.solvers.cones import Affine, ConeProgram, Index, constant, dense, picked, stacked
from aioli.solvers.convex import TINY
from aioli.static_law import ConvexLosses, Terms

__all__ = ["Mixture", "above", "divergence", "losses_above", "mixture_of", "objective_above", "variation"]


class Mixture(NamedTuple):
    """Proportions in a program. at: [m] a typical mixture, which scales are taken from, and the value of the
    groups that are held. free: [m] True for variables. place: [m] their indices, -1 for held groups."""

    at: Array
    free: NDArray[np.bool_]
    place: Index

    def linear(self, matrix: Array) -> Affine:
        """matrix [k, m] @ p."""
        held = ~self.free
        return dense(matrix[:, self.free], self.place[self.free]).plus(matrix[:, held] @ self.at[held])

    def each(self, groups: Index) -> Affine:
        """The proportions of some groups, all of them free."""
        return picked(self.place[groups])


def mixture_of(program: ConeProgram, lower: Array, upper: Array, inside: Array) -> Mixture:
    """Proportions within bounds, as a new program's first blocks: the sum; p - lower, then upper - p, of the
    free ones."""
    free = upper > lower
    place = np.full(lower.size, -1)
    place[free] = program.variables(int(free.sum()))
    mixture = Mixture(np.where(free, inside, lower), free, place)
    program.zero(mixture.linear(np.ones((1, lower.size))).plus(-1.0))
    p = picked(place[free])
    program.nonnegative(stacked([p.plus(-lower[free]), p.times(-1.0).plus(upper[free])]))
    return mixture


def above(program: ConeProgram, count: int) -> tuple[Affine, Index]:
    """New variables as expressions."""
    variables = program.variables(count)
    return picked(variables), variables


def losses_above(program: ConeProgram, p: Mixture, losses: ConvexLosses) -> Affine:
    """[n] expressions of the losses."""
    n = losses.constant.size
    total = p.linear(losses.linear).plus(losses.constant)
    makers = (_exponentials, _powers, _inverses)
    for terms, maker in zip(losses[2:], makers, strict=True):
        if terms is not None:
            total = total.plus(maker(program, p, terms).summed(terms.target, terms.weight, n))
    return total


def divergence(program: ConeProgram, p: Mixture, reference: Array) -> Affine:
    """KL(p || reference), one expression; groups without reference are held at 0."""
    groups = np.flatnonzero(p.free & (reference > 0))
    q = reference[groups]
    v, _ = above(program, groups.size)
    # v_j >= p_j log(p_j / q_j), in units of q_j
    program.exponential(v.times(-1.0), p.each(groups).times(1 / q), constant(np.ones(groups.size)))
    held = np.flatnonzero(~p.free & (p.at > 0))
    still = (p.at[held] * np.log(p.at[held] / reference[held])).sum()
    total = v.times(q).summed(np.zeros(groups.size, dtype=np.int64), np.ones(groups.size), 1)
    return total.plus(float(still))


def variation(program: ConeProgram, p: Mixture, reference: Array) -> Affine:
    """sum_j max(p_j - reference_j, 0), one expression: half the summed distance."""
    m = reference.size
    extra, _ = above(program, m)
    program.nonnegative(stacked([extra, extra.plus(p.linear(-np.eye(m)).plus(reference))]))
    return extra.summed(np.zeros(m, dtype=np.int64), np.ones(m), 1)


def objective_above(program: ConeProgram, form: Objective, losses: Affine, weights: Array) -> Affine:
    """F of losses [n] with weights [n], one expression in nats (mean perplexity: its log)."""
    used = np.flatnonzero(weights > 0)
    count, losses = used.size, losses.chosen(used)
    weights, first = weights[used], np.zeros(used.size, dtype=np.int64)
    if form.excess:
        losses = losses.plus(-np.asarray(form.references)[used])
    if form.tau == np.inf and not form.excess:
        return losses.summed(first, weights, 1)
    if form.tau == np.inf:
        over, _ = above(program, count)
        program.nonnegative(stacked([over, over.plus(losses.times(-1.0))]))
        return over.summed(first, weights, 1)
    top, variable = above(program, 1)
    tops = picked(np.repeat(variable, count))
    if form.tau == 0:
        program.nonnegative(tops.plus(losses.times(-1.0)))
        return top
    parts, _ = above(program, count)  # sum_i w_i exp((L_i - top) / tau) <= 1
    exponent = losses.plus(tops.times(-1.0)).times(1 / form.tau)
    program.exponential(exponent, constant(np.ones(count)), parts)
    program.nonnegative(parts.summed(first, -weights, 1).plus(1.0))
    return top


def _exponentials(program: ConeProgram, p: Mixture, terms: Terms) -> Affine:
    scale = np.exp(np.minimum(terms.first + terms.second @ p.at, 700.0))
    u, _ = above(program, scale.size)
    exponent = p.linear(terms.second).plus(terms.first - np.log(scale))
    program.exponential(exponent, constant(np.ones(scale.size)), u)
    return u.times(scale)


def _powers(program: ConeProgram, p: Mixture, terms: Terms) -> Affine:
    """Each p_j^-e that occurs once, then their sums."""
    rows, groups = np.nonzero(terms.first * p.free)
    pairs, which = _distinct(groups, terms.second[rows, groups])
    j, e = pairs[:, 0].astype(np.int64), pairs[:, 1]
    unit = np.maximum(p.at[j], 1e-6)
    v, variables = above(program, j.size)
    program.power(v, p.each(j).times(1 / unit), constant(np.ones(j.size)), 1 / (1 + e))
    held = np.where(p.free, 0.0, terms.first * np.maximum(p.at, TINY) ** -terms.second).sum(axis=1)
    weight = terms.first[rows, groups] * unit[which] ** -e[which]
    return picked(variables[which]).summed(rows, weight, held.size).plus(held)


def _inverses(program: ConeProgram, p: Mixture, terms: Terms) -> Affine:
    """u s^a >= 1 for s = sum_j C_j w_j, w_j <= p_j^g_j."""
    roots = terms.second < 1
    total = p.linear(np.where(roots, 0.0, terms.first))
    held = np.where(p.free | ~roots, 0.0, terms.first * np.maximum(p.at, TINY) ** terms.second).sum(axis=1)
    rows, groups = np.nonzero(terms.first * (roots & p.free))
    if rows.size:
        pairs, which = _distinct(groups, terms.second[rows, groups])
        j, g = pairs[:, 0].astype(np.int64), pairs[:, 1]
        unit = np.maximum(p.at[j], 1e-6)
        w, variables = above(program, j.size)
        program.power(p.each(j).times(1 / unit), constant(np.ones(j.size)), w, g)
        weight = terms.first[rows, groups] * unit[which] ** g[which]
        total = total.plus(picked(variables[which]).summed(rows, weight, held.size))
    total = total.plus(held)
    size = np.sum(terms.first * np.maximum(p.at, TINY) ** terms.second, axis=1)
    u, _ = above(program, held.size)
    program.power(u, total.times(1 / size), constant(np.ones(len(total))), 1 / (1 + terms.powers))
    return u.times(size**-terms.powers)


def _distinct(groups: Index, exponents: Array) -> tuple[Array, Index]:
    """[d, 2] distinct (group, exponent) pairs, and which of them each is."""
    pairs, which = np.unique(np.column_stack([groups, exponents]), axis=0, return_inverse=True)
    return np.asarray(pairs), np.asarray(which).ravel()
