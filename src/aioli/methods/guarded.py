"""Guarded: any method on a leash, held at the default mixture until measurements support leaving it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from aioli.contract import check_part
from aioli.errors import InputError
from aioli.methods.evidence import Evidence, add_pair, no_evidence, value_along
from aioli.methods.matched import Matched
from aioli.methods.static import Static
from aioli.methods.track import Track, advance_track, open_request, regroup_track, start_track, wanted
from aioli.objectives import objective_of
from aioli.protocol import Array, Method, Observation, Problem, Request, Signal
from aioli.regroup import Regroup
from aioli.simplex import normalise

__all__ = ["Guarded", "GuardedState"]

BLOCKS = 4
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
"""A round's blocks: a trend of the loss that is linear in the steps cancels."""
ROUNDS = 12
"""Rounds that the automatic length of a block aims at."""
FORGET = 0.1
"""Most of a pair's move that may have been of groups which are removed."""
VALIDATION = frozenset({Signal.VALIDATION_LOSS})
TARGETS = frozenset({Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR})
SHARES = 0.9
"""Most of any group's proportion that a block or a repayment may take away."""


class GuardedState(NamedTuple):
    """block: number of the block in training, BLOCKS when the round is to be planned. began: the step at
    which it did. fresh: whether `losses` [n] are those of this step. falls [BLOCKS]: of the objective, per
    step. base, dither [m]: the round trains on base +- dither. excursion [m]: steps trained on each
    group beyond the default's share. reach: how far base goes from the default to the proposal."""

    step: int
    inner: Track
    default: Track
    round: int
    block: int
    began: int
    fresh: bool
    losses: Array
    falls: Array
    base: Array
    dither: Array
    evidence: Evidence
    excursion: Array
    reach: float


