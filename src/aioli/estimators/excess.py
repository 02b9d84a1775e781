"""Dynamic batch loading's estimate: how far each group's validation loss is above its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array, Observation, Problem, Request, Signal

__all__ = ["ExcessOverTarget", "ExcessState"]


class ExcessState(NamedTuple):
    """`losses` [n] measured last, NaN before; `pending` is 1 while this round's are not measured."""

    losses: Array
    pending: int


@dataclass(frozen=True)
class ExcessOverTarget:
    """A = diag(L_j - target_j), measured at the start of every round but the first.

    Args:
        target_losses: loss each group should reach, in nats per token, by name: from a scaling law or a
            reference run.
        clip: use max(L_j - target_j, 0), as the paper's algorithm does; the released code does not.

    Raises:
        InputError: targets that are not the groups, missing or unknown names, values that are not finite.

    References:
        arXiv 2310.06694 (dynamic batch loading); princeton-nlp/LLM-Shearing.
    Departures:
        The release updates at every evaluation of its validation sets; here a round opens with a
        measurement, on few held-out sequences, and the first round trains on the start.
    """

    target_losses: Mapping[str, float]
    clip: bool = False
    waits: ClassVar[bool] = False

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.VALIDATION_LOSS})

    def least_round(self, problem: Problem) -> int:
        return 1

    def resolve(self, problem: Problem, round_steps: int) -> ExcessOverTarget:
        return self

    def check(self, problem: Problem, round_steps: int) -> None:
        if not problem.targets_are_groups:
            raise InputError("target losses are per training group, so the targets must be the groups")
        for name in self.target_losses:
            if name not in problem.groups:
                raise InputError(
                    f"target_losses names an unknown group {name!r}; {nearest(name, problem.groups)}"
                )
        missing = [name for name in problem.groups if name not in self.target_losses]
        if missing:
            raise InputError(f"target_losses needs every group; missing: {', '.join(missing)}")
        if not np.isfinite(list(self.target_losses.values())).all():
            raise InputError(f"target_losses must be finite, got {dict(self.target_losses)}")

    def begin(self, problem: Problem, round: int, previous: ExcessState | None) -> ExcessState:
        return ExcessState(np.full(problem.n, np.nan), int(round > 0))

    def request(self, problem: Problem, state: ExcessState, proportions: Array) -> Request | None:
        return Request(proportions, 0, self.needs, "measure") if state.pending else None

    def update(self, problem: Problem, state: ExcessState, seen: Observation) -> ExcessState:
        return ExcessState(seen.values[Signal.VALIDATION_LOSS], 0)

    def matrix(self, problem: Problem, state: ExcessState) -> Array:
        excess = state.losses - np.array([self.target_losses[name] for name in problem.groups])
        if np.isnan(excess).all():
            return np.full((problem.n, problem.m), np.nan)
        return np.diag(np.maximum(excess, 0) if self.clip else excess)

    def losses(self, state: ExcessState) -> Array:
        return state.losses
