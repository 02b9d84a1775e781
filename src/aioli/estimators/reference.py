"""DoReMi's estimate: how far each group's tokens are above a reference model's losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aioli.errors import InputError
from aioli.estimators.measured import Measured, MeasuredState
from aioli.protocol import Array, Observation, Problem, Signal

__all__ = ["ExcessOverReference"]


@dataclass(frozen=True)
class ExcessOverReference(Measured):
    """A = diag(lambda_j), lambda_j the mean over group j's tokens of max(loss - reference loss, 0).

    A group that was not drawn keeps its last score, and scores 0 before its first.

    Raises:
        InputError: targets that are not the groups: the excess of a group says nothing about other targets.

    References:
        arXiv 2305.10429, Algorithm 1; arXiv 2411.05735 for the diagonal form.
    Departures:
        The released code starts every score at the log of the vocabulary's size, so a group that has not
        been drawn yet grows.
    """

    waits: ClassVar[bool] = False

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.EXCESS_LOSS})

    def rows(self, problem: Problem) -> int:
        return 1

    def check(self, problem: Problem, round_steps: int) -> None:
        super().check(problem, round_steps)
        if not problem.targets_are_groups:
            raise InputError(
                "excess over a reference is measured on the training groups and says nothing about other "
                f"targets ({', '.join(problem.targets)}): take an estimator that reads the targets, such as "
                "probes, alignment or directional"
            )

    def read(self, problem: Problem, seen: Observation) -> Array:
        return seen.values[Signal.EXCESS_LOSS][None]

    def matrix(self, problem: Problem, state: MeasuredState) -> Array:
        return np.diag(np.nan_to_num(state.values[0], nan=0.0))
