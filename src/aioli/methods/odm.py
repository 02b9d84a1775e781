"""Online Data Mixing: groups as the arms of an adversarial bandit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.methods.static import Static
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup, filled
from aioli.simplex import normalise, softmax

__all__ = ["Odm", "OdmState"]


class OdmState(NamedTuple):
    """reward [m]: running importance-weighted losses; exploration: the rate of the last update."""

    step: int
    reward: Array
    exploration: float
    proportions: Array


@dataclass(frozen=True)
class Odm:
    """EXP3 on the training loss: groups that are still hard are drawn more, with a floor for all.

    After each step t past warm-up, for the groups drawn:
    R_j <- memory R_j + (1 - memory) r_j / p_j, with r_j the mean training loss; then
    p = (1 - m e_t) softmax(e_{t-1} R) + e_t, with e_t = min(1/m, sqrt(ln m / (m t))).

    Args:
        memory: weight of the past in the rewards; not used by the form "cumulative".
        warmup_steps: steps on the prior before the first update.
        prior: proportions to begin with, by name or in order; None: equal. A group at 0 is never drawn.
        form: "paper" as above. "linear": R_j <- memory R_j + (1 - memory) exp(r_j) and
            p = (1 - m e_t) R / sum R + e_t. "cumulative": R_j <- R_j + r_j / (10 p_j), with the paper's p.

    Raises:
        InputError: memory outside [0, 1), a negative warm-up, or an unknown form.

    References:
        arXiv 2312.02406, Algorithm 1; alon-albalak/online-data-mixing.
    Departures:
        The default is the paper's rule. The release has two others: the class that its README gives for the
        paper's method is "linear", another is "cumulative". In the paper's rule R_j tends to r_j / p_j, not
        r_j: rare groups are pushed up. The release warms up for 2000 steps; here the default is none.
        m counts the groups that can be drawn.
    """

    memory: float = 0.9
    warmup_steps: int = 0
    prior: Mapping[str, float] | tuple[float, ...] | None = None
    form: Literal["paper", "linear", "cumulative"] = "paper"

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise InputError(f"memory must be in [0, 1), got {self.memory}")
        if self.warmup_steps < 0:
            raise InputError(f"warmup_steps must be at least 0, got {self.warmup_steps}")
        if self.form not in ("paper", "linear", "cumulative"):
            raise InputError(f"form must be 'paper', 'linear' or 'cumulative', got {self.form!r}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.TRAIN_LOSS})

    def init(self, problem: Problem) -> OdmState:
        prior = self._prior(problem)
        return OdmState(0, np.zeros(problem.m), 1 / int((prior > 0).sum()), prior)

    def request(self, problem: Problem, state: OdmState) -> Request:
        left = problem.total_steps - state.step
        if state.step < self.warmup_steps:
            return Request(state.proportions, min(left, self.warmup_steps - state.step), phase="warmup")
        return Request(state.proportions, 1, self.needs)

    def update(self, problem: Problem, state: OdmState, seen: Observation) -> OdmState:
        if Signal.TRAIN_LOSS not in seen.values:
            return state._replace(step=seen.step)
        drawable = self._prior(problem) > 0
        arms = int(drawable.sum())
        reward = self._rewards(state, seen.values[Signal.TRAIN_LOSS])
        exploration = min(1 / arms, float(np.sqrt(np.log(arms) / (arms * seen.step))))
        if self.form == "linear":
            exploited = normalise(reward) if reward.sum() > 0 else drawable / arms
        else:
            exploited = softmax(np.where(drawable, state.exploration * reward, -np.inf))
        mixed = (1 - arms * exploration) * exploited + exploration * drawable
        return OdmState(seen.step, reward, exploration, normalise(mixed))

    def _rewards(self, state: OdmState, loss: Array) -> Array:
        """[m] the rewards after a step; those of groups that were not drawn stay."""
        p, memory = state.proportions, self.memory
        drawn = ~np.isnan(loss) & (p > 0)
        loss, p = np.where(drawn, loss, 0.0), np.where(drawn, p, 1.0)
        if self.form == "paper":
            fresh = memory * state.reward + (1 - memory) * loss / p
        elif self.form == "linear":
            fresh = memory * state.reward + (1 - memory) * np.exp(loss)
        else:
            fresh = state.reward + loss / (10 * p)
        return np.where(drawn, fresh, state.reward)

    def _prior(self, problem: Problem) -> Array:
        return problem.uniform if self.prior is None else Static(self.prior).mixture(problem)

    def regroup(self, change: Regroup, state: OdmState) -> OdmState:
        reward = filled(change.groups(state.reward))
        return state._replace(reward=reward, proportions=change.proportions(state.proportions))
