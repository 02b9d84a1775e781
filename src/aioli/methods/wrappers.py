"""Methods made of methods: one after the other, the mean of one's mixtures, mixtures as loss weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from aioli.contract import check_part
from aioli.errors import InputError
from aioli.methods.static import Static
from aioli.protocol import Array, Method, Observation, Problem, Request, answer
from aioli.regroup import Regroup, carry_state
from aioli.simplex import normalise

__all__ = ["After", "AfterState", "Averaged", "AveragedState", "Reweighted"]


class AfterState(NamedTuple):
    """States of the two methods; `step` says whose turn it is."""

    step: int
    first: Any
    then: Any


@dataclass(frozen=True)
class After:
    """Train `steps` steps with one method, the rest with another.

    Each sees a run of its own length: `then` starts anew at its first step, and what is left of the
    warm-up is its warm-up.

    Args:
        first, then: the methods. steps: of the first.

    Raises:
        InputError: steps below 1, or no fewer than the run's.
    """

    first: Method[Any]
    steps: int
    then: Method[Any]

    def __post_init__(self) -> None:
        for method in (self.first, self.then):
            check_part(Method, method)
        if self.steps < 1:
            raise InputError(f"steps of the first method must be at least 1, got {self.steps}")

    @property
    def needs(self) -> frozenset[str]:
        return self.first.needs | self.then.needs

    def init(self, problem: Problem) -> AfterState:
        if self.steps >= problem.total_steps:
            raise InputError(
                f"the first method is to train {self.steps} steps of {problem.total_steps}: give it fewer, "
                "so that some are left for the other"
            )
        before, later = self._parts(problem)
        return AfterState(0, self.first.init(before), self.then.init(later))

    def request(self, problem: Problem, state: AfterState) -> Request:
        before, later = self._parts(problem)
        if state.step < self.steps:
            return self.first.request(before, state.first)
        return self.then.request(later, state.then)

    def update(self, problem: Problem, state: AfterState, seen: Observation) -> AfterState:
        before, later = self._parts(problem)
        if state.step < self.steps:
            return AfterState(seen.step, self.first.update(before, state.first, seen), state.then)
        shifted = seen._replace(step=seen.step - self.steps)
        return AfterState(seen.step, state.first, self.then.update(later, state.then, shifted))

    def answer(self, problem: Problem, state: AfterState) -> Array | None:
        """[m] the second method's answer, if it gives one."""
        return answer(self.then, self._parts(problem)[1], state.then)

    def regroup(self, change: Regroup, state: AfterState) -> AfterState:
        old, new = self._parts(change.old), self._parts(change.new)
        if state.step < self.steps:
            part = replace(change, old=old[0], new=new[0])
            first = carry_state(self.first, part, state.first)
            return AfterState(state.step, first, self.then.init(new[1]))
        part = replace(change, old=old[1], new=new[1], step=change.step - self.steps)
        then = carry_state(self.then, part, state.then)
        return AfterState(state.step, self.first.init(new[0]), then)

    def _parts(self, problem: Problem) -> tuple[Problem, Problem]:
        """The run as each of the two methods sees it."""
        warmup = problem.warmup_steps
        before = replace(problem, total_steps=self.steps, warmup_steps=min(warmup, self.steps))
        left = problem.total_steps - self.steps
        return before, replace(problem, total_steps=left, warmup_steps=max(warmup - self.steps, 0))


class AveragedState(NamedTuple):
    """total [m]: sum of the mixtures of the training steps; steps: how many."""

    step: int
    total: Array
    steps: int
    inner: Any


@dataclass(frozen=True)
class Averaged:
    """Train as a method does, and answer with the mean of its training mixtures.

    A step's mixture is what the method asked for, or its loss weights where it weighs the loss. Probes do not
    count.

    Args:
        method: whose mixtures.
    """

    method: Method[Any]

    def __post_init__(self) -> None:
        check_part(Method, self.method)

    @property
    def needs(self) -> frozenset[str]:
        return self.method.needs

    def init(self, problem: Problem) -> AveragedState:
        return AveragedState(0, np.zeros(problem.m), 0, self.method.init(problem))

    def request(self, problem: Problem, state: AveragedState) -> Request:
        return self.method.request(problem, state.inner)

    def update(self, problem: Problem, state: AveragedState, seen: Observation) -> AveragedState:
        asked = self.method.request(problem, state.inner)
        inner = self.method.update(problem, state.inner, seen)
        steps = seen.step - state.step
        if not steps or asked.phase == "probe":
            return AveragedState(seen.step, state.total, state.steps, inner)
        mixture = normalise(asked.proportions if asked.loss_weights is None else asked.loss_weights)
        return AveragedState(seen.step, state.total + steps * mixture, state.steps + steps, inner)

    def answer(self, problem: Problem, state: AveragedState) -> Array:
        """[m] the mean mixture so far; equal proportions before the first step."""
        return normalise(state.total) if state.steps else problem.uniform

    def regroup(self, change: Regroup, state: AveragedState) -> AveragedState:
        total = change.proportions(state.total / max(state.steps, 1)) * state.steps
        return state._replace(total=total, inner=carry_state(self.method, change, state.inner))


@dataclass(frozen=True)
class Reweighted:
    """Draw groups on a fixed mixture and give the loss the weights that a method wants as proportions.

    A step then minimises sum_j p_j x (mean loss of group j in the batch), p the method's proportions; a
    group that the batch lacks contributes nothing. What the method is told of a segment's draws are the
    shares that the groups present had in the loss, so a method that learns from its mixtures learns from
    those in effect.

    Args:
        method: whose mixtures to weigh by.
        sampling: proportions to draw on, by name or in order; None: equal.

    Raises:
        InputError: a sampling mixture that does not fit the groups.
    """

    method: Method[Any]
    sampling: Mapping[str, float] | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_part(Method, self.method)

    @property
    def needs(self) -> frozenset[str]:
        return self.method.needs

    def init(self, problem: Problem) -> Any:
        self._mixture(problem)
        return self.method.init(problem)

    def request(self, problem: Problem, state: Any) -> Request:
        asked = self.method.request(problem, state)
        weights = asked.loss_weights if asked.loss_weights is not None else asked.proportions
        mixture = self._mixture(problem)
        return asked._replace(proportions=mixture, loss_weights=weights if asked.steps else None)

    def update(self, problem: Problem, state: Any, seen: Observation) -> Any:
        weights = self.request(problem, state).loss_weights
        if weights is not None:
            present = np.where(seen.drawn > 0, weights, 0.0)
            if present.any():
                seen = seen._replace(drawn=normalise(present) * seen.drawn.sum())
        return self.method.update(problem, state, seen)

    def answer(self, problem: Problem, state: Any) -> Array | None:
        """[m] the method's answer, if it gives one."""
        return answer(self.method, problem, state)

    def regroup(self, change: Regroup, state: Any) -> Any:
        return carry_state(self.method, change, state)

    def _mixture(self, problem: Problem) -> Array:
        return problem.uniform if self.sampling is None else Static(self.sampling).mixture(problem)
