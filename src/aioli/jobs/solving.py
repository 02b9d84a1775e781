"""From a fitted law and a user's wishes to a mixture, and all that there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.fitting.fit import Fit
from aioli.jobs.reusing import CollapsedLaw, describe_reuse
from aioli.jobs.solutions import describe_solution
from aioli.jobs.wishes import Wishes, mixture_problem
from aioli.protocol import Array
from aioli.solvers.evaluate import in_nats
from aioli.solvers.minimise import minimise
from aioli.solvers.near_optimal import NearOptimal, near_optimal
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.solvers.reuse import KEPT, Reuse
from aioli.solvers.sensitivity import Sensitivity, sensitivity
from aioli.static_law import FittedLaw
from aioli.table import Table

__all__ = ["solve_fit"]

MANY = 30
"""Groups above which sensitivities are told of the largest alone."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is solved: a problem in all groups, or with a reuse in 1 + a, with the law that it is read from.

    Attributes:
        problem: in all groups, as the user sees it. solved: as it is solved. table: of runs on all groups.
        law, replicates: on the groups of `solved`. size, tokens: the scale to predict at.
    """

    fitted: Fit
    problem: MixtureProblem
    solved: MixtureProblem
    table: Table
    law: FittedLaw
    replicates: Sequence[FittedLaw]
    size: float | None
    tokens: float | None
    reuse: Reuse | None

    def whole(self, mixtures: Array) -> Array:
        """[..., m] proportions of all groups."""
        return mixtures if self.reuse is None else self.reuse.expand(mixtures)

    def of_fit(self, mixtures: Array) -> Array:
        """Proportions of the groups that the law was fitted to, from those of all groups."""
        if self.reuse is None or KEPT not in self.fitted.table.groups:
            return mixtures
        return self.reuse.collapse(mixtures)


def solve_fit(
    fitted: Fit,
    wishes: Wishes,
    *,
    size: float | None = None,
    tokens: float | None = None,
    reuse: Reuse | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The solution of a fit for what a user wishes, with intervals, and reasons not to trust it.

    Targets weigh what they weigh in the fit unless the wishes say otherwise; a law of scale is read at
    `size` and `tokens`, by default the tokens of the run to come. With `reuse`, its kept groups keep their
    ratios, and divergences count them as one group.

    Raises:
        InputError: wishes that do not fit the groups and targets, or that no mixture meets.
    """
    asked = _asked(fitted, wishes, size, tokens, reuse)
    near = None
    if len(asked.replicates) > 1:
        near = near_optimal(
            asked.law, asked.solved, asked.replicates, size=asked.size, tokens=asked.tokens, seed=seed
        )
    best = (
        minimise(asked.law, asked.solved, size=asked.size, tokens=asked.tokens, seed=seed)
        if near is None
        else near.best
    )
    solution = replace(best, proportions=asked.whole(best.proportions))
    content = describe_solution(solution, asked.problem, asked.table, wishes)
    content["at"] = {"size": asked.size, "tokens": asked.tokens}
    if near is not None:
        _add_near(content, asked, near)
    _add_predictions(content, asked, solution)
    content |= _neighbourhood(asked, best)
    if reuse is not None:
        content["reuse"] = describe_reuse(reuse, solution.proportions)
    content["warnings"] += [f"of the fit: {warning}" for warning in fitted.warnings]
    return content


def _asked(
    fitted: Fit, wishes: Wishes, size: float | None, tokens: float | None, reuse: Reuse | None
) -> _Asked:
    table = fitted.table
    if KEPT in table.groups and reuse is None:
        raise InputError("this fit is of groups that kept their ratios: say which with --reuse OLD_SOLUTION")
    if wishes.target_weights is None:
        weights = dict(zip(table.targets, fitted.weights.tolist(), strict=True))
        wishes = replace(wishes, target_weights=weights)
    tokens = wishes.train_tokens if tokens is None else tokens
    if reuse is None:
        problem = mixture_problem(table.groups, table.targets, wishes)
        return _Asked(fitted, problem, problem, table, fitted.fitted, fitted.replicates, size, tokens, None)
    problem = mixture_problem(reuse.groups, table.targets, wishes)
    solved, _ = reuse.problem(problem)
    law, replicates = fitted.fitted, fitted.replicates
    if KEPT in table.groups:
        table = replace(table, groups=reuse.groups, mixtures=reuse.expand(table.mixtures))
    else:
        law, replicates = CollapsedLaw(law, reuse), [CollapsedLaw(one, reuse) for one in replicates]
    return _Asked(fitted, problem, solved, table, law, replicates, size, tokens, reuse)


