"""Short blocks of ordinary training on mixtures around the current one, regressed with forgetting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from aioli.constraints import free_groups
from aioli.errors import InputError
from aioli.protocol import Array, Observation, Problem, Request, Signal

__all__ = ["Blocks", "BlocksState"]

AUTO_SHARE = 0.5
"""Share of a round that blocks of automatic length take."""


class BlocksState(NamedTuple):
    """Within a round: `position` -1 before the first measurement, then the number of blocks done.

    losses [n]: last measured. first_mixture [m], first_gain [n]: of a pair's first block.
    gram [m, m], moments [n, m]: sums over pairs, forgetting, of x x^T and y x^T, x the difference of a
    pair's mixtures and y that of its falls. pooled: sum of the pairs' weights; gain [n], mixture [m]: the
    mean fall and mixture of a block in the same weights, times `pooled`.
    """

    round: int
    position: int
    losses: Array
    first_mixture: Array
    first_gain: Array
    gram: Array
    moments: Array
    pooled: float
    gain: Array
    mixture: Array


@dataclass(frozen=True)
class Blocks:
    """Measure the matrix from pairs of blocks that raise half of the groups, then the other half.

    A block trains `block_steps` steps on p_j (1 + spread) for a random half of the groups and
    p_j (1 - spread) for the others, normalised; the second of a pair swaps the halves. Target losses are
    measured before the first and after every block. With x and y the differences of a pair's REALISED
    mixtures and falls, in which the trend common to both blocks cancels,

        C = (sum_t w_t y_t x_t^T) (sum_t w_t x_t x_t^T + r I)^-1,    A = (d - C q) 1^T + C,

    w_t = memory^(pairs since), d and q the mean fall and mixture of a block in these weights. Statistics last
    from round to round, so that a round of few pairs suffices, however many groups there are.

    Args:
        pairs: of a round. block_steps: None: half of the round, shared by its blocks.
        spread: relative change of a group's share. memory: weight of a pair when the next is added.
        ridge: r in units of the mean of the Gram matrix's non-zero eigenvalues; it pulls contrasts that the
            pairs hardly tell apart to 0.

    Raises:
        InputError: sizes below 1, spread, memory or ridge out of range, or blocks longer than a round.

    Departures:
        Not a published estimator; it measures over as many steps as a block has, where probes of a few steps
        see the next few only. What a block still does to the next one is not modelled.
        A group with a fixed proportion keeps it in every block.
    """

    pairs: int = 2
    block_steps: int | None = None
    spread: float = 0.4
    memory: float = 0.9
    ridge: float = 0.1
    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("pairs", "block_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if not 0 < self.spread < 1:
            raise InputError(f"spread, the relative change of a share, must be in (0, 1), got {self.spread}")
        if not 0 < self.memory <= 1:
            raise InputError(
                f"memory, the weight kept of earlier pairs, must be in (0, 1], got {self.memory}"
            )
        if not 0 <= self.ridge < np.inf:
            raise InputError(f"ridge must be at least 0, got {self.ridge}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.VALIDATION_LOSS})

    def least_round(self, problem: Problem) -> int:
        """Steps a round must have for its blocks to take their share."""
        return int(np.ceil(2 * self.pairs * (self.block_steps or 1) / AUTO_SHARE))

    def resolve(self, problem: Problem, round_steps: int) -> Blocks:
        """Fill in the length of blocks for rounds of `round_steps` steps."""
        fitting = int(AUTO_SHARE * round_steps // (2 * self.pairs))
        return replace(self, block_steps=self.block_steps or max(1, fitting))

    def check(self, problem: Problem, round_steps: int) -> None:
        """Refuse blocks that do not fit a round.

        Raises:
            InputError: blocks that take more steps than a round has.
        """
        steps = self.resolve(problem, round_steps).block_steps
        assert steps is not None
        if 2 * self.pairs * steps > round_steps:
            raise InputError(
                f"{self.pairs} pairs of blocks of {steps} steps take {2 * self.pairs * steps} steps, a round "
                f"has {round_steps}: lower pairs or block_steps, or raise round_steps"
            )

    def begin(self, problem: Problem, round: int, previous: BlocksState | None) -> BlocksState:
        """The state at the start of a round; the statistics of earlier ones are kept."""
        if previous is not None:
            return previous._replace(round=round, position=-1)
        n, m = problem.n, problem.m
        unknown, none = np.full(n, np.nan), np.zeros(m)
        empty = np.zeros((m, m)), np.zeros((n, m))
        return BlocksState(round, -1, unknown, none, np.zeros(n), *empty, 0.0, np.zeros(n), none)

    def request(self, problem: Problem, state: BlocksState, proportions: Array) -> Request | None:
        """The next measurement or block, or None when the round's matrix is ready."""
        assert self.block_steps is not None
        if state.position < 0:
            return Request(proportions, 0, self.needs, "measure")
        if state.position >= 2 * self.pairs or not free_groups(problem).any():
            return None
        return Request(self.block_mixture(problem, state, proportions), self.block_steps, self.needs, "probe")

    def block_mixture(self, problem: Problem, state: BlocksState, proportions: Array) -> Array:
        """The nominal mixture [m] of the block at the state's position, around the proportions in force."""
        pair, second = divmod(state.position, 2)
        free = free_groups(problem)
        names = tuple(name for name, usable in zip(problem.groups, free, strict=True) if usable)
        raised = np.zeros(problem.m, dtype=bool)
        raised[free] = raised_first(problem.seed, state.round, pair, names)
        shares = np.where(raised != bool(second), 1 + self.spread, 1 - self.spread) * proportions
        total, rest = float(shares[free].sum()), float(proportions[free].sum())
        if total <= 0:
            return proportions
        return np.where(free, shares * (rest / total), proportions)

    def update(self, problem: Problem, state: BlocksState, seen: Observation) -> BlocksState:
        losses = seen.values[Signal.VALIDATION_LOSS]
        if state.position < 0:
            return state._replace(position=0, losses=losses)
        mixture, gain = seen.drawn / seen.drawn.sum(), state.losses - losses
        state = state._replace(position=state.position + 1, losses=losses)
        if state.position % 2:
            return state._replace(first_mixture=mixture, first_gain=gain)
        x, y = mixture - state.first_mixture, gain - state.first_gain
        return state._replace(
            gram=self.memory * state.gram + np.outer(x, x),
            moments=self.memory * state.moments + np.outer(y, x),
            pooled=self.memory * state.pooled + 1,
            gain=self.memory * state.gain + (gain + state.first_gain) / 2,
            mixture=self.memory * state.mixture + (mixture + state.first_mixture) / 2,
        )

    def matrix(self, problem: Problem, state: BlocksState) -> Array:
        """The raw matrix [n, m], in nats per block; all NaN before the first pair."""
        if state.pooled == 0:
            return np.full((problem.n, problem.m), np.nan)
        sizes, axes = np.linalg.eigh(state.gram)
        seen = sizes > 1e-9 * max(float(sizes.max()), 1e-300)
        sizes, axes = sizes[seen], axes[:, seen]
        if not seen.any():
            return np.tile((state.gain / state.pooled)[:, None], (1, problem.m))
        contrasts = (state.moments @ axes / (sizes + self.ridge * sizes.mean())) @ axes.T
        trend = (state.gain - contrasts @ state.mixture) / state.pooled
        return trend[:, None] + contrasts

    def losses(self, state: BlocksState) -> Array:
        """[n] the target losses measured last."""
        return state.losses


@lru_cache(maxsize=8)
def raised_first(seed: int, round: int, pair: int, names: tuple[str, ...]) -> tuple[bool, ...]:
    """Which of the names a pair's first block raises: a random half, of an odd number the smaller or larger.

    By a hash of each with (seed, round, pair), so that it does not depend on how groups are numbered.
    """
    keys = [hashlib.blake2b(f"{seed}/{round}/{pair}/{name}".encode()).digest() for name in names]
    coin = hashlib.blake2b(f"{seed}/{round}/{pair}".encode() + min(keys, default=b"")).digest()[0] & 1
    count = (len(names) + coin) // 2
    chosen = set(sorted(range(len(names)), key=keys.__getitem__)[: max(count, 1)])
    return tuple(j in chosen for j in range(len(names)))
