"""Closed-form worlds: training runs whose losses follow a known law, so that the best mixture is known.

They drive a real `Mixer` with exact measurements of every signal, take microseconds a step, and are what
the conformance suite and the methods' own tests run on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aioli.mixer import Mixer
from aioli.protocol import Array, Problem, Signal
from aioli.signals import find_signal
from aioli.simplex import apportion

__all__ = ["Bowls", "DecayWorld", "GradientWorld", "LinearWorld", "World", "run", "tell"]

SPREAD = 0.1
"""Half of a group's tokens have so many nats more excess than its mean, the other half so many less."""
UPCOMING = (Signal.GRADIENT_VARIANCE, Signal.DIRECTIONAL)


@dataclass
class World(ABC):
    """Target losses as a function of what was trained.

    Signals read the world as it is when they are measured; those on batches are NaN for groups that the
    segment (in a peek: the batch due next) did not draw, those on sequences due next for groups without data.

    Attributes:
        problem: the run. batch: sequences a step.
        trained: [m] sequences trained so far, weighted as the steps' losses were.
        owed: [m] what rounding to whole sequences still owes each group.
        reference: [m] loss of the frozen reference model on each group.
    """

    problem: Problem
    batch: int
    trained: Array = field(init=False)
    owed: Array = field(init=False)
    reference: Array = field(init=False)

    def __post_init__(self) -> None:
        self.trained = np.zeros(self.problem.m)
        self.owed = np.zeros(self.problem.m)
        self.reference = 0.8 * self.group_losses()

    @abstractmethod
    def losses(self) -> Array:
        """[n] losses of the targets now."""

    @abstractmethod
    def falls(self) -> Array:
        """[n, m] fall of each target's loss per unit of training on each group, now."""

    def group_losses(self) -> Array:
        """[m] losses of the groups' training data: those of the targets, or their mean if they differ."""
        losses = self.losses()
        return losses if self.problem.targets_are_groups else np.full(self.problem.m, losses.mean())

    def norms(self) -> Array:
        """[m] norms of the groups' gradients."""
        return np.sqrt((self.falls() ** 2).sum(axis=0))

    def variances(self) -> Array:
        """[m] traces of the covariances of the groups' per-sequence gradients."""
        return self.group_losses() ** 2

    @property
    def learning_rate(self) -> float:
        return 1e-3

    def due(self, proportions: Array) -> Array:
        """[m] sequences of the batch that a step on these proportions trains next."""
        return apportion(proportions, self.batch, self.owed)

    def draw(self, proportions: Array, loss_weights: Array | None = None) -> Array:
        """Train one step: whole sequences [m], nearest to the proportions over time."""
        drawn = self.due(proportions)
        self.owed = np.where(proportions > 0, self.owed + proportions * self.batch - drawn, 0.0)
        shares = drawn / self.batch if loss_weights is None else loss_weights * (drawn > 0)
        self.step(drawn, shares)
        return drawn

    def step(self, drawn: Array, shares: Array) -> None:
        """Move on by a step whose loss is sum_j shares_j x (mean loss of group j)."""
        self.trained = self.trained + self.batch * shares

    def measure(
        self, observe: frozenset[str], drawn: Array, proportions: Array | None = None
    ) -> dict[str, Array]:
        """What a loop would report of a segment that drew `drawn` [m]; for a peek, of the batch due."""
        if not drawn.any():
            drawn = self.problem.available if proportions is None else self.due(proportions)
        return {name: self.signal(name, drawn) for name in observe}

    def signal(self, name: str, drawn: Array) -> Array:
        """One signal now; of a package's own signal, numbers of the right shape."""
        if name == Signal.VALIDATION_LOSS:
            return self.losses()
        if name == Signal.VALIDATION_ERROR:
            return np.zeros(self.problem.n)
        if name in BUILT_IN:
            seen = self.problem.available if name in UPCOMING else drawn > 0
            return np.where(seen, BUILT_IN[name](self), np.nan)
        axes = find_signal(name).axes
        if set(axes) == {"target", "group"}:
            return self.falls() if axes[0] == "target" else self.falls().T
        return self.losses() if axes == ("target",) else self.group_losses()

    def excess(self) -> Array:
        """[m] mean over a group's tokens of max(loss - reference loss, 0)."""
        excess = self.group_losses() - self.reference
        return (np.maximum(excess + SPREAD, 0) + np.maximum(excess - SPREAD, 0)) / 2