def _add_near(content: dict[str, Any], asked: _Asked, near: NearOptimal) -> None:
    """The range of each group over the mixtures that are as good within noise, and some of them."""
    lower, upper = asked.whole(near.lower), asked.whole(near.upper)
    for group, low, high in zip(asked.table.groups, lower, upper, strict=True):
        content["by_group"][group]["near_optimal"] = [float(low), float(high)]
    members = asked.whole(near.members)
    content["near_optimal"] = {
        "tolerance": near.tolerance,
        "exact": near.exact,
        "members": [dict(zip(asked.table.groups, p.tolist(), strict=True)) for p in members],
    }


def _add_predictions(content: dict[str, Any], asked: _Asked, solution: Solution) -> None:
    """Intervals of the losses, those at the reference, and the distance from the trained mixtures."""
    points = [solution.proportions]
    points += [] if asked.problem.reference is None else [asked.problem.reference]
    at = [None if one is None else np.full(len(points), one) for one in (asked.size, asked.tokens)]
    told = asked.fitted.predict(asked.of_fit(np.array(points)), *at)
    for i, target in enumerate(asked.table.targets):
        content["by_target"][target] |= {
            "interval": [float(told.low[0, i]), float(told.high[0, i])],
            "at_reference": float(told.losses[1, i]) if len(points) > 1 else None,
        }
    if len(points) > 1:
        content["at_reference"] = float(in_nats(asked.problem, told.losses[1]))
    content["outside"] = float(told.outside[0])
    if told.outside[0] > 0:
        content["warnings"].append(
            f"{told.outside[0]:.1%} of the mixture lies outside those that were trained: the predicted "
            "losses are extrapolated; run it, or keep nearer with --max-variation"
        )


def _neighbourhood(asked: _Asked, best: Solution) -> dict[str, Any]:
    """What a point more of each group, and a looser constraint, would change; numbers and sentences."""
    cautious = asked.replicates if asked.solved.caution else ()
    found = sensitivity(asked.law, asked.solved, best, cautious, size=asked.size, tokens=asked.tokens)
    return {
        "sensitivity": {
            "point": found.point,
            "objective": {
                group: float(change) if np.isfinite(change) else None
                for group, change in zip(asked.solved.groups, found.objective, strict=True)
            },
            "prices": found.prices,
        },
        "sensitivities": [*_points(asked, best, found), *_prices(found)],
    }


def _points(asked: _Asked, best: Solution, found: Sensitivity) -> list[str]:
    """ "one point more of law costs ..., and buys ..." for each group, the largest first."""
    told = []
    for group in np.argsort(-best.proportions, kind="stable")[:MANY]:
        if not np.isfinite(found.objective[group]):
            continue
        changes = found.losses[group]
        parts = []
        for verb, which in (("costs", changes > 0), ("buys", changes < 0)):
            order = np.argsort(-np.abs(changes) * which, kind="stable")[:2]
            some = [i for i in order if which[i] and abs(changes[i]) >= 5e-6]
            if some:
                named = ", ".join(f"{abs(changes[i]):.5f} nats on {asked.problem.targets[i]}" for i in some)
                parts.append(f"{verb} {named}")
        if parts:
            told.append(
                f"one point more of {asked.solved.groups[group]} {' and '.join(parts)} "
                f"(objective {found.objective[group]:+.5f})"
            )
    return told


def _prices(found: Sensitivity) -> list[str]:
    return [
        f"the {name}: {abs(price) * found.point:.5f} nats of the objective a point ({found.point:g})"
        for name, price in found.prices.items()
        if abs(price) * found.point >= 5e-6
    ]
