"""Whether any mixture meets all limits, which limits exclude each other, and how a near miss is mended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aioli.errors import InputError
from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import convex, evaluate, formulate
from aioli.solvers.cones import picked
from aioli.solvers.newton import solve_smooth
from aioli.solvers.problem import MixtureProblem
from aioli.solvers.smooth import violation_program
from aioli.static_law import ConvexLosses

__all__ = ["least_violation", "mended", "only_mixture", "refuse_conflict"]

SLACK = 1e-9
"""Limits that the best compromise misses by more than this exclude each other."""
ROUNDING = 1e-10
"""Limits count as met when they are missed by no more."""
TIED = 1e-5
"""Limits that the best compromise misses by this much less than the worst are not named."""


def only_mixture(problem: MixtureProblem) -> Array | None:
    """[m] where the bounds leave but one, otherwise None."""
    lower, upper = problem.box
    one = lower if lower.sum() >= 1 - ROUNDING else upper if upper.sum() <= 1 + ROUNDING else None
    return None if one is None else one / one.sum()


def least_violation(losses: ConvexLosses, problem: MixtureProblem) -> tuple[Array, float] | None:
    """The mixture within the bounds whose largest violation is least, and that violation; None on failure.

    Violations are compared as they are: nats of loss, nats of divergence, units of variation. A negative
    one is room within all limits.
    """
    one = only_mixture(problem)
    if one is not None:
        return one, float(evaluate.violations(problem, one, convex.values(losses, one)).max())
    lower, upper = problem.box
    found = solve_smooth(violation_program(losses, problem), lower, upper)
    best = project_kl(np.clip(found.proportions, lower, upper), lower, upper) if found.gap < SLACK else None
    if best is None and (best := _least_by_cones(losses, problem)) is None:
        return None
    return best, float(evaluate.violations(problem, best, convex.values(losses, best)).max())


def _least_by_cones(losses: ConvexLosses, problem: MixtureProblem) -> Array | None:
    program, p = formulate.begin(problem)
    limits = formulate.limits_of(problem)
    known = formulate.known_losses(program, p, losses, np.isfinite(limits))
    slack = program.variables(1)
    formulate.require_limits(program, p, problem, known, limits, slack)
    program.minimise(picked(slack))
    solved = program.solve()
    return formulate.proportions_of(problem, p, solved) if solved.status == "optimal" else None


def mended(losses: ConvexLosses, problem: MixtureProblem, p: Array) -> Array:
    """p [m], moved towards the mixture with most room just so far that it meets every limit.

    A violation is convex in p: on the way from v > 0 to -r it is at most 0 after the part v / (v + r).
    """
    over = evaluate.violations(problem, p, convex.values(losses, p))
    if over.max() <= ROUNDING:
        return p
    found = least_violation(losses, problem)
    if found is None:
        return p
    inside, _ = found
    room = -evaluate.violations(problem, inside, convex.values(losses, inside))
    bad = over > ROUNDING / 2
    part = float(np.max(over[bad] / np.maximum(over[bad] + room[bad], over[bad])))
    return p + min(part, 1.0) * (inside - p)


def refuse_conflict(losses: ConvexLosses, problem: MixtureProblem) -> None:
    """Nothing when some mixture meets all limits.

    Raises:
        InputError: limits that no mixture meets, alone (with the least that can be reached) or together.
    """
    found = least_violation(losses, problem)
    if found is None or found[1] <= SLACK:
        return
    alone = [told for one in _one_by_one(problem) if (told := _alone(losses, problem, *one))]
    if alone:
        raise InputError("; ".join(alone) + ": raise the limit, or loosen caps and floors")
    best, miss = found
    over = evaluate.violations(problem, best, convex.values(losses, best))
    tight = [told for told, place, _ in _one_by_one(problem) if over[place] > miss - TIED]
    raise InputError(
        f"no mixture meets all of these: {', '.join(tight)}; the best compromise misses each by "
        f"{miss:.4g}: loosen at least one, or caps and floors"
    )


def _one_by_one(problem: MixtureProblem) -> list[tuple[str, int, MixtureProblem]]:
    """For each limit: how it is told, its place among the violations, and the problem with it alone."""
    free = replace(problem, loss_limits=None, max_kl=np.inf, max_variation=np.inf)
    limits = formulate.limits_of(problem)
    found: list[tuple[str, int, MixtureProblem]] = []
    for i in np.flatnonzero(np.isfinite(limits)):
        only = np.where(np.arange(problem.n) == i, limits, np.inf)
        told = f"the limit {limits[i]:.6g} of {problem.targets[i]}"
        found.append((told, int(i), replace(free, loss_limits=only)))
    for place, name in enumerate(("max_kl", "max_variation"), problem.n):
        if np.isfinite(value := getattr(problem, name)):
            found.append((f"{name} {value:.6g}", place, replace(free, **{name: value})))
    return found


def _alone(
    losses: ConvexLosses, problem: MixtureProblem, told: str, place: int, single: MixtureProblem
) -> str:
    """What is wrong with one limit, empty when some mixture meets it."""
    # max_kl forbids groups that the reference has none of; with that limit gone they would come back
    single = replace(single, upper=problem.box[1])
    found = least_violation(losses, single)
    if found is None or found[1] <= SLACK:
        return ""
    reached = found[1] + (
        getattr(single, "max_kl" if place == problem.n else "max_variation")
        if place >= problem.n
        else formulate.limits_of(single)[place]
    )
    return f"{told} is below {reached:.6g}, the least that any allowed mixture reaches"
