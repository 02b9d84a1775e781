"""What a little more of each group would cost and buy, and what each binding constraint costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aioli.errors import InputError
from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import evaluate
from aioli.solvers.minimise import minimise
from aioli.solvers.newton import solve_smooth
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.solvers.smooth import smooth_program
from aioli.static_law import ConvexLosses, FittedLaw

__all__ = ["Sensitivity", "sensitivity", "shadow_prices"]

POINT = 0.01


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The neighbourhood of an optimum.

    Attributes:
        point: the change of a proportion that is looked at.
        losses: [m, n] change of each target's predicted loss, in nats, when a group has `point` more than in
            the optimum and the other groups are chosen anew; NaN for a group that cannot have more.
        objective: [m] change of what was minimised.
        prices: for each binding bound or limit what the objective would change by, in nats for each unit
            that it is raised by (a proportion of 1, a nat); empty for laws that are not convex.
    """

    point: float
    losses: Array
    objective: Array
    prices: dict[str, float]


def sensitivity(
    fitted: FittedLaw,
    problem: MixtureProblem,
    best: Solution,
    replicates: Sequence[FittedLaw] = (),
    *,
    point: float = POINT,
    size: float | None = None,
    tokens: float | None = None,
) -> Sensitivity:
    """How predicted losses and objective answer to more of each group, and to looser constraints.

    For a convex law the other groups are optimised again, within the problem's limits; a cap of the group
    itself, or a fixed proportion, is moved for it. For any other law the other groups keep their ratios
    (nearest mixture in KL divergence within the bounds).

    Args:
        best: the solution of this problem. point: in (0, 1).

    Raises:
        InputError: a point out of range, or as of `minimise`.
    """
    if not 0 < point < 1:
        raise InputError(f"point must be in (0, 1), got {point}")
    laws = [law.convex(size, tokens) for law in (fitted, *replicates)]
    convex_laws = [law for law in laws if law is not None]
    smooth = len(convex_laws) == len(laws)
    losses, objective = np.full((problem.m, problem.n), np.nan), np.full(problem.m, np.nan)
    for group in range(problem.m):
        more = _with_more(problem, best, group, point)
        if more is None:
            continue
        try:
            found = minimise(fitted, more, replicates, size=size, tokens=tokens) if smooth else None
        except InputError:  # limits forbid it
            continue
        if found is None:
            found = _in_ratio(fitted, more, best, replicates, size, tokens)
        losses[group], objective[group] = found.losses - best.losses, found.objective - best.objective
    prices = shadow_prices(convex_laws[0], problem, best, convex_laws[1:]) if smooth else {}
    return Sensitivity(point, losses, objective, prices)


def shadow_prices(
    losses: ConvexLosses, problem: MixtureProblem, best: Solution, replicates: Sequence[ConvexLosses] = ()
) -> dict[str, float]:
    """The derivative of the optimum by each binding bound or limit (`best.binding`), from the dual solution.

    Negative for caps and limits, where more is better, and positive for floors. Empty when the interior-point
    method does not finish, which was never seen where limits leave room.
    """
    lower, upper = problem.box
    used = replicates if problem.caution > 0 else ()
    program = smooth_program(losses, problem, used)
    found = solve_smooth(program, lower, upper)
    if not np.isfinite(found.gap):
        return {}
    prices = dict(zip(program.names, found.prices.tolist(), strict=True))
    for group, name in enumerate(problem.groups):
        prices[f"cap of {name}"] = float(found.on_upper[group])
        prices[f"floor of {name}"] = float(found.on_lower[group])
        prices[f"fixed {name}"] = float(found.on_held[group])
    return {name: prices[name] for name in best.binding}


def _with_more(problem: MixtureProblem, best: Solution, group: int, point: float) -> MixtureProblem | None:
    """The problem with a group held at its best proportion + point; None where bounds leave no room."""
    wanted = float(best.proportions[group]) + point
    lower, upper = (bound.copy() for bound in problem.box)
    forbidden = upper[group] == 0
    lower[group] = upper[group] = wanted
    if wanted > 1 or lower.sum() > 1 or upper.sum() < 1 or forbidden:
        return None
    return replace(problem, lower=lower, upper=upper)


def _in_ratio(
    fitted: FittedLaw,
    more: MixtureProblem,
    best: Solution,
    replicates: Sequence[FittedLaw],
    size: float | None,
    tokens: float | None,
) -> Solution:
    """The mixture nearest to the best one, with what is predicted for it."""
    p = project_kl(best.proportions, *more.box)
    scale = [None if s is None else np.array([s]) for s in (size, tokens)]
    losses = fitted.predict(p[None], *scale)[0]
    others = [law.predict(p[None], *scale)[0] for law in replicates]
    value = float(evaluate.objective(more, p, losses, np.array(others) if others else None))
    return replace(best, proportions=p, losses=losses, objective=value)
