"""Caps, floors, fixed proportions and budgets left: what a run allows at each moment, and the way back in.

A mixture p that a method asks for is replaced by the allowed mixture x of least KL(x || p)
(`aioli.projections`). All groups that meet no bound are then scaled by one and the same factor: their ratios
stay as the method chose them, a proportion of zero stays zero and none becomes zero. And an exponentiated
gradient step followed by this projection is that step within the constraints, which is not so for the
Euclidean projection.

What a mixture is held to, strongest first:

1. caps: a group's budget is `max_repeats` times its tokens; what is left of it, spread over the tokens of
   the remaining steps, is its cap. As long as every mixture keeps to it, the cap never falls, so the
   budget lasts to the end. A group without data has cap 0.
2. fixed proportions. 3. floors. 4. `max_change`: how far a training mixture may be from the last one.

`Limits.of` refuses constraints that exclude each other before the first step. In the run (whole sequences
are drawn, probes are skewed, a loop may draw other counts than were asked) they can still come into
conflict: then the stronger one holds, and the weaker ones hold as far as there is room, each group giving
way by the same share of the room it has. Nothing is raised then. Caps that cannot fill the remaining steps,
which takes a loop that trains other batches than the problem says, are raised by one factor until they can.

Sequences are whole, so a budget is kept to within what the loader's counts are off by (the deficits of
`aioli.data.plan`, the one when the last segment begins plus the one when it ends): a group ends less than
2 + ln m sequences past its budget while no proportion is 0, 4(m - 1) at most when groups leave and return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError, nearest
from aioli.projections import project_kl
from aioli.protocol import Array, Problem

__all__ = ["Bounds", "Limits", "free_groups"]

CONFLICT = 1e-9
"""Constraints given by the user conflict when they miss each other by more than this."""


class Bounds(NamedTuple):
    """lower [m] and upper [m] bounds of proportions."""

    lower: Array
    upper: Array


@dataclass(frozen=True)
class Limits:
    """The constraints of a problem as arrays, checked against each other and against the data.

    Attributes:
        problem: the run. budget: [m] tokens of each group that it may train at most, infinite without a cap.
        floors: [m] least proportions, 0 for fixed groups. fixed: [m] proportions to hold, NaN elsewhere.
        max_change: largest change of a proportion, infinite without a limit.
    """

    problem: Problem
    budget: Array
    floors: Array
    fixed: Array
    max_change: float

    @classmethod
    def of(cls, problem: Problem) -> Limits:
        """The limits of a problem.

        A floor given as one number is for every group that has data and is not fixed.

        Raises:
            InputError: unknown names, values out of range, or constraints that no mixture can meet;
                the numbers that conflict are named.
        """
        given = problem.constraints
        fixed = _by_group(problem, "fixed", given.fixed, np.nan, 1.0)
        repeats = _by_group(problem, "max_repeats", given.max_repeats, np.inf, np.inf)
        floors = _by_group(problem, "floors", given.floors, 0.0, 1.0)
        if not isinstance(given.floors, Mapping):
            floors = np.where(problem.available & np.isnan(fixed), floors, 0.0)
        change = np.inf
        if given.max_change is not None:
            change = _number("constraints.max_change", given.max_change, np.inf)
        tokens = np.asarray(problem.group_tokens, dtype=np.float64)
        budget = np.where(problem.available, repeats, 0.0) * np.where(problem.available, tokens, 1.0)
        _check_fixed(problem, fixed, floors)
        _check_caps(problem, budget, np.where(np.isnan(fixed), floors, fixed), np.isnan(fixed))
        return cls(problem, budget, np.where(np.isnan(fixed), floors, 0.0), fixed, change)

    def bounds(
        self, step: int, drawn: Array, previous: Array | None = None, probe_steps: int | None = None
    ) -> Bounds:
        """What every proportion must lie between after `step` steps; some mixture always does.

        A probe may take more of a group than its cap: as much of the budget as floors do not need in the
        steps after it. It is no training mixture: `max_change` does not limit it, and later mixtures
        are not compared with it.

        Args:
            drawn: [m] sequences of each group trained so far.
            previous: [m] the last training mixture, None before the first.
            probe_steps: length of the probe that the bounds are for, None for training.
        """
        held = ~np.isnan(self.fixed)
        box = Bounds(np.zeros(self.problem.m), self._caps(step, drawn, probe_steps))
        box = _narrow(box, np.where(held, self.fixed, 0.0), np.where(held, self.fixed, 1.0))
        box = _narrow(box, self.floors, np.ones(self.problem.m))
        if previous is not None and probe_steps is None and np.isfinite(self.max_change):
            box = _narrow(box, previous - self.max_change, previous + self.max_change)
        return box

    def restrict(
        self,
        proportions: Array,
        step: int,
        drawn: Array,
        previous: Array | None = None,
        probe_steps: int | None = None,
    ) -> Array:
        """The allowed mixture [m] nearest to `proportions` in KL divergence; arguments as of `bounds`.

        >>> from aioli.protocol import Constraints, Problem
        >>> twice = Constraints(max_repeats=2)
        >>> problem = Problem(("a", "b", "c"), (100, 900, 900), 10, 100, constraints=twice)
        >>> Limits.of(problem).restrict(np.array([0.5, 0.3, 0.2]), 0, np.zeros(3))
        array([0.2 , 0.48, 0.32])
        """
        return project_kl(proportions, *self.bounds(step, drawn, previous, probe_steps))

    def _caps(self, step: int, drawn: Array, probe_steps: int | None) -> Array:
        """[m] largest proportions that the budgets allow, at most 1 each and at least 1 in all."""
        problem = self.problem
        trained = (step * problem.step_tokens - problem.removed_tokens) * drawn / max(drawn.sum(), 1)
        budget = np.maximum(self.budget - trained, 0.0)
        left = max(problem.total_steps - step, 1) * problem.step_tokens
        caps = budget / left
        if probe_steps is not None:
            span = probe_steps * problem.step_tokens
            caps = np.maximum(caps, (budget - self.floors * (left - span)) / span)
        caps = np.minimum(caps, 1.0)
        if caps.sum() >= 1:
            return caps
        return caps / caps.sum() if caps.any() else problem.uniform


def free_groups(problem: Problem) -> NDArray[np.bool_]:
    """[m] True where a method has something to decide: the group has data and no fixed proportion."""
    fixed = problem.constraints.fixed
    if not fixed:
        return problem.available
    return problem.available & np.array([name not in fixed for name in problem.groups])


def _narrow(box: Bounds, lower: Array, upper: Array) -> Bounds:
    """The box within further bounds, as far as they leave a mixture in it."""
    lower, upper = np.clip(lower, *box), np.clip(upper, *box)
    wanted, least = lower.sum(), box.lower.sum()
    if wanted > max(1, least):
        lower = box.lower + (lower - box.lower) * (max(1 - least, 0) / (wanted - least))
    allowed, most = upper.sum(), box.upper.sum()
    if allowed < min(1, most):
        upper = box.upper - (box.upper - upper) * (max(most - 1, 0) / (most - allowed))
    return Bounds(np.minimum(lower, upper), np.maximum(lower, upper))


def _by_group(problem: Problem, name: str, given: object, absent: float, most: float) -> Array:
    """[m] one number for each group, `absent` where none is given.

    Raises:
        InputError: an unknown group, or a value that is no number from 0 to `most`.
    """
    values = np.full(problem.m, absent)
    place = {group: index for index, group in enumerate(problem.groups)}
    for group, value in given.items() if isinstance(given, Mapping) else ():
        if group not in place:
            raise InputError(
                f"constraints.{name} names an unknown group {group!r}; {nearest(str(group), problem.groups)}"
            )
        values[place[group]] = _number(f"constraints.{name} of {group!r}", value, most)
        if name != "max_repeats" and value > 0 and not problem.available[place[group]]:
            raise InputError(
                f"constraints.{name} asks for {value:g} of {group!r}, which has no data: give it 0, or data"
            )
    if given is not None and not isinstance(given, Mapping):
        values[:] = _number(f"constraints.{name}", given, most)
    return values


def _number(what: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{what} must be a number, got {value!r}")
    positive = most == np.inf
    if not (np.isfinite(value) and 0 <= value <= most) or (positive and value == 0):
        told = "a positive finite number" if positive else f"a proportion from 0 to {most:g}"
        raise InputError(f"{what} must be {told}, got {value}")
    return float(value)


def _check_fixed(problem: Problem, fixed: Array, floors: Array) -> None:
    """Refuse fixed proportions and floors that no mixture can have together."""
    held = ~np.isnan(fixed)
    for group in np.nonzero(held & (floors > fixed))[0]:
        raise InputError(
            f"constraints.fixed holds {problem.groups[group]!r} at {fixed[group]:g}, below its floor of "
            f"{floors[group]:g}: lower the floor or raise the fixed proportion"
        )
    total, least = fixed[held].sum(), floors[~held].sum()
    if total > 1 + CONFLICT:
        raise InputError(
            f"constraints.fixed sums to {total:.6g}, more than 1: lower some of "
            f"{_listed(problem, fixed, held)}"
        )
    if total < 1 - CONFLICT and not (problem.available & ~held).any():
        raise InputError(
            f"constraints.fixed sums to {total:.6g} ({_listed(problem, fixed, held)}) and leaves no group "
            "with data to take the rest: raise some, or leave one of them free"
        )
    if total + least > 1 + CONFLICT:
        raise InputError(
            f"constraints.floors of the free groups sum to {least:.6g} "
            f"({_listed(problem, floors, ~held & (floors > 0))}), fixed proportions to {total:.6g}, together "
            f"{total + least:.6g}, more than 1: lower some"
        )


def _check_caps(problem: Problem, budget: Array, least: Array, free: NDArray[np.bool_]) -> None:
    """Refuse caps below a floor or a fixed proportion [m], or too small for the run."""
    needed = problem.total_steps * problem.step_tokens - problem.removed_tokens
    caps = np.minimum(budget / needed, 1.0)
    for group in np.nonzero(least > caps + CONFLICT)[0]:
        name, kind = problem.groups[group], "floor" if free[group] else "fixed proportion"
        tokens = problem.group_tokens[group]
        raise InputError(
            f"the {kind} of {name!r}, {least[group]:g}, needs {least[group] * needed:,.0f} of the run's "
            f"{needed:,} tokens, but constraints.max_repeats allows {budget[group]:,.0f} ("
            f"{budget[group] / tokens:g} x {tokens:,}), a proportion of {caps[group]:.4g}: lower the {kind}, "
            f"raise max_repeats of {name!r} to {least[group] * needed / tokens:.4g}, or shorten the run"
        )
    rest = (1 - least[~free].sum()) * needed
    if np.minimum(budget[free], needed).sum() < rest * (1 - CONFLICT):
        held, kept = budget[free].sum(), "" if free.all() else " (fixed proportions taken off)"
        tokens = np.asarray(problem.group_tokens, dtype=np.float64)[free].sum()
        raise InputError(
            f"constraints.max_repeats leaves {held:,.0f} tokens for a run of {rest:,.0f}{kept}, "
            f"{held / rest:.4g} of what it needs: allow {rest / tokens:.4g} repeats of every group, shorten "
            "the run, or add data (for a run on a larger corpus, name its tokens)"
        )


def _listed(problem: Problem, values: Array, which: NDArray[np.bool_]) -> str:
    shown = [f"{problem.groups[j]} {values[j]:g}" for j in np.nonzero(which)[0]]
    return ", ".join(shown[:6] + ["..."] * (len(shown) > 6))
