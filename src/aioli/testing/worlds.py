"""Closed-form worlds: training runs whose losses follow a known law, so that the best mixture is known.

They drive a real `Mixer` with exact measurements, take microseconds a step, and are what the
conformance suite and the methods' own tests run on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from aioli.mixer import Mixer
from aioli.protocol import Array, Problem, Signal
from aioli.simplex import apportion

__all__ = ["DecayWorld", "LinearWorld", "World", "run"]


@dataclass
class World(ABC):
    """Target losses as a function of how many sequences of each group were trained.

    Attributes:
        problem: the run. batch: sequences a step.
        trained: [m] sequences trained so far.
        owed: [m] what rounding to whole sequences still owes each group.
    """

    problem: Problem
    batch: int
    trained: Array = field(init=False)
    owed: Array = field(init=False)

    def __post_init__(self) -> None:
        self.trained = np.zeros(self.problem.m)
        self.owed = np.zeros(self.problem.m)

    @abstractmethod
    def losses(self) -> Array:
        """[n] losses of the targets now."""

    def draw(self, proportions: Array) -> Array:
        """Train one step: whole sequences [m], nearest to the proportions over time."""
        drawn = apportion(proportions, self.batch, self.owed)
        self.owed = np.where(proportions > 0, self.owed + proportions * self.batch - drawn, 0.0)
        self.trained = self.trained + drawn
        return drawn

    def measure(self, observe: frozenset[str], drawn: Array) -> dict[str, Array]:
        losses = self.losses()
        values: dict[str, Array] = {
            Signal.VALIDATION_LOSS: losses,
            Signal.VALIDATION_ERROR: np.zeros(self.problem.n),
        }
        if Signal.TRAIN_LOSS in observe:
            values[Signal.TRAIN_LOSS] = np.where(drawn > 0, losses, np.nan)
        return {signal: values[signal] for signal in observe}


@dataclass
class LinearWorld(World):
    """L_i = start_i - sum_j A_ij s_j, s_j the share of the whole run trained on group j.

    The best mixture for weights w is all of argmax_j sum_i w_i A_ij.
    """

    start: Array
    matrix: Array

    def losses(self) -> Array:
        return self.start - self.matrix @ (self.trained / (self.batch * self.problem.total_steps))


@dataclass
class DecayWorld(World):
    """L_i = floor_i + gap_i exp(-rate_i s_i), s_i the share of the whole run trained on group i.

    Minimising the mean loss is water-filling: all groups in use end with equal rate_i gap_i
    exp(-rate_i s_i), so `optimum` has a closed form up to one scalar.
    """

    floor: Array
    gap: Array
    rate: Array

    def losses(self) -> Array:
        share = self.trained / (self.batch * self.problem.total_steps)
        return self.floor + self.gap * np.exp(-self.rate * share)

    def optimum(self) -> Array:
        """[m] the best static mixture for the mean loss, by bisection on the common slope."""
        slope = self.rate * self.gap

        def shares(level: float) -> Array:
            return np.maximum(np.log(slope / level), 0) / self.rate

        low, high = 1e-12, float(slope.max())
        for _ in range(200):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if shares(middle).sum() > 1 else (low, middle)
        return shares(high) / shares(high).sum()

    def loss_of(self, mixture: Array) -> float:
        """Mean loss at the end of a run on one static mixture."""
        return float(np.mean(self.floor + self.gap * np.exp(-self.rate * mixture)))


def run(mixer: Mixer, world: World, stop: Callable[[Mixer], bool] | None = None) -> Mixer:
    """Train a world to the end of the mixer's run, or until `stop` says so after a step."""
    while not mixer.done:
        request = mixer.request
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions))
            if stop is not None and stop(mixer):
                return mixer
        mixer.tell(world.measure(request.observe, mixer.segment_drawn))
    return mixer
