"""The whole contract: what a training run is, what a method asks for, and what it is told.

A mixing method is a frozen dataclass (its fields are its hyperparameters) with three pure functions:
`init`, `request`, `update`. It never sees a model, a tensor or a file: the training loop carries out a
`Request`, measures what was asked, and hands back an `Observation`. Losses are in nats per token, arrays
are numpy float64, and every matrix has the axes [target, group]. NaN means "not measured".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError

__all__ = [
    "Array",
    "Citation",
    "Constraints",
    "Estimator",
    "Law",
    "Method",
    "Observation",
    "Problem",
    "Request",
    "Signal",
    "Solver",
    "answer",
    "read_only",
]

Array = NDArray[Any]
"""A numpy array; float64 unless said otherwise."""


def read_only(array: Array) -> Array:
    """The array, after forbidding changes to it: what the contract passes around is shared."""
    array.setflags(write=False)
    return array


class Signal(StrEnum):
    """What a loop can be asked to measure in a segment; shapes for m groups and n targets.

    What is measured on batches is the mean over the segment's batches, or over the batch due next when
    the segment has 0 steps (a peek: that batch is trained on afterwards). Packages add signals of their
    own, named by plain strings (`aioli.signals`).
    """

    TRAIN_LOSS = "train_loss"
    """[m] mean loss on the segment's own training tokens; NaN for a group that was not drawn."""
    EXCESS_LOSS = "excess_loss"
    """[m] mean over the batches' tokens of max(loss - reference loss, 0), clipped token by token, so it
    does not follow from group means; NaN for a group that was not drawn."""
    REFERENCE_LOSS = "reference_loss"
    """[m] mean loss of a frozen reference model on the same tokens; NaN for a group that was not drawn."""
    VALIDATION_LOSS = "validation_loss"
    """[n] mean loss on held-out tokens of each target, at the end of the segment."""
    VALIDATION_ERROR = "validation_error"
    """[n] standard error of the paired change of VALIDATION_LOSS since the previous measurement."""
    GRADIENT_ALIGNMENT = "gradient_alignment"
    """[n, m] inner product of target i's held-out gradient with group j's gradient on the batches."""
    GRADIENT_NORM = "gradient_norm"
    """[m] norm of group j's gradient on the batches; NaN for a group that was not drawn."""
    GRADIENT_VARIANCE = "gradient_variance"
    """[m] trace of the covariance of the per-sequence gradients of group j, on sequences due next."""
    DIRECTIONAL = "directional"
    """[m] fall of the weighted target loss for a small step along group j's gradient, preconditioned by
    the optimiser: <v, gradient of group j> with v the preconditioned held-out gradient."""


@dataclass(frozen=True)
class Constraints:
    """What every mixture of a run must keep to, whatever the method; see `aioli.constraints`.

    Attributes:
        max_repeats: passes over a group's tokens in the whole run at most; one number for all groups,
            or by name (groups not named are free).
        floors: least proportion, one number or by name. fixed: proportion to hold, by name.
        max_change: largest change of any proportion from one training mixture to the next.
    """

    max_repeats: float | Mapping[str, float] | None = None
    floors: float | Mapping[str, float] | None = None
    fixed: Mapping[str, float] | None = None
    max_change: float | None = None

    def __bool__(self) -> bool:
        return self != Constraints()


