"""Methods whose mixture is decided before the first step."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError, MixingWarning
from aioli.protocol import Array, Observation, Problem, Request
from aioli.simplex import as_proportions, normalise, softmax

__all__ = ["Fixed", "FixedState", "Static", "Stratified", "Temperature", "UniMax", "unimax"]


class FixedState(NamedTuple):
    """Steps completed: all that a fixed mixture has to remember."""

    step: int


class Fixed(ABC):
    """One segment of all the steps, measuring nothing; subclasses say which mixture."""

    needs: frozenset[str] = frozenset()

    @abstractmethod
    def mixture(self, problem: Problem) -> Array: ...

    def init(self, problem: Problem) -> FixedState:
        self.mixture(problem)
        return FixedState(0)

    def request(self, problem: Problem, state: FixedState) -> Request:
        return Request(self.mixture(problem), problem.total_steps - state.step)

    def update(self, problem: Problem, state: FixedState, seen: Observation) -> FixedState:
        return FixedState(seen.step)


@dataclass(frozen=True)
class Stratified(Fixed):
    """Equal proportions for all groups that have data."""

    def mixture(self, problem: Problem) -> Array:
        return problem.uniform


@dataclass(frozen=True)
class Temperature(Fixed):
    """p_j ~ N_j^(1/tau) for N_j tokens in group j; tau 1 is proportional, infinite is stratified.

    Args:
        tau: the temperature, positive.

    Raises:
        InputError: tau not positive.
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise InputError(f"temperature must be positive, got {self.tau}")

    def mixture(self, problem: Problem) -> Array:
        logits = np.log(np.maximum(problem.group_tokens, 1)) / self.tau
        return softmax(np.where(problem.available, logits, -np.inf))


@dataclass(frozen=True)
class UniMax(Fixed):
    """As uniform as an epoch cap allows (see `unimax`); warns when the caps cannot fill the budget.

    Args:
        max_epochs: passes over a group's tokens at most.

    References:
        arXiv 2304.09151.
    """

    max_epochs: float = 4.0

    def __post_init__(self) -> None:
        if not self.max_epochs > 0:
            raise InputError(f"max_epochs must be positive, got {self.max_epochs}")

    def init(self, problem: Problem) -> FixedState:
        shortfall = self._solve(problem)[1]
        if shortfall > 0:
            warnings.warn(
                f"the run needs {problem.total_steps * problem.step_tokens:,} tokens, {shortfall:,.0f} more "
                f"than {self.max_epochs:g} epochs of every group hold: the cap will be exceeded",
                MixingWarning,
                stacklevel=2,
            )
        return FixedState(0)

    def mixture(self, problem: Problem) -> Array:
        return self._solve(problem)[0]

    def _solve(self, problem: Problem) -> tuple[Array, float]:
        budget = problem.total_steps * problem.step_tokens
        return unimax(np.asarray(problem.group_tokens, dtype=np.float64), budget, self.max_epochs)


def unimax(group_tokens: Array, budget: float, max_epochs: float) -> tuple[Array, float]:
    """Proportions [m] and the tokens that cannot be had within the cap.

    In ascending order of size each group gets an equal share of what is left, at most its cap.

    >>> unimax(np.array([200.0, 10, 1000, 40]), 400, 2)
    (array([0.375, 0.05 , 0.375, 0.2  ]), 0.0)

    References:
        arXiv 2304.09151, Algorithm 1.
    """
    tokens = np.zeros_like(group_tokens, dtype=np.float64)
    left = float(budget)
    order = np.argsort(group_tokens, kind="stable")
    for place, group in enumerate(order):
        tokens[group] = min(left / (len(order) - place), max_epochs * group_tokens[group])
        left -= tokens[group]
    return normalise(tokens), float(left) if left > 1e-9 * budget else 0.0


@dataclass(frozen=True)
class Static(Fixed):
    """The user's own proportions, by group name or in group order.

    Args:
        proportions: of all groups, by name or in order; in a config also a file (`aioli mixture --out`).

    Raises:
        InputError: proportions that do not fit the groups (at `init`), or weight on a group without data.
    """

    proportions: Mapping[str, float] | tuple[float, ...]

    def mixture(self, problem: Problem) -> Array:
        p = as_proportions(self.proportions, problem.groups)
        empty = [g for g, pj, ok in zip(problem.groups, p, problem.available, strict=True) if pj and not ok]
        if empty:
            raise InputError(f"no data in {', '.join(empty)}: give it proportion 0")
        return p