BUILT_IN: dict[str, Callable[[World], Array]] = {
    Signal.TRAIN_LOSS: lambda world: world.group_losses(),
    Signal.EXCESS_LOSS: World.excess,
    Signal.REFERENCE_LOSS: lambda world: world.reference,
    Signal.GRADIENT_ALIGNMENT: lambda world: world.falls(),
    Signal.GRADIENT_NORM: lambda world: world.norms(),
    Signal.GRADIENT_VARIANCE: lambda world: world.variances(),
    Signal.DIRECTIONAL: lambda world: world.problem.weights @ world.falls(),
}


@dataclass
class LinearWorld(World):
    """L_i = start_i - sum_j A_ij s_j, s_j the share of the whole run trained on group j.

    The best mixture for weights w is all of argmax_j sum_i w_i A_ij.
    """

    start: Array
    matrix: Array

    def losses(self) -> Array:
        return self.start - self.matrix @ (self.trained / (self.batch * self.problem.total_steps))

    def falls(self) -> Array:
        return self.matrix


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

    def falls(self) -> Array:
        return np.diag(self.rate * (self.losses() - self.floor))

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


class Bowls(NamedTuple):
    """k losses, loss_k = floor_k + 1/2 sum_d curvature_kd (theta_d - centre_kd)^2; arrays [k, d] and [k]."""

    centre: Array
    curvature: Array
    floor: Array

    def losses(self, theta: Array) -> Array:
        return self.floor + 0.5 * (self.curvature * (theta - self.centre) ** 2).sum(axis=1)

    def gradients(self, theta: Array) -> Array:
        return self.curvature * (theta - self.centre)


@dataclass
class GradientWorld(World):
    """A model of d parameters, trained by (weighted) gradient steps on quadratic group losses.

    Every signal is exact, and those on batches are means over the segment's batches, each at the parameters
    before its step. Steps follow the mean gradients; `noise` only says how much sequences would scatter.

    Attributes:
        data: losses of the groups. held_out: of the targets; None: the groups' own.
        start: [d] parameters before the first step. theta: [d] now. rate: step size.
        noise: [m] standard deviation of a group's per-sequence gradients.
    """

    data: Bowls
    start: Array
    noise: Array
    rate: float = 0.05
    held_out: Bowls | None = None
    theta: Array = field(init=False)
    path: list[tuple[Array, Array]] = field(init=False)

    def __post_init__(self) -> None:
        self.theta, self.path = self.start.copy(), []
        super().__post_init__()

    @property
    def learning_rate(self) -> float:
        return self.rate

    @property
    def targets(self) -> Bowls:
        return self.held_out or self.data

    def losses(self) -> Array:
        return self.targets.losses(self.theta)

    def group_losses(self) -> Array:
        return self.data.losses(self.theta)

    def gradients(self) -> Array:
        """[m, d] gradients of the groups' losses."""
        return self.data.gradients(self.theta)

    def falls(self) -> Array:
        return self.targets.gradients(self.theta) @ self.gradients().T

    def norms(self) -> Array:
        return np.sqrt((self.gradients() ** 2).sum(axis=1))

    def variances(self) -> Array:
        return self.noise**2

    def step(self, drawn: Array, shares: Array) -> None:
        super().step(drawn, shares)
        self.path.append((self.theta, drawn))
        self.theta = self.theta - self.rate * shares @ self.gradients()

    def measure(
        self, observe: frozenset[str], drawn: Array, proportions: Array | None = None
    ) -> dict[str, Array]:
        path, now, self.path = self.path, self.theta, []
        values = super().measure(observe, drawn, proportions)
        if not drawn.any():
            return values
        for name in observe & (set(BUILT_IN) - set(UPCOMING)):
            counts, total = np.zeros(self.problem.m), 0.0
            for self.theta, batch in path:
                counts, total = counts + batch, total + batch * BUILT_IN[name](self)
            values[name] = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
        self.theta = now
        return values


def tell(mixer: Mixer, world: World) -> None:
    """End the mixer's segment with what the world measures."""
    request = mixer.request
    values = world.measure(request.observe, mixer.segment_drawn, request.proportions)
    mixer.tell(values, world.learning_rate)


def run(mixer: Mixer, world: World, stop: Callable[[Mixer], bool] | None = None) -> Mixer:
    """Train a world to the end of the mixer's run, or until `stop` says so after a step."""
    while not mixer.done:
        request = mixer.request
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions, request.loss_weights))
            if stop is not None and stop(mixer):
                return mixer
        tell(mixer, world)
    return mixer