@dataclass(frozen=True)
class Problem:
    """A training run as a method sees it; constant, so it is never part of a method's state.

    Attributes:
        groups: names of the m training groups, unique.
        targets: names of the n held-out sets; the groups themselves unless said otherwise.
        group_tokens: [m] training tokens available in each group; 0 marks a group without data,
            whose proportion is 0 in every mixture.
        total_steps: optimiser steps of the run.
        step_tokens: training tokens of one step, over all ranks.
        warmup_steps: steps of learning-rate warm-up; measuring methods wait for its end.
        objective: name of the objective (`aioli.objectives`).
        target_weights: [n] non-negative weights of the targets, or None for equal ones.
        reference_losses: [n] losses in nats per token that an excess is measured from, or None.
        constraints: what every mixture must keep to.
        removed_tokens: training tokens of the run that went to groups it no longer has (`Mixer.regroup`).
        seed: seed of the method's own randomness (the order of probes).

    Raises:
        InputError: on empty or repeated names, wrong lengths, negative or non-finite numbers.
    """

    groups: tuple[str, ...]
    group_tokens: tuple[int, ...]
    total_steps: int
    step_tokens: int
    targets: tuple[str, ...] = ()
    warmup_steps: int = 0
    objective: str = "mean_loss"
    target_weights: tuple[float, ...] | None = None
    reference_losses: tuple[float, ...] | None = None
    constraints: Constraints = field(default_factory=Constraints)
    seed: int = 0
    removed_tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("groups", "targets"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{name} takes names, such as ('law', 'code'), got {getattr(self, name)!r}")
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "targets", tuple(self.targets) or self.groups)
        if isinstance(self.group_tokens, Mapping):
            raise InputError(
                f"group_tokens takes numbers in the order of the groups, got {dict(self.group_tokens)}"
            )
        object.__setattr__(self, "group_tokens", tuple(int(n) for n in self.group_tokens))
        if isinstance(given := self.constraints, Mapping):
            raise InputError(f"constraints takes aioli.Constraints(max_repeats=4, ...), got {given!r}")
        for kind, names in (("group", self.groups), ("target", self.targets)):
            if not names:
                raise InputError(f"expected at least one {kind}, got none")
            if len(set(names)) < len(names):
                repeated = sorted({name for name in names if names.count(name) > 1})
                raise InputError(f"{kind} names must be unique, got twice: {', '.join(repeated)}")
        if len(self.group_tokens) != len(self.groups):
            raise InputError(
                f"group_tokens needs one number a group ({len(self.groups)}), got {len(self.group_tokens)}"
            )
        if min(self.group_tokens) < 0 or max(self.group_tokens) == 0:
            raise InputError(f"group_tokens must be >= 0 and not all zero, got {list(self.group_tokens)}")
        for name, least in (("total_steps", 1), ("step_tokens", 1), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.target_weights is not None:
            weights = np.asarray(self.target_weights, dtype=np.float64)
            if weights.shape != (len(self.targets),):
                raise InputError(
                    f"target_weights needs one number a target ({len(self.targets)}), got {weights.size}"
                )
            if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
                raise InputError(f"target_weights must be >= 0 and not all zero, got {weights.tolist()}")
            object.__setattr__(self, "target_weights", tuple(weights.tolist()))
        if self.reference_losses is not None:
            losses = np.asarray(self.reference_losses, dtype=np.float64)
            if losses.shape != (len(self.targets),) or not np.isfinite(losses).all():
                raise InputError(
                    f"reference_losses needs one finite number a target ({len(self.targets)}), "
                    f"got {losses.tolist()}"
                )
            object.__setattr__(self, "reference_losses", tuple(losses.tolist()))

    @property
    def m(self) -> int:
        """Number of groups."""
        return len(self.groups)

    @property
    def n(self) -> int:
        """Number of targets."""
        return len(self.targets)

    @property
    def targets_are_groups(self) -> bool:
        return self.targets == self.groups

    @cached_property
    def available(self) -> NDArray[np.bool_]:
        """[m] True where the group has data."""
        return read_only(np.asarray(self.group_tokens) > 0)

    @cached_property
    def uniform(self) -> Array:
        """[m] equal proportions over the groups that have data."""
        return read_only(self.available / self.available.sum())

    @cached_property
    def weights(self) -> Array:
        """[n] target weights, summing to 1."""
        weights = np.ones(self.n) if self.target_weights is None else np.asarray(self.target_weights)
        return read_only(weights / weights.sum())


class Request(NamedTuple):
    """What a method wants next: train `steps` steps on `proportions`, then report `observe`.

    A request of 0 steps measures without moving; what it measures on batches, it measures on the batch
    that a segment on these proportions would train next. `loss_weights` [m] make a step minimise
    sum_j w_j x (mean loss of group j in the batch) instead of the batch's mean loss. `phase`
    names the part of the method's plan ("train", "probe", "measure", "warmup", "prior"), for logs and
    accounts only.
    """

    proportions: Array
    steps: int
    observe: frozenset[str] = frozenset()
    phase: str = "train"
    loss_weights: Array | None = None


class Observation(NamedTuple):
    """What happened in a finished segment, already reduced over ranks.

    `step` counts optimiser steps completed; `drawn` [m] counts the segment's sequences of each group;
    `values` holds one array for each signal that the request asked for.
    """

    step: int
    drawn: Array
    values: Mapping[str, Array]
    learning_rate: float = float("nan")


S = TypeVar("S")


@runtime_checkable
class Method(Protocol[S]):
    """A frozen dataclass: fields are hyperparameters, state is a NamedTuple of arrays and numbers.

    `needs` names every signal the method may ask for; a loop that cannot measure one is told before
    step 0. `request` and `update` are pure: ask twice, get the same answer. A method that learns and can go
    on when groups change on the way says how in `regroup` (`aioli.regroup.Regroupable`).
    """

    @property
    def needs(self) -> frozenset[str]: ...

    def init(self, problem: Problem) -> S: ...

    def request(self, problem: Problem, state: S) -> Request: ...

    def update(self, problem: Problem, state: S, seen: Observation) -> S: ...


def answer(method: Method[Any], problem: Problem, state: Any) -> Array | None:
    """The mixture [m] to train with afterwards, as a method concludes from its run; None if it does not.

    A method concludes when it has `answer(problem, state) -> [m]`; proxy methods do (DoReMi, DoGE).
    """
    give = getattr(method, "answer", None)
    return None if give is None else give(problem, state)


@runtime_checkable
class Law(Protocol):
    """The mixing law's shape: target losses after a segment, and their descent direction."""

    def predict(self, losses: Array, matrix: Array, proportions: Array) -> Array: ...

    def descent(self, matrix: Array, weights: Array) -> Array: ...


@runtime_checkable
class Estimator(Protocol[S]):
    """Where the law's matrix comes from: within a round it asks for segments, then gives a matrix.

    `resolve` fills in sizes that depend on the round, `check` refuses settings that do not fit it,
    `least_round` is the shortest round it is comfortable with. `request` returns None once the round's
    matrix is ready; `matrix` is then [n, m], raw: neither centred nor normalised, and all NaN when there
    is nothing to learn from yet. `waits` says whether estimating waits for the end of warm-up.
    """

    waits: ClassVar[bool]

    @property
    def needs(self) -> frozenset[str]: ...

    def least_round(self, problem: Problem) -> int: ...

    def resolve(self, problem: Problem, round_steps: int) -> Estimator[S]: ...

    def check(self, problem: Problem, round_steps: int) -> None: ...

    def begin(self, problem: Problem, round: int, previous: S | None) -> S: ...

    def request(self, problem: Problem, state: S, proportions: Array) -> Request | None: ...

    def update(self, problem: Problem, state: S, seen: Observation) -> S: ...

    def matrix(self, problem: Problem, state: S) -> Array: ...

    def losses(self, state: S) -> Array: ...


@runtime_checkable
class Solver(Protocol[S]):
    """How the next proportions follow from the law, its matrix and the weights of the targets."""

    def init(self, problem: Problem, start: Array) -> S: ...

    def step(
        self, problem: Problem, state: S, law: Law, proportions: Array, matrix: Array, weights: Array
    ) -> tuple[S, Array]: ...


@dataclass(frozen=True)
class Citation:
    """Where a method was published."""

    title: str
    arxiv: str = ""

    def __str__(self) -> str:
        return f"{self.title} (arXiv {self.arxiv})" if self.arxiv else self.title
