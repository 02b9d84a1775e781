"""A mixture problem as a cone program: bounds, limits and objective."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import convex, epigraphs
from aioli.solvers.cones import Affine, ConeProgram, Index, Solved, constant, picked
from aioli.solvers.epigraphs import Mixture
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses

__all__ = ["begin", "known_losses", "limits_of", "mixture_program", "proportions_of", "require_limits"]


def begin(problem: MixtureProblem) -> tuple[ConeProgram, Mixture]:
    """A program with proportions within the problem's bounds; scales are those of its reference."""
    lower, upper = problem.box
    wanted = np.full(problem.m, 1 / problem.m) if problem.reference is None else problem.reference
    program = ConeProgram()
    return program, epigraphs.mixture_of(program, lower, upper, project_kl(wanted, lower, upper))


def proportions_of(problem: MixtureProblem, p: Mixture, solved: Solved) -> Array:
    """[m] the solver's mixture, moved into the bounds exactly."""
    lower, upper = problem.box
    found = p.at.copy()
    found[p.free] = solved.values[p.place[p.free]]
    return project_kl(np.clip(found, lower, upper), lower, upper)


def limits_of(problem: MixtureProblem) -> Array:
    """[n] of the losses, infinite where free."""
    return np.full(problem.n, np.inf) if problem.loss_limits is None else problem.loss_limits


def known_losses(program: ConeProgram, p: Mixture, losses: ConvexLosses, used: NDArray[np.bool_]) -> Affine:
    """[n] losses, those not used left 0."""
    rows = np.flatnonzero(used)
    if not rows.size:
        return constant(np.zeros(used.size))
    known = epigraphs.losses_above(program, p, convex.of_targets(losses, used))
    return known.summed(rows, np.ones(rows.size), used.size)


def straight(losses: ConvexLosses) -> NDArray[np.bool_]:
    """[n] True where the loss is a constant and one exponential: a limit on it is linear in p."""
    one = np.zeros(losses.constant.size, dtype=np.int64)
    for terms in losses[2:]:
        if terms is not None:
            np.add.at(one, terms.target, 1 if terms is losses.exponentials else 2)
    return (one == 1) & ~losses.linear.any(axis=1)


def require_straight(program: ConeProgram, p: Mixture, losses: ConvexLosses, limits: Array) -> bool:
    """c + w exp(a + t . p) <= limit as a + t . p <= log((limit - c) / w); False where no p does."""
    terms, rows = losses.exponentials, np.flatnonzero(np.isfinite(limits))
    if terms is None or not rows.size:
        return True
    kept = np.flatnonzero(np.isin(terms.target, rows) & (terms.weight > 0))
    room = limits[terms.target[kept]] - losses.constant[terms.target[kept]]
    if (room <= 0).any():
        return False
    most = np.log(room / terms.weight[kept]) - terms.first[kept]
    program.nonnegative(p.linear(-terms.second[kept]).plus(most))
    return True


def require_limits(
    program: ConeProgram,
    p: Mixture,
    problem: MixtureProblem,
    losses: Affine,
    limits: Array,
    slack: Index | None = None,
) -> dict[str, int]:
    """Limits on losses [n] and distances, each loosened by the slack variable; their blocks by name."""
    blocks: dict[str, int] = {}
    rows = np.flatnonzero(np.isfinite(limits))
    parts = {"loss_limits": losses.chosen(rows).times(-1.0).plus(limits[rows])}
    q = problem.reference
    if q is not None and np.isfinite(problem.max_kl):
        parts["max_kl"] = epigraphs.divergence(program, p, q).times(-1.0).plus(problem.max_kl)
    if q is not None and np.isfinite(problem.max_variation):
        parts["max_variation"] = epigraphs.variation(program, p, q).times(-1.0).plus(problem.max_variation)
    for name, room in parts.items():
        if len(room):
            loose = room if slack is None else room.plus(picked(np.repeat(slack, len(room))))
            blocks[name] = program.nonnegative(loose)
    return blocks


def mixture_program(
    losses: ConvexLosses, problem: MixtureProblem, replicates: Sequence[ConvexLosses] = ()
) -> tuple[ConeProgram, Mixture] | None:
    """The whole problem; None when a loss limit is below its law's constant, which no mixture meets."""
    program, p = begin(problem)
    limits, simple = limits_of(problem), straight(losses)
    if not require_straight(program, p, losses, np.where(simple, limits, np.inf)):
        return None
    curved = np.where(simple, np.inf, limits)
    used = np.isfinite(curved) | ((problem.weights > 0) & (not replicates))
    known = known_losses(program, p, losses, used)
    require_limits(program, p, problem, known, curved)
    if replicates:
        program.minimise(_worst_mean(program, p, problem, replicates))
    else:
        program.minimise(epigraphs.objective_above(program, problem.form, known, problem.weights))
    if problem.kl > 0 and problem.reference is not None:
        program.minimise(epigraphs.divergence(program, p, problem.reference).times(problem.kl))
    return program, p


def _worst_mean(
    program: ConeProgram, p: Mixture, problem: MixtureProblem, replicates: Sequence[ConvexLosses]
) -> Affine:
    """min over level of level + sum_b max(F_b - level, 0) / ((1 - caution) B)."""
    count = len(replicates)
    level, over = program.variables(1), picked(program.variables(count))
    program.nonnegative(over)
    for b, losses in enumerate(replicates):
        known = known_losses(program, p, losses, problem.weights > 0)
        value = epigraphs.objective_above(program, problem.form, known, problem.weights)
        program.nonnegative(over.chosen(np.array([b])).plus(picked(level)).plus(value.times(-1.0)))
    share = np.full(count, 1 / ((1 - problem.caution) * count))
    return over.summed(np.zeros(count, dtype=np.int64), share, 1).plus(picked(level))
