"""The best mixture under a fitted law and a problem's constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import convex, evaluate
from aioli.solvers.feasibility import least_violation, mended, only_mixture, refuse_conflict
from aioli.solvers.formulate import mixture_program, proportions_of
from aioli.solvers.newton import solve_smooth
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.solvers.search import search
from aioli.solvers.smooth import smooth_program
from aioli.static_law import ConvexLosses, FittedLaw

__all__ = ["minimise", "minimise_convex"]

ENOUGH = 1e-6
"""The same bound where the cone solver fails."""
NO_ROOM = 1e-7
"""Nats by which the best compromise is inside the limits when they count as leaving no choice."""
CERTIFIED = 1e-8
"""An interior-point answer is taken when duality bounds its relative distance from the optimum by this."""


class _Found(NamedTuple):
    proportions: Array
    bound: float
    solver: str


def minimise(
    fitted: FittedLaw,
    problem: MixtureProblem,
    replicates: Sequence[FittedLaw] = (),
    *,
    size: float | None = None,
    tokens: float | None = None,
    seed: int = 0,
) -> Solution:
    """The mixture of least predicted loss among those that `problem` allows.

    A convex law goes to an interior-point method on the proportions, whose answer counts when duality
    bounds its relative distance from the optimum by 1e-8 and it meets every limit; otherwise to Clarabel as
    a cone program. Any other law is searched from many starts; its answer is the best of them.

    Args:
        fitted: the law. replicates: it refitted (bootstrap); used when `problem.caution` > 0.
        size, tokens: scale to predict at, for laws of scale. seed: of the search.

    Raises:
        InputError: a law and a problem of different sizes, caution without replicates, or limits that no
            mixture meets (the message names the numbers that conflict).
    """
    many = list(replicates) if problem.caution > 0 else []
    if problem.caution > 0 and len(many) < 2:
        raise InputError("caution needs replicates of the fit: bootstrap it first, or set caution to 0")
    laws = [law.convex(size, tokens) for law in (fitted, *many)]
    known = [law for law in laws if law is not None]
    if len(known) < len(laws):
        return search(fitted, problem, many, size=size, tokens=tokens, seed=seed)
    solution = minimise_convex(known[0], problem, known[1:])
    if solution is None:
        return search(fitted, problem, many, size=size, tokens=tokens, seed=seed)
    return solution


def minimise_convex(
    losses: ConvexLosses, problem: MixtureProblem, replicates: Sequence[ConvexLosses] = ()
) -> Solution | None:
    """`minimise` for losses known to be convex; None when neither solver comes within its tolerance.

    Raises:
        InputError: losses and a problem of different sizes, or limits that no mixture meets.
    """
    _check_size(problem, losses)
    one = only_mixture(problem)
    found = None if one is None else _Found(one, np.inf, "bounds alone")
    found = found or _by_newton(losses, problem, replicates, CERTIFIED)
    if found is None or one is not None:
        refuse_conflict(losses, problem)
        found = (
            found
            or _by_cones(losses, problem, replicates)
            or _by_newton(losses, problem, replicates, ENOUGH)
            or _without_room(losses, problem)
        )
    if found is None:
        return None
    p = found.proportions
    reached = convex.values(losses, p)
    every = np.array([convex.values(one, p) for one in replicates]) if replicates else None
    value = float(evaluate.objective(problem, p, reached, every))
    gap = max(value - found.bound, 0.0) / max(abs(value), 1.0)
    tight = evaluate.binding(problem, p, reached)
    return Solution(p, reached, value, "optimal", found.solver, gap, tight)


def _by_newton(
    losses: ConvexLosses, problem: MixtureProblem, replicates: Sequence[ConvexLosses], within: float
) -> _Found | None:
    lower, upper = problem.box
    found = solve_smooth(smooth_program(losses, problem, replicates), lower, upper)
    if found.gap > within:
        return None
    p = mended(losses, problem, project_kl(np.clip(found.proportions, lower, upper), lower, upper))
    return _Found(p, found.bound, "interior point")


def _by_cones(
    losses: ConvexLosses, problem: MixtureProblem, replicates: Sequence[ConvexLosses]
) -> _Found | None:
    built = mixture_program(losses, problem, replicates)
    if built is None:
        return None
    program, p = built
    solved = program.solve()
    if solved.status != "optimal":
        return None
    return _Found(mended(losses, problem, proportions_of(problem, p, solved)), solved.bound, "Clarabel")


def _without_room(losses: ConvexLosses, problem: MixtureProblem) -> _Found | None:
    """Where the limits can just be met: the mixture that meets them; its distance is not known."""
    found = least_violation(losses, problem)
    if found is None or found[1] < -NO_ROOM:
        return None
    return _Found(found[0], float("nan"), "limits alone")


def _check_size(problem: MixtureProblem, losses: ConvexLosses) -> None:
    n, m = losses.linear.shape
    if (n, m) != (problem.n, problem.m):
        raise InputError(f"the law has {n} targets and {m} groups, the problem {problem.n} and {problem.m}")
