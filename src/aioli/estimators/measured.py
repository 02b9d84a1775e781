"""Estimators that read one signal by group a round, in a peek or over the round's first steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup

__all__ = ["Measured", "MeasuredState"]


class MeasuredState(NamedTuple):
    """values [k, m]: last known of each group, NaN before. losses [n]: measured last, NaN before.

    `pending` is 1 while this round's measurement is due.
    """

    values: Array
    losses: Array
    pending: int


@dataclass(frozen=True)
class Measured(ABC):
    """A matrix that follows from one measurement a round, without probes.

    A group that the measured batches did not draw keeps what was measured of it last.

    Args:
        measure_steps: steps of ordinary training to average the signal over, at the start of each round;
            0: a peek at the batch due next.

    Raises:
        InputError: measure_steps negative, or longer than a round.
    """

    measure_steps: int = 0
    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.measure_steps < 0:
            raise InputError(f"measure_steps must be at least 0, got {self.measure_steps}")

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]: ...

    @abstractmethod
    def rows(self, problem: Problem) -> int:
        """How many numbers a group are kept."""

    @abstractmethod
    def read(self, problem: Problem, seen: Observation) -> Array:
        """[k, m] what was measured, NaN for groups that were not drawn."""

    @abstractmethod
    def matrix(self, problem: Problem, state: MeasuredState) -> Array:
        """[n, m] the law's matrix, raw."""

    def least_round(self, problem: Problem) -> int:
        return max(1, self.measure_steps)

    def resolve(self, problem: Problem, round_steps: int) -> Self:
        return self

    def check(self, problem: Problem, round_steps: int) -> None:
        """Refuse measurements that do not fit a round.

        Raises:
            InputError: a round shorter than the measurement.
        """
        if self.measure_steps > round_steps:
            raise InputError(
                f"the signal is averaged over {self.measure_steps} steps, a round has {round_steps}: lower "
                "measure_steps, or raise round_steps"
            )

    def begin(self, problem: Problem, round: int, previous: MeasuredState | None) -> MeasuredState:
        if previous is None:
            unknown = np.full((self.rows(problem), problem.m), np.nan)
            return MeasuredState(unknown, np.full(problem.n, np.nan), 1)
        return previous._replace(pending=1)

    def request(self, problem: Problem, state: MeasuredState, proportions: Array) -> Request | None:
        phase = "train" if self.measure_steps else "measure"
        return Request(proportions, self.measure_steps, self.needs, phase) if state.pending else None

    def update(self, problem: Problem, state: MeasuredState, seen: Observation) -> MeasuredState:
        fresh = self.read(problem, seen)
        losses = seen.values.get(Signal.VALIDATION_LOSS, state.losses)
        return MeasuredState(np.where(np.isnan(fresh), state.values, fresh), losses, 0)

    def losses(self, state: MeasuredState) -> Array:
        return state.losses

    def regroup(self, change: Regroup, state: MeasuredState) -> MeasuredState:
        values = change.groups(state.values)
        if self.rows(change.old) == change.old.n:
            values = change.targets(values)
        return MeasuredState(values, change.targets(state.losses), state.pending)
