"""Linear Mixing Optimization: law x estimator x solver, in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from aioli.constraints import Limits
from aioli.contract import check_part
from aioli.errors import InputError
from aioli.objectives import get_objective, objective_of
from aioli.protocol import Array, Estimator, Law, Observation, Problem, Request, Signal, Solver
from aioli.regroup import Regroup, Regroupable
from aioli.simplex import as_proportions

__all__ = ["Lmo", "LmoState"]

ROUNDS = 20
"""Rounds that an automatic `round_steps` aims at."""


class LmoState(NamedTuple):
    """`stage` is "opening", "estimate", "train" (rest of a round) or "final".

    proportions [m] in force; matrix [n, m] of the last estimate, raw, NaN before the first;
    drawn [m] sequences of each group so far.
    """

    step: int
    stage: str
    round: int
    round_start: int
    proportions: Array
    matrix: Array
    estimator: Any
    solver: Any
    drawn: Array = np.zeros(0)


@dataclass(frozen=True)
class Lmo:
    """A round measures the law's matrix, moves the proportions, and trains its rest on them.

    Args:
        law, estimator, solver: the three parts.
        round_steps: steps of a round; None: a twentieth of the run after its opening, longer when the
            estimator needs it.
        rounds: estimates to make, after which the proportions stay; None: as many as fit.
        prior: proportions to start from, by name or in order; None: equal.
        prior_steps: steps to train on the prior before the first estimate (the restricted setting).
            An estimator that measures in the run waits for the end of learning-rate warm-up, too.
        restart: whether the first update starts from the prior or from equal proportions.
        objective: name of the objective whose gradient weighs the targets; None: the problem's.

    Raises:
        InputError: settings out of range or that do not fit the problem.

    References:
        arXiv 2411.05735: the framework, and Algorithm 1 for the order of a round.
    Departures:
        A last round shorter than `round_steps` trains on the proportions in force, without an estimate.
        Target weights follow the objective's gradient at the last measured losses, rescaled to sum to
        n; for the mean loss (the paper's objective) they are constant.
        After every step the proportions are projected onto the problem's constraints, so that steps do not
        add up beyond a cap, a floor or `max_change`.
    """

    law: Law
    estimator: Estimator[Any]
    solver: Solver[Any]
    round_steps: int | None = None
    rounds: int | None = None
    prior: Mapping[str, float] | tuple[float, ...] | None = None
    prior_steps: int = 0
    restart: Literal["prior", "uniform"] = "prior"
    objective: str | None = None

    def __post_init__(self) -> None:
        for kind, part in ((Law, self.law), (Estimator, self.estimator), (Solver, self.solver)):
            check_part(kind, part)
        for name, least in (("round_steps", 1), ("rounds", 1), ("prior_steps", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if self.restart not in ("prior", "uniform"):
            raise InputError(f"restart must be 'prior' or 'uniform', got {self.restart!r}")
        if self.objective is not None:
            get_objective(self.objective)

    @property
    def needs(self) -> frozenset[str]:
        return self.estimator.needs

    def init(self, problem: Problem) -> LmoState:
        prior = self._prior(problem)
        self._check_objective(problem)
        self.estimator.check(problem, self.round_length(problem))
        estimator, round_steps = self._estimator(problem), self.round_length(problem)
        if self._opening(problem) + round_steps > problem.total_steps:
            raise InputError(
                f"the run has {problem.total_steps} steps, of which {self._opening(problem)} open it "
                f"(warm-up or prior): no room for one round of {round_steps}; lower round_steps, or use "
                "a method that does not measure"
            )
        state = LmoState(
            0,
            "opening",
            0,
            0,
            prior,
            np.full((problem.n, problem.m), np.nan),
            estimator.begin(problem, 0, None),
            self.solver.init(problem, prior if self.restart == "prior" else problem.uniform),
            np.zeros(problem.m),
        )
        return self._next_stage(problem, state)

    def request(self, problem: Problem, state: LmoState) -> Request:
        left = problem.total_steps - state.step
        if state.stage == "opening":
            phase = "prior" if self.prior_steps > state.step else "warmup"
            return Request(state.proportions, min(self._opening(problem) - state.step, left), phase=phase)
        if state.stage == "estimate":
            asked = self._estimator(problem).request(problem, state.estimator, state.proportions)
            assert asked is not None
            return asked
        if state.stage == "train":
            left = min(left, state.round_start + self.round_length(problem) - state.step)
        return Request(state.proportions, left)

    def update(self, problem: Problem, state: LmoState, seen: Observation) -> LmoState:
        state = state._replace(step=seen.step, drawn=state.drawn + seen.drawn)
        if state.stage == "estimate":
            estimate = self._estimator(problem).update(problem, state.estimator, seen)
            state = state._replace(estimator=estimate)
        return self._next_stage(problem, state)

    def regroup(self, change: Regroup, state: LmoState) -> LmoState:
        """Proportions and matrices are carried over, and a new round begins, unless there was to be no other.

        An estimate that the change cuts short begins anew.
        """
        problem, parts = change.new, (self._estimator(change.new), self.solver)
        estimator, solver = (part.regroup if isinstance(part, Regroupable) else None for part in parts)
        proportions = change.proportions(state.proportions)
        state = state._replace(
            step=change.step,
            proportions=proportions,
            matrix=change.matrix(state.matrix),
            estimator=estimator(change, state.estimator) if estimator else None,
            solver=solver(change, state.solver) if solver else self.solver.init(problem, proportions),
            drawn=change.counts(state.drawn),
        )
        if state.stage == "opening":
            begun = self._estimator(problem).begin(problem, 0, state.estimator)
            return self._next_stage(problem, state._replace(estimator=begun))
        if state.stage == "final":
            return state
        return self._begin_round(problem, state, state.round + (state.stage == "train"))

    def _next_stage(self, problem: Problem, state: LmoState) -> LmoState:
        """Move on when the current stage is complete."""
        if state.stage == "opening" and state.step >= self._opening(problem):
            proportions = state.proportions if self.restart == "prior" else problem.uniform
            return self._begin_round(problem, state._replace(proportions=proportions), 0)
        if state.stage == "estimate":
            estimator = self._estimator(problem)
            if estimator.request(problem, state.estimator, state.proportions) is None:
                state = self._solve(problem, state)
        if state.stage == "train" and state.step >= state.round_start + self.round_length(problem):
            return self._begin_round(problem, state, state.round + 1)
        return state

    def _begin_round(self, problem: Problem, state: LmoState, number: int) -> LmoState:
        enough = problem.total_steps - state.step >= self.round_length(problem)
        if not enough or (self.rounds is not None and number >= self.rounds):
            return state._replace(stage="final")
        estimate = self._estimator(problem).begin(problem, number, state.estimator)
        state = state._replace(stage="estimate", round=number, round_start=state.step, estimator=estimate)
        return self._next_stage(problem, state)

    def _solve(self, problem: Problem, state: LmoState) -> LmoState:
        estimator = self._estimator(problem)
        matrix = estimator.matrix(problem, state.estimator)
        if np.isnan(matrix).all():
            return state._replace(stage="train")
        objective = objective_of(problem, self.objective)
        weights = objective.gradient(estimator.losses(state.estimator), problem.weights) * problem.n
        now = state.proportions
        solver, p = self.solver.step(problem, state.solver, self.law, now, matrix, weights)
        if problem.constraints:
            p = Limits.of(problem).restrict(p, state.step, state.drawn, now)
        return state._replace(stage="train", proportions=p, matrix=matrix, solver=solver)

    def _check_objective(self, problem: Problem) -> None:
        """Refuse weights that follow the losses with an estimator that does not read them."""
        objective = objective_of(problem, self.objective)
        steady = objective.tau == np.inf and not objective.excess
        if not steady and Signal.VALIDATION_LOSS not in self.needs:
            raise InputError(
                f"the objective {objective.name} weighs the targets by their losses, which "
                f"{type(self.estimator).__name__} does not read: set the method's objective to mean_loss, or "
                "take an estimator that reads them, such as probes or alignment"
            )

    def _prior(self, problem: Problem) -> Array:
        if self.prior is None:
            return problem.uniform
        p = as_proportions(self.prior, problem.groups)
        if p[~problem.available].any():
            raise InputError("the prior gives weight to a group without data; give it proportion 0")
        return p

    def _opening(self, problem: Problem) -> int:
        return max(self.prior_steps, problem.warmup_steps if self.estimator.waits else 0)

    def round_length(self, problem: Problem) -> int:
        """Steps of a round in this run."""
        if self.round_steps is not None:
            return self.round_steps
        automatic = (problem.total_steps - self._opening(problem)) // ROUNDS
        return max(automatic, self.estimator.least_round(problem))

    def _estimator(self, problem: Problem) -> Estimator[Any]:
        return self.estimator.resolve(problem, self.round_length(problem))
