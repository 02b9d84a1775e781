"""Sampling matched to the objective: each group as often as its loss matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.objectives import get_objective, objective_of
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup
from aioli.simplex import normalise

__all__ = ["Matched", "MatchedState"]


class MatchedState(NamedTuple):
    """losses [m]: running training losses, NaN for groups not drawn yet."""

    step: int
    losses: Array


@dataclass(frozen=True)
class Matched:
    """p_j ~ dF/dL_j of the objective F at the running training losses.

    Sampling in these proportions makes every batch, up to one positive factor, an unbiased gradient of
    F: equal proportions for the mean loss, p_j ~ w_j exp(L_j) for the mean perplexity, the worst group
    alone for the worst target. It needs only the training losses, which cost nothing.

    Args:
        objective: name of the objective; None: the problem's.
        tau: temperature in nats of the family tau log sum_i w_i exp(L_i / tau), instead of a name.
        round_steps: steps between updates of the proportions; None: a hundredth of the run.
        smoothing: weight of the past in the running losses at each update, in [0, 1).
        floor: least proportion of a group, as a share of an equal one: every group keeps being measured.

    Raises:
        InputError: targets that are not the groups, an unknown objective, settings out of range.

    Departures:
        Not a published method; group-DRO (arXiv 1911.08731) is its relative at the worst target, with
        multiplicative updates instead of the exact gradient. The losses lag behind by about
        round_steps / (1 - smoothing) steps. Proportions stay at the target weights during warm-up. With
        the floor, groups whose loss hardly matters are drawn a little more than they should be: without
        it they could get worse unseen.
    """

    objective: str | None = None
    tau: float | None = None
    round_steps: int | None = None
    smoothing: float = 0.5
    floor: float = 0.01

    def __post_init__(self) -> None:
        if self.round_steps is not None and self.round_steps < 1:
            raise InputError(f"round_steps must be at least 1, got {self.round_steps}")
        if not 0 <= self.smoothing < 1:
            raise InputError(f"smoothing must be in [0, 1), got {self.smoothing}")
        if not 0 <= self.floor < 1:
            raise InputError(f"floor must be in [0, 1), got {self.floor}")
        if self.objective is not None and self.tau is not None:
            raise InputError("give matched an objective or a tau, not both")
        get_objective(self.objective or "mean_loss", self.tau)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.TRAIN_LOSS})

    def init(self, problem: Problem) -> MatchedState:
        if not problem.targets_are_groups:
            raise InputError(
                "matched needs the targets to be the training groups (it reads their training losses); "
                f"the targets are {', '.join(problem.targets)}"
            )
        normalise(np.where(problem.available, problem.weights, 0.0))
        objective_of(problem, self.objective, self.tau)
        return MatchedState(0, np.full(problem.m, np.nan))

    def request(self, problem: Problem, state: MatchedState) -> Request:
        left = problem.total_steps - state.step
        every = self.round_steps or max(1, problem.total_steps // 100)
        if state.step < problem.warmup_steps:
            steps, phase = min(problem.warmup_steps - state.step, every), "warmup"
        else:
            steps, phase = every, "train"
        return Request(self._mixture(problem, state), min(steps, left), self.needs, phase)

    def _mixture(self, problem: Problem, state: MatchedState) -> Array:
        weights = np.where(problem.available, problem.weights, 0.0)
        known = ~np.isnan(state.losses) & problem.available
        if state.step < problem.warmup_steps or not known.any():
            return normalise(weights)
        losses = np.where(known, state.losses, state.losses[known].mean())
        objective = objective_of(problem, self.objective, self.tau)
        matched = normalise(objective.gradient(losses, normalise(weights)))
        least = self.floor * problem.uniform
        return matched if (matched >= least).all() else normalise(np.maximum(matched, least))

    def update(self, problem: Problem, state: MatchedState, seen: Observation) -> MatchedState:
        fresh = seen.values[Signal.TRAIN_LOSS]
        old = np.where(np.isnan(state.losses), fresh, state.losses)
        losses = np.where(np.isnan(fresh), state.losses, self.smoothing * old + (1 - self.smoothing) * fresh)
        return MatchedState(seen.step, losses)

    def regroup(self, change: Regroup, state: MatchedState) -> MatchedState:
        """Running losses are inherited; a group without counts as the mean of the others."""
        return MatchedState(change.step, change.groups(state.losses))
