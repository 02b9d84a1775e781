"""Aioli's LearnParams: short real training segments on skewed mixtures, losses measured around each."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from aioli.constraints import free_groups
from aioli.errors import InputError, MixingWarning
from aioli.protocol import Array, Observation, Problem, Request, Signal

__all__ = ["Probes", "ProbesState", "solve_matrix"]

AUTO_SHARE = 0.25
"""Most of a round that automatic sizes spend on probing, and the share above which we warn."""


class ProbesState(NamedTuple):
    """Within a round: `position` -1 before the first measurement, then the number of probes done.

    losses [n]: last measured. mixtures [m, m]: realised, [probed group, group], summed over sweeps.
    gains [n, m]: loss before minus after, summed over sweeps.
    """

    round: int
    position: int
    losses: Array
    mixtures: Array
    gains: Array


@dataclass(frozen=True)
class Probes:
    """Measure the matrix in the run itself, with probe segments that are ordinary training.

    Probe j trains `probe_steps` steps on weight `focus` for group j and equal shares of the rest for
    the others; each of `sweeps` sweeps runs every probe once in a fresh random order. All target losses
    are measured before the first and after every probe. Then P a_i = beta_i is solved for every
    target i, P the mixtures REALISED in the probes, beta the mean falls of the losses.

    Args:
        sweeps: passes over the probes in a round; None: 2 if that fits in a quarter of the round,
            otherwise 1.
        probe_steps: steps of one probe; None: as many as fit in a quarter of the round, at least 1.
        focus: weight of the probed group, in (1/m, 1].
        diagonal: only A_jj = beta_jj / P_jj, the rest zero (targets must be the groups).
        detrend: remove from every row its mean, the loss trend common to all probes.

    Raises:
        InputError: sizes below 1, focus outside (0, 1], or probes that fill the round.

    References:
        arXiv 2411.05735, Algorithm 2 (LearnParams).
    Departures:
        From the released code: probe mixtures are the realised counts, every step is counted, no group
        is left out of a probe batch, and losses are read on fixed paired subsets instead of the whole
        validation sets. `detrend` is ours: the common trend flattens the normalised matrix.
        The order of the probes is a hash of (seed, round, sweep, group name), so that it does not depend
        on how groups are numbered.
        A group with a fixed proportion has it in every probe and is not probed: its column is 0, and what
        it does to a target is in the trend common to the free groups' columns.
    """

    sweeps: int | None = None
    probe_steps: int | None = None
    focus: float = 0.75
    diagonal: bool = False
    detrend: bool = False
    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("sweeps", "probe_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if not 0 < self.focus <= 1:
            raise InputError(f"focus, the weight of the probed group, must be in (0, 1], got {self.focus}")
        if self.diagonal and self.detrend:
            raise InputError("diagonal and detrend exclude each other: a diagonal has no row to centre")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.VALIDATION_LOSS})

    def least_round(self, problem: Problem) -> int:
        """Steps a round must have for the smallest automatic probing to stay in its share."""
        probes = _count(problem) * (self.sweeps or 1) * (self.probe_steps or 1)
        return max(1, int(np.ceil(probes / AUTO_SHARE)))

    def resolve(self, problem: Problem, round_steps: int) -> Probes:
        """Fill in the automatic sizes for rounds of `round_steps` steps."""
        probes, budget = max(1, _count(problem)), AUTO_SHARE * round_steps
        sweeps = self.sweeps or (2 if 2 * probes * (self.probe_steps or 1) <= budget else 1)
        probe_steps = self.probe_steps or max(1, int(budget // (sweeps * probes)))
        return replace(self, sweeps=sweeps, probe_steps=probe_steps)

    def check(self, problem: Problem, round_steps: int) -> None:
        """Refuse probing that leaves nothing of the round, warn when it takes over a quarter.

        Raises:
            InputError: probes of 100% of a round or more, a focus no larger than uniform, or the
                diagonal variant with targets that are not the groups.
        """
        sized = self.resolve(problem, round_steps)
        assert sized.sweeps is not None and sized.probe_steps is not None
        probes = _count(problem)
        spent = sized.sweeps * probes * sized.probe_steps
        sizes = f"{sized.sweeps} sweeps x {probes} probes x {sized.probe_steps} steps = {spent} steps"
        if spent >= round_steps:
            raise InputError(
                f"probing would take {sizes}, a round has {round_steps}: lower sweeps or probe_steps, "
                "or raise round_steps"
            )
        if spent > AUTO_SHARE * round_steps:
            share = spent / round_steps
            warnings.warn(f"probing takes {share:.0%} of every round ({sizes})", MixingWarning, stacklevel=2)
        if probes > 1 and self.focus <= 1 / probes:
            raise InputError(f"focus must exceed 1/{probes} to tell groups apart, got {self.focus}")
        if self.diagonal and not problem.targets_are_groups:
            raise InputError("the diagonal variant needs the targets to be the groups")

    def begin(self, problem: Problem, round: int, previous: ProbesState | None) -> ProbesState:
        """The state at the start of a round; nothing is kept of the one before."""
        return ProbesState(
            round,
            -1,
            np.full(problem.n, np.nan),
            np.zeros((problem.m, problem.m)),
            np.zeros((problem.n, problem.m)),
        )

    def request(self, problem: Problem, state: ProbesState, proportions: Array) -> Request | None:
        """The next measurement or probe, or None when the round's matrix is ready."""
        assert self.sweeps is not None and self.probe_steps is not None
        if state.position < 0:
            return Request(proportions, 0, self.needs, "measure")
        if state.position >= self.sweeps * _count(problem):
            return None
        mixture = self.mixture(problem, probed_group(problem, state))
        return Request(mixture, self.probe_steps, self.needs, "probe")

    def mixture(self, problem: Problem, group: int) -> Array:
        """The nominal mixture [m] of the probe of one group."""
        usable = free_groups(problem)
        fixed = problem.constraints.fixed or {}
        mixture = np.array([fixed.get(name, 0.0) for name in problem.groups])
        rest, others = 1 - mixture.sum(), int(usable.sum()) - 1
        if others:
            mixture[usable] = rest * (1 - self.focus) / others
        mixture[group] = rest * self.focus if others else rest
        return mixture

    def update(self, problem: Problem, state: ProbesState, seen: Observation) -> ProbesState:
        losses = seen.values[Signal.VALIDATION_LOSS]
        if state.position < 0:
            return state._replace(position=0, losses=losses)
        group = probed_group(problem, state)
        mixtures, gains = state.mixtures.copy(), state.gains.copy()
        mixtures[group] += seen.drawn / seen.drawn.sum()
        gains[:, group] += state.losses - losses
        return state._replace(position=state.position + 1, losses=losses, mixtures=mixtures, gains=gains)

    def matrix(self, problem: Problem, state: ProbesState) -> Array:
        """The raw matrix [n, m] of a finished round, in nats per probe; 0 for groups that are not probed."""
        assert self.sweeps is not None
        usable = free_groups(problem)
        mixtures = (state.mixtures / self.sweeps)[np.ix_(usable, usable)]
        gains = (state.gains / self.sweeps)[:, usable]
        matrix = np.zeros((problem.n, problem.m))
        if not usable.any():
            return np.full_like(matrix, np.nan)
        if self.diagonal:
            share = np.diag(mixtures)
            fall = np.diag(state.gains)[usable] / self.sweeps
            own = np.divide(fall, share, out=np.zeros_like(fall), where=share > 0)  # a cap may leave none
            matrix[np.nonzero(usable)[0], np.nonzero(usable)[0]] = own
            return matrix
        solved = solve_matrix(mixtures, gains)
        if self.detrend:
            solved = solved - solved.mean(axis=1, keepdims=True)
        matrix[:, usable] = solved
        return matrix

    def losses(self, state: ProbesState) -> Array:
        """[n] the target losses measured last."""
        return state.losses


