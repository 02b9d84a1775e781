"""Online Data Mixing: groups as the arms of an adversarial bandit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.simplex import softmax

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
        memory: weight of the past in the rewards.
        warmup_steps: steps on equal proportions before the first update.

    Raises:
        InputError: memory outside [0, 1), or a negative warm-up.

    References:
        arXiv 2312.02406, Algorithm 1.
    Departures:
        This is the paper's rule. The released class drops the importance weight, takes exp(r_j) as the
        reward and makes p linear in R. R_j tends to r_j / p_j, not r_j: rare groups are pushed up.
        m counts the groups that have data.
    """

    memory: float = 0.9
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise InputError(f"memory must be in [0, 1), got {self.memory}")
        if self.warmup_steps < 0:
            raise InputError(f"warmup_steps must be at least 0, got {self.warmup_steps}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.TRAIN_LOSS})

    def init(self, problem: Problem) -> OdmState:
        return OdmState(0, np.zeros(problem.m), 1 / int(problem.available.sum()), problem.uniform)

    def request(self, problem: Problem, state: OdmState) -> Request:
        left = problem.total_steps - state.step
        if state.step < self.warmup_steps:
            return Request(state.proportions, min(left, self.warmup_steps - state.step), phase="warmup")
        return Request(state.proportions, 1, self.needs)

    def update(self, problem: Problem, state: OdmState, seen: Observation) -> OdmState:
        if Signal.TRAIN_LOSS not in seen.values:
            return state._replace(step=seen.step)
        arms = int(problem.available.sum())
        loss, p = seen.values[Signal.TRAIN_LOSS], state.proportions
        with np.errstate(divide="ignore", invalid="ignore"):
            fresh = self.memory * state.reward + (1 - self.memory) * loss / p
        reward = np.where(np.isnan(loss) | (p == 0), state.reward, fresh)
        exploration = min(1 / arms, float(np.sqrt(np.log(arms) / (arms * seen.step))))
        logits = np.where(problem.available, state.exploration * reward, -np.inf)
        mixed = (1 - arms * exploration) * softmax(logits) + exploration * problem.available
        return OdmState(seen.step, reward, exploration, mixed / mixed.sum())
