"""Importance-weighted sampling: groups with scattered gradients are drawn more and weighed less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.constraints import Limits
from aioli.errors import InputError
from aioli.objectives import objective_of
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup
from aioli.simplex import normalise

__all__ = ["Neyman", "NeymanState"]


class NeymanState(NamedTuple):
    """variance [m]: running GRADIENT_VARIANCE, NaN before. drawn [m]: sequences so far. `due` is 1 when a
    measurement is due."""

    step: int
    proportions: Array
    variance: Array
    drawn: Array
    due: int


@dataclass(frozen=True)
class Neyman:
    """p_j ~ w_j s_j, s_j the standard deviation of group j's gradients, with the loss weighted back to w.

    The objective stays the weighted mean loss sum_j w_j L_j; only the noise of its gradient changes. A step
    of B sequences has n_j = B p_j of group j, and the gradient sum_j w_j (mean over the group) has the
    variance sum_j w_j^2 s_j^2 / n_j, which these proportions make least (Neyman's allocation).

    Loss weights multiply the mean loss of the groups present in a batch, and the loader deals whole sequences
    evenly. Group j is in every batch if B p_j >= 1: with the weight w_j its gradient is unbiased.
    Otherwise it is in B p_j of the batches and has the weight w_j / (B p_j). That is exact as long as no
    batch gets two of its sequences. Where B p_j is little below 1 some do: up to 7% of its gradient is lost.

    Args:
        round_steps: steps between measurements; None: a twentieth of the run.
        smoothing: weight of the past in the running variances, in [0, 1).
        floor: least proportion of a group, as a share of its weight w_j: bounds the loss weights.

    Raises:
        InputError: settings out of range, targets that are not the groups, or an objective other than the
            mean loss.

    References:
        Neyman 1934 (optimal allocation in stratified sampling).
    Departures:
        Not published as a mixing method. It trains on w until the warm-up ends, at least one step, which also
        shows B. A loop that draws groups at random has group j in 1 - (1 - p_j)^B of the batches instead:
        there the weights are right only where groups are nearly always present. So they are where a
        constraint of the run changes a mixture at a step, between two measurements.
    """

    round_steps: int | None = None
    smoothing: float = 0.5
    floor: float = 0.1

    def __post_init__(self) -> None:
        if self.round_steps is not None and self.round_steps < 1:
            raise InputError(f"round_steps must be at least 1, got {self.round_steps}")
        for name in ("smoothing", "floor"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.GRADIENT_VARIANCE})

    def init(self, problem: Problem) -> NeymanState:
        objective = objective_of(problem)
        if not problem.targets_are_groups or objective.tau != np.inf or objective.excess:
            raise InputError(
                "neyman keeps the mean loss of the training groups as it is, so it needs the targets to be "
                f"the groups and the objective mean_loss; the targets are {', '.join(problem.targets)}, the "
                f"objective is {objective.name}"
            )
        start = self._weights(problem)
        return NeymanState(0, start, np.full(problem.m, np.nan), np.zeros(problem.m), 0)

    def request(self, problem: Problem, state: NeymanState) -> Request:
        left, opening = problem.total_steps - state.step, max(problem.warmup_steps, 1)
        if state.step < opening:
            return Request(state.proportions, min(opening - state.step, left), phase="warmup")
        if state.due:
            return Request(state.proportions, 0, self.needs, "measure")
        steps = min(self.round_steps or max(1, problem.total_steps // 20), left)
        return Request(state.proportions, steps, loss_weights=self._loss_weights(problem, state))

    def update(self, problem: Problem, state: NeymanState, seen: Observation) -> NeymanState:
        if Signal.GRADIENT_VARIANCE not in seen.values:
            return state._replace(step=seen.step, drawn=state.drawn + seen.drawn, due=1)
        fresh = seen.values[Signal.GRADIENT_VARIANCE]
        old = np.where(np.isnan(state.variance), fresh, state.variance)
        mixed = self.smoothing * old + (1 - self.smoothing) * fresh
        state = state._replace(variance=np.where(np.isnan(fresh), old, mixed), due=0)
        return state._replace(proportions=self._mixture(problem, state))

    def _weights(self, problem: Problem) -> Array:
        return normalise(np.where(problem.available, problem.weights, 0.0))

    def _mixture(self, problem: Problem, state: NeymanState) -> Array:
        """[m] w_j s_j normalised, not below the floor; a group not measured yet has the mean variance."""
        weights, known = self._weights(problem), ~np.isnan(state.variance) & problem.available
        if not (state.variance[known] > 0).any():
            return weights
        variance = np.where(known, state.variance, state.variance[known].mean())
        mixture = normalise(weights * np.sqrt(variance))
        mixture = normalise(np.maximum(mixture, self.floor * weights))
        if problem.constraints:
            mixture = Limits.of(problem).restrict(mixture, state.step, state.drawn, state.proportions)
        return mixture

    def _loss_weights(self, problem: Problem, state: NeymanState) -> Array:
        batch = state.drawn.sum() / state.step
        often = np.minimum(1.0, batch * state.proportions)
        weights = self._weights(problem)
        return np.where(weights > 0, weights / np.where(often > 0, often, 1.0), 0.0)

    def regroup(self, change: Regroup, state: NeymanState) -> NeymanState:
        return state._replace(
            proportions=change.proportions(state.proportions),
            variance=change.groups(state.variance),
            drawn=change.counts(state.drawn),
        )