def _count(problem: Problem) -> int:
    """How many groups there are to probe."""
    return int(free_groups(problem).sum())


def probed_group(problem: Problem, state: ProbesState) -> int:
    """The group probed at the state's position: a random order per sweep, keyed by group names."""
    usable = np.nonzero(free_groups(problem))[0]
    sweep, place = divmod(state.position, len(usable))
    names = tuple(problem.groups[g] for g in usable)
    return int(usable[probe_order(problem.seed, state.round, sweep, names)[place]])


@lru_cache(maxsize=8)
def probe_order(seed: int, round: int, sweep: int, names: tuple[str, ...]) -> tuple[int, ...]:
    """A random order of the names, by a hash of each with (seed, round, sweep)."""
    keys = [hashlib.blake2b(f"{seed}/{round}/{sweep}/{name}".encode()).digest() for name in names]
    return tuple(sorted(range(len(names)), key=keys.__getitem__))


def solve_matrix(mixtures: Array, gains: Array) -> Array:
    """A [n, m] with gains [n, probes] = A mixtures^T, mixtures [probes, m]; least squares when singular.

    >>> solve_matrix(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([[0.2, 0.1]]))
    array([[0.25, 0.05]])
    """
    if np.linalg.cond(mixtures) > 1e6:
        warnings.warn(
            "the probe mixtures are nearly the same, so groups cannot be told apart: the smallest "
            "matrix that explains the measurements is used. Use a larger focus or longer probes",
            MixingWarning,
            stacklevel=2,
        )
        return np.linalg.lstsq(mixtures, gains.T, rcond=1e-6)[0].T
    return np.linalg.solve(mixtures, gains.T).T