@dataclass(frozen=True)
class Guarded:
    """Train on the default mixture d, and on a method's proposal p only as far as measurements support it.

    A round is four blocks, on x + s, x - s, x - s, x + s. They show how v . s falls out, where v [m] is the
    fall of the objective per step and unit of proportion; the rounds together estimate v along any
    direction, with an error that includes v's drift (`aioli.methods.evidence`). Let e be the excursion: the
    steps trained on each group in excess of the default's. A round is planned so:

    1. x = d + reach (p - d): reach is 0 while v . (p - d) is below `caution` standard errors and 1 from
       twice as many on; it grows by at most `growth` a round, and falls at once.
    2. where v . e is not above `hold` standard errors, the evidence for what was done is gone: it is repaid
       within the round, x <- x - e / (steps of the round), as far as proportions allow.

    s lies along p - d and along e in turn. The blocks' mean is x, so to first order measuring costs
    nothing but the passes over the targets.

    Guarantee. If the objective F at the end is a convex function of the tokens trained on each group, in
    whatever order, then F(end) - F(default) <= -v . e at the end, whatever the method proposed (a convex
    function lies above its tangent). The rules keep v . e > 0 as far as measurements tell. At stake are
    their error, what changed since the last one, and what could not be repaid in time. Not covered is
    what short blocks cannot see: effects that come later, or fade.

    Probes of the method are pulled towards d until they move no more of the batch than a block; what was
    realised is what it is told. Its measurements are carried out as it asks, and where it reweights the
    loss, the weights are taken as proportions (the same expected gradient).

    Args:
        method: proposes mixtures.
        default: method whose mixture is safe. None: the `prior` of `method` if it has one, else `matched`,
            which needs the targets to be the groups (in a config, `similar` where they are not).
        block_steps: steps of a block; None: a forty-eighth of the run.
        explore: share of the batch that a block or a probe moves at most.
        caution, hold: standard errors, as above. growth: of reach, a round.
        memory: correlation of v with itself a round later.

    Raises:
        InputError: settings out of range, no default where none can be chosen, or a default that peeks or
            measures targets.

    Departures:
        Not a published method.
    """

    method: Method[Any]
    default: Method[Any] | None = None
    block_steps: int | None = None
    explore: float = 0.15
    caution: float = 1.5
    hold: float = 1.0
    growth: float = 0.25
    memory: float = 0.98

    def __post_init__(self) -> None:
        for method in (self.method, *(() if self.default is None else (self.default,))):
            check_part(Method, method)
        if self.block_steps is not None and self.block_steps < 1:
            raise InputError(f"block_steps must be at least 1, got {self.block_steps}")
        for name, low, high in (("explore", 0, 1), ("growth", 0, 1), ("memory", 0, 1)):
            if not low < getattr(self, name) <= high:
                raise InputError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        for name in ("caution", "hold"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(
                    f"{name} must be a number of standard errors >= 0, got {getattr(self, name)}"
                )

    @property
    def needs(self) -> frozenset[str]:
        fallback = self._chosen or Matched()
        return self.method.needs | fallback.needs | {Signal.VALIDATION_LOSS}

    @property
    def _chosen(self) -> Method[Any] | None:
        prior = getattr(self.method, "prior", None)
        return Static(prior) if self.default is None and prior is not None else self.default

    def _default(self, problem: Problem) -> Method[Any]:
        if self._chosen is None and not problem.targets_are_groups:
            raise InputError(
                "guarded needs a default mixture where the targets are not the groups: give it similar, "
                "stratified or a static one"
            )
        return self._chosen or Matched()

    def init(self, problem: Problem) -> GuardedState:
        default = self._default(problem)
        if default.needs & TARGETS:
            raise InputError("the default of guarded must not measure targets; give a static or matched one")
        track = start_track(default, problem)
        d = open_request(default, problem, track).proportions
        nothing = np.zeros(problem.m)
        state = GuardedState(
            0,
            start_track(self.method, problem),
            track,
            0,
            BLOCKS,
            0,
            False,
            np.full(problem.n, np.nan),
            np.full(BLOCKS, np.nan),
            d,
            nothing,
            no_evidence(problem.m),
            nothing,
            0.0,
        )
        return self._planned(problem, state)

    def request(self, problem: Problem, state: GuardedState) -> Request:
        asked = open_request(self.method, problem, state.inner)
        usual = open_request(self._default(problem), problem, state.default)
        mixture = state.base + (SIGNS[state.block] if state.block < BLOCKS else 0) * state.dither
        if asked.steps == 0 and not asked.observe & TARGETS:
            return asked._replace(proportions=mixture)
        if not _trains(asked):
            observe = asked.observe | (wanted(usual, asked.steps) if asked.steps else frozenset())
            return asked._replace(proportions=self._near(asked, usual.proportions), observe=observe)
        if state.dither.any() and not state.fresh:
            return Request(mixture, 0, VALIDATION, "measure")
        steps = min(asked.steps, usual.steps, state.began + self._block_steps(problem) - state.step)
        observe = wanted(asked, steps) | wanted(usual, steps)
        if state.dither.any() and self._closes(problem, state, asked, steps):
            observe |= VALIDATION
        return Request(mixture, steps, observe)

    def update(self, problem: Problem, state: GuardedState, seen: Observation) -> GuardedState:
        asked = open_request(self.method, problem, state.inner)
        default, steps = self._default(problem), seen.step - state.step
        usual = open_request(default, problem, state.default).proportions
        if steps == 0 and _trains(asked):
            return state._replace(fresh=True, losses=seen.values[Signal.VALIDATION_LOSS])
        closes = _trains(asked) and self._closes(problem, state, asked, steps)
        track = state.default
        if steps:
            state = state._replace(excursion=state.excursion + steps * (normalise(seen.drawn) - usual))
            track = advance_track(default, problem, track, seen)
        inner = advance_track(self.method, problem, state.inner, seen)
        state = state._replace(step=seen.step, inner=inner, default=track)
        if closes:
            state = self._close(problem, state, seen)
        elif steps and not _trains(asked):
            state = state._replace(began=seen.step)  # a probe came between: the block begins again
        if Signal.VALIDATION_LOSS in seen.values:
            state = state._replace(fresh=True, losses=seen.values[Signal.VALIDATION_LOSS])
        elif steps:
            state = state._replace(fresh=False)
        return self._planned(problem, state)

    def regroup(self, change: Regroup, state: GuardedState) -> GuardedState:
        """Excursion and evidence go on in the new groups; a pair that moved a removed group is forgotten."""
        shares = change.shares
        moved, known = np.abs(state.evidence.directions), shares.sum(axis=0) > 0
        kept = moved[:, ~known].sum(axis=1) <= FORGET * moved.sum(axis=1)
        evidence = Evidence(*(part[kept] for part in state.evidence))
        evidence = evidence._replace(directions=evidence.directions @ shares.T)
        excursion = shares @ state.excursion
        excursion = np.where(change.new.available, excursion - excursion.sum() * change.new.uniform, 0.0)
        fresh = self.init(change.new)
        state = fresh._replace(
            step=change.step,
            inner=regroup_track(self.method, change, state.inner),
            default=regroup_track(self._default(change.new), change, state.default),
            round=state.round,
            block=BLOCKS,
            began=change.step,
            evidence=evidence,
            excursion=excursion,
            reach=state.reach,
        )
        return self._planned(change.new, state)

    def _near(self, asked: Request, usual: Array) -> Array:
        """The mixture of a probe, pulled towards the default's until it moves no more than a block does."""
        if asked.phase != "probe":
            return usual
        move = asked.proportions - usual
        return usual + move * min(1.0, 2 * self.explore / max(np.abs(move).sum(), 1e-12))

    def _closes(self, problem: Problem, state: GuardedState, asked: Request, steps: int) -> bool:
        """Whether a piece of `steps` ends the block: it is full, or half of it is and a pause may follow."""
        block, done = self._block_steps(problem), state.step + steps - state.began
        pause = steps == asked.steps and 2 * done >= block and 2 * (state.inner.done + steps) >= block
        return done >= block or pause

    def _close(self, problem: Problem, state: GuardedState, seen: Observation) -> GuardedState:
        """Note the fall of the objective in the block that ends; after the last one, add the pair."""
        falls = state.falls.copy()
        if state.dither.any():
            weights = objective_of(problem).gradient(state.losses, problem.weights)
            change = weights @ (state.losses - seen.values[Signal.VALIDATION_LOSS])
            falls[state.block] = change / (seen.step - state.began)
        state = state._replace(block=state.block + 1, began=seen.step, falls=falls)
        if state.block < BLOCKS or not state.dither.any():
            return state
        first, second = falls[0] - falls[1], falls[3] - falls[2]
        evidence = add_pair(state.evidence, 2 * state.dither, (first + second) / 2, (first - second) ** 2 / 4)
        return state._replace(evidence=evidence)

    def _planned(self, problem: Problem, state: GuardedState) -> GuardedState:
        """When a round is over and the method trains next, decide what the new round trains on."""
        if state.block < BLOCKS or state.step >= problem.total_steps:
            return state
        asked = open_request(self.method, problem, state.inner)
        usual = open_request(self._default(problem), problem, state.default).proportions
        if not _trains(asked):
            return state._replace(base=usual, dither=np.zeros(problem.m))
        wish = asked.proportions if asked.loss_weights is None else normalise(asked.loss_weights)
        move = wish - usual
        excursion, round_steps = state.excursion, BLOCKS * self._block_steps(problem)
        worth, error = value_along(state.evidence, move, self.memory)
        earned = worth / (self.caution * max(error, 1e-300)) - 1
        reach = float(np.clip(earned, 0.0, min(1.0, state.reach + self.growth)))
        base = usual + reach * move
        if not self._kept(state):
            base = base - excursion * min(1 / round_steps, _most(base, excursion))
        way = excursion if state.round % 2 and np.abs(excursion).sum() > 1 else move
        way = way if way.any() else excursion
        dither = way * (2 * self.explore / max(np.abs(way).sum(), 1e-12))
        dither = dither * min(1.0, _most(base, dither), _most(base, -dither))
        if problem.total_steps - state.step < round_steps or np.abs(way).sum() < 1e-9:
            dither = np.zeros(problem.m)
        return state._replace(
            round=state.round + 1,
            block=0,
            began=state.step,
            falls=np.full(BLOCKS, np.nan),
            base=base,
            dither=dither,
            reach=reach,
        )

    def _kept(self, state: GuardedState) -> bool:
        """Whether the evidence still speaks for the excursion."""
        worth, error = value_along(state.evidence, state.excursion, self.memory)
        return worth > self.hold * error or not state.excursion.any()

    def _block_steps(self, problem: Problem) -> int:
        return self.block_steps or max(1, problem.total_steps // (ROUNDS * BLOCKS))


def _trains(asked: Request) -> bool:
    """Whether a request is for training on the method's mixture, rather than for measuring."""
    return asked.phase == "train" and asked.steps > 0


def _most(base: Array, taken: Array) -> float:
    """The largest multiple of `taken` [m] that leaves every group a tenth of its share in `base` [m]."""
    less = taken > 0
    return float(np.min(SHARES * base[less] / taken[less], initial=np.inf))
