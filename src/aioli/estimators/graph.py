"""Skill-It's estimate: a fixed graph of how groups help targets, scaled by the current losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup, filled

__all__ = ["Graph", "GraphState"]


class GraphState(NamedTuple):
    """`window` [k, n]: the last losses, newest last; `pending` is 1 while this round's are not measured."""

    window: Array
    pending: int


@dataclass(frozen=True)
class Graph:
    """A_ij = graph_ij times the sum of target i's last `window` validation losses.

    Before anything is measured the losses are taken as ones, so the first mixture follows the graph
    alone. Afterwards one measurement opens every round.

    Args:
        graph: [n, m] relative falls (L_i before - L_i after) / L_i before of target i when training on
            group j alone, from m one-hot runs; given as rows.
        window: rounds of losses to sum (sum what exists, not their mean).

    Raises:
        InputError: a graph that is not rectangular and finite, or does not fit the problem.

    References:
        arXiv 2307.14430, Algorithm 1 (online); HazyResearch/skill-it.
    Departures:
        From the released code: one loss vector enters the window every round (there, at checkpoints),
        the window is always a sum, and entries equal to 1 are left alone.
    """

    graph: tuple[tuple[float, ...], ...]
    window: int = 3
    waits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        try:
            values = np.array(self.graph, dtype=np.float64)
        except ValueError:
            raise InputError("the graph needs rows of equal length, one a target") from None
        if values.ndim != 2 or not np.isfinite(values).all():
            raise InputError(f"the graph must be a finite matrix [targets, groups], got shape {values.shape}")
        if self.window < 1:
            raise InputError(f"window must be at least 1 round, got {self.window}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.VALIDATION_LOSS})

    def least_round(self, problem: Problem) -> int:
        return 1

    def resolve(self, problem: Problem, round_steps: int) -> Graph:
        return self

    def check(self, problem: Problem, round_steps: int) -> None:
        """Refuse a graph of another size.

        Raises:
            InputError: rows or columns that do not match targets and groups.
        """
        shape = np.shape(self.graph)
        if shape != (problem.n, problem.m):
            raise InputError(
                f"the graph has {shape[0]} rows and {shape[1]} columns; the run has {problem.n} targets "
                f"(rows) and {problem.m} groups (columns)"
            )

    def begin(self, problem: Problem, round: int, previous: GraphState | None) -> GraphState:
        if previous is None or round == 0:
            return GraphState(np.zeros((0, problem.n)), 0)
        return previous._replace(pending=1)

    def request(self, problem: Problem, state: GraphState, proportions: Array) -> Request | None:
        return Request(proportions, 0, self.needs, "measure") if state.pending else None

    def update(self, problem: Problem, state: GraphState, seen: Observation) -> GraphState:
        window = np.vstack([state.window, seen.values[Signal.VALIDATION_LOSS]])[-self.window :]
        return GraphState(window, 0)

    def matrix(self, problem: Problem, state: GraphState) -> Array:
        losses = state.window.sum(axis=0) if len(state.window) else np.ones(problem.n)
        return np.array(self.graph) * losses[:, None]

    def losses(self, state: GraphState) -> Array:
        return state.window[-1:].sum(axis=0)

    def regroup(self, change: Regroup, state: GraphState) -> GraphState:
        """Losses in the window are inherited; a new target has the mean of the others."""
        return state._replace(window=filled(change.targets(state.window.T).T))
