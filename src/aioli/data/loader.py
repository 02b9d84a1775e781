"""Batches of training sequences on proportions that may change at every segment.

The position is a few whole numbers: which groups the next step draws follows from `aioli.data.plan`, which
rows of a group from `aioli.data.shuffle`, so that any position can be reached without replaying the past.
Everything is drawn in the calling process, by one gather for each group present in a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.data import order as ordering
from aioli.data import plan as planning
from aioli.data import shuffle as shuffling
from aioli.data.order import Course, Order
from aioli.data.plan import Plan
from aioli.data.shuffle import MAX_ROWS
from aioli.errors import InputError
from aioli.protocol import Array
from aioli.simplex import as_proportions

__all__ = ["Batch", "Loader"]

_VERSION = 1
_CHANGED_VERSION = 2  # of a position in groups whose text has changed on the way
_AHEAD_ROWS = 1 << 14  # sequences planned at a time, to spread the cost of array operations
_AHEAD_CELLS = 1 << 17  # steps x groups planned at a time


class Batch(NamedTuple):
    """One rank's part of a step; `drawn` is that of the whole step.

    Attributes:
        tokens: [local rows, length] token ids in the corpus's dtype.
        group: [local rows] index of each row's group, ascending.
        drawn: [m] sequences of each group in this step over all ranks.
    """

    tokens: NDArray[np.unsignedinteger[Any]]
    group: NDArray[np.int64]
    drawn: Array


class _Ahead(NamedTuple):
    """Steps planned but not all taken yet.

    `steps` holds what each step needs: sequences of each group [steps, m], group and row of each local
    sequence [steps, local rows], and the number of groups present; `gathers` lists, one step after
    another, the index of each group present and where its rows begin and end in the batch.
    """

    counts: NDArray[np.int64]
    steps: tuple[Array, NDArray[np.int64], NDArray[np.int64], list[int]]
    gathers: tuple[list[int], list[int], list[int]]


class Loader:
    """Draw batches from groups of sequences on given proportions, exactly and resumably.

    Every step takes whole sequences whose cumulative counts follow the proportions to within the bounds
    proved in `aioli.data.plan`; a group goes through all its rows, shuffled, before any comes again. Rows of
    a step are ordered by group, and rank r of w takes every w-th of them, beginning one later at each
    step, so that ranks share each group evenly; the step as a whole does not depend on the ranks.
    Micro-batches are best cut the same way, `tokens[i::k]`.

    Args:
        sequences: group name -> [rows, length] array of token ids, C-contiguous (a view of a memory map,
            say); a group without rows is allowed as long as its proportion is 0.
        batch: sequences of a step, over all ranks; a multiple of `world`.
        seed: of the shuffles.
        rank: this process's number among `world`.
        world: processes that share each step; may differ when a run is resumed.
        rows: [m] rows of each group to use, evenly spread over its array; None: all.

    Raises:
        InputError: no groups, arrays that do not fit together, more rows than there are, or a batch that
            the ranks cannot share.

    >>> tokens = {"law": np.zeros((5, 3), np.uint16), "code": np.ones((4, 3), np.uint16)}
    >>> loader = Loader(tokens, batch=4, seed=0)
    >>> [batch.group.tolist() for batch in loader.segment({"law": 0.4, "code": 0.6}, steps=3)]
    [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]
    >>> loader.drawn, loader.epochs
    (array([5., 7.]), array([1.  , 1.75]))
    """

    def __init__(
        self,
        sequences: Mapping[str, NDArray[Any]],
        batch: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        rows: Sequence[int] | None = None,
    ) -> None:
        if world < 1 or not 0 <= rank < world:
            raise InputError(f"expected 0 <= rank < world, got rank {rank} of world {world}")
        if batch < 1 or batch % world:
            raise InputError(
                f"batch must be a positive multiple of the number of processes ({world}), got {batch}"
            )
        _check_sequences(sequences)
        self._groups = tuple(sequences)
        self._arrays = [np.asarray(rows) for rows in sequences.values()]
        self._rows = _used_rows([len(array) for array in self._arrays], rows)
        self._batch, self._seed, self._rank, self._world = batch, int(seed), rank, world
        self._changes = 0
        self._order = self._ordered([Course(name) for name in self._groups])
        self._plan = planning.start(len(self._groups))
        self._ahead: _Ahead | None = None
        self._taken = 0
        self._segment: object = None

    def segment(self, proportions: Mapping[str, float] | Array, steps: int) -> Iterator[Batch]:
        """Yield exactly `steps` steps on `proportions` [m]; the position follows each batch as it is yielded.

        Starting another segment, or loading a state, ends this one: continuing it is then an error.

        Raises:
            InputError: invalid proportions, a group without sequences among them, or negative steps.
        """
        p = self._check_proportions(proportions)
        if steps < 0:
            raise InputError(f"a segment needs 0 steps or more, got {steps}")
        return self._run(p, steps)

    def peek(self, proportions: Mapping[str, float] | Array) -> Batch:
        """The batch that `segment(proportions, 1)` would yield next; the position stays where it is.

        Raises:
            InputError: invalid proportions, or a group without sequences among them.
        """
        p = self._check_proportions(proportions)
        ahead = self._look_ahead(planning.retarget(self._position(), p, self._batch), 1)
        counts, group, rows, _ = ahead.steps
        return Batch(self._gather(rows[0], zip(*ahead.gathers, strict=True)), group[0], counts[0])

    def upcoming(self, count: int) -> list[NDArray[np.unsignedinteger[Any]]]:
        """The next `count` rows of every group, each [rows, length], whatever is drawn of the others.

        They are the same for all ranks, and the position stays where it is. A group with fewer rows gives
        all it has.
        """
        taken = np.minimum(count, self._rows)
        rows = np.split(self._order.rows_at(self._position().drawn, taken), np.cumsum(taken)[:-1])
        return [self._order.take(j, self._arrays[j], index) for j, index in enumerate(rows)]

    def _check_proportions(self, proportions: Mapping[str, float] | Array) -> Array:
        p = as_proportions(proportions, self._groups)
        for name, rows, share in zip(self._groups, self._rows, p, strict=True):
            if share > 0 and rows == 0:
                raise InputError(
                    f"group {name!r} has no sequences, but its proportion is {share:.6g}; "
                    f"give it proportion 0, or more text"
                )
        return p

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {count}" for name, count in zip(self._groups, self._rows, strict=True))
        ranks = f", rank {self._rank} of {self._world}" if self._world > 1 else ""
        return (
            f"<Loader {int(self.drawn.sum())} sequences drawn, batch {self._batch}{ranks}, rows {{{rows}}}>"
        )

    @property
    def drawn(self) -> Array:
        """[m] sequences of each group drawn so far, over all ranks."""
        return self._position().drawn.astype(np.float64)

    @property
    def epochs(self) -> Array:
        """[m] passes over each group's rows so far; 0 for a group without rows."""
        return self.drawn / np.maximum(self._rows, 1)

    @property
    def deviation(self) -> float:
        """Largest |cumulative target - sequences drawn| of any group after any step so far."""
        return self._position().deviation

    def state_dict(self) -> dict[str, Any]:
        """The position after the last batch yielded: JSON, the same for every rank and world."""
        state = {
            "version": _VERSION,
            "shuffle": shuffling.VERSION,
            "seed": self._seed,
            "groups": list(self._groups),
            "rows": self._rows.tolist(),
            "plan": planning.to_json(self._position()),
        }
        if not self._changes:
            return state
        courses = [ordering.to_json(course) for course in self._order.courses]
        return state | {"version": _CHANGED_VERSION, "changes": self._changes, "courses": courses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a position saved by `state_dict`, under any rank, world or batch.

        Raises:
            InputError: another version, seed, groups or row counts, or a damaged state; nothing changes.
        """
        self._check_state(state)
        plan = planning.from_json(state["plan"], len(self._groups))
        saved = state.get("courses")
        courses = map(Course, self._groups) if saved is None else map(ordering.from_json, saved)
        self._order = self._ordered(list(courses))
        self._changes = int(state.get("changes", 0))
        self._plan, self._ahead, self._taken, self._segment = plan, None, 0, None

    def _ordered(self, courses: list[Course]) -> Order:
        return Order(self._rows.tolist(), self._arrays[0].shape[1], courses, seed=self._seed)

    def _run(self, p: Array, steps: int) -> Iterator[Batch]:
        mine = self._segment = object()
        left = steps
        while left:
            self._plan = planning.retarget(self._position(), p, self._batch)
            self._ahead, self._taken = None, 0
            ahead = self._ahead = self._look_ahead(self._plan, left)
            gathers = zip(*ahead.gathers, strict=True)
            for drawn, group, rows, present in zip(*ahead.steps, strict=True):
                tokens = self._gather(rows, islice(gathers, present))
                self._taken += 1
                yield Batch(tokens, group, drawn)
                if self._segment is not mine:
                    raise RuntimeError("this segment ended when another was started or a state was loaded")
            left -= self._taken

    def _gather(self, rows: NDArray[np.int64], gathers: Iterable[tuple[int, int, int]]) -> NDArray[Any]:
        """The tokens of one step's local `rows`, one run of rows for each group present."""
        first = self._arrays[0]
        tokens = np.empty((rows.size, first.shape[1]), first.dtype)
        for index, begin, end in gathers:
            self._order.take(index, self._arrays[index], rows[begin:end], tokens[begin:end])
        return tokens

    def _position(self) -> Plan:
        """The plan after exactly the steps that were yielded; planned ones are given up by taking it."""
        if self._ahead is None:
            return self._plan
        return planning.advance(self._plan, self._ahead.counts[: self._taken])

    def _look_ahead(self, plan: Plan, left: int) -> _Ahead:
        """Plan the steps after `plan`, at most `left`, and lay their rows out."""
        m, batch = self._rows.size, self._batch
        steps = min(left, max(1, min(_AHEAD_ROWS // batch, _AHEAD_CELLS // m)))
        counts = planning.step_counts(plan, steps)
        total = counts.sum(axis=0)
        rows = self._order.rows_at(plan.drawn, total)
        # rows come group by group: lay them out step by step, and group by group within a step
        cells = counts.ravel()
        begin = np.cumsum(total) - total + np.cumsum(counts, axis=0) - counts
        shift = begin.ravel() - np.cumsum(cells) + cells
        rows = rows[np.arange(rows.size) + np.repeat(shift, cells)].reshape(steps, batch)
        group = np.repeat(np.tile(np.arange(m), steps), cells).reshape(steps, batch)
        local = counts
        if self._world > 1:
            columns = self._columns(plan, steps)
            rows, group = np.take_along_axis(rows, columns, 1), np.take_along_axis(group, columns, 1)
            cell = (np.arange(steps)[:, None] * m + group).ravel()
            local = np.bincount(cell, minlength=steps * m).reshape(steps, m)
        step, present = np.nonzero(local)
        end = np.cumsum(local, axis=1)[step, present]
        gathers = (present.tolist(), (end - local[step, present]).tolist(), end.tolist())
        each = np.bincount(step, minlength=steps).tolist()
        return _Ahead(counts, (counts.astype(np.float64), group, rows, each), gathers)

    def _columns(self, plan: Plan, steps: int) -> NDArray[np.int64]:
        """[steps, local rows] which of each step's rows are this rank's."""
        first_step = int(plan.drawn.sum()) // self._batch
        turn = (self._rank + first_step + np.arange(steps)) % self._world
        return turn[:, None] + np.arange(0, self._batch, self._world)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        version = _VERSION if state.get("courses") is None else _CHANGED_VERSION
        for name, ours in (("version", version), ("shuffle", shuffling.VERSION), ("seed", self._seed)):
            if state.get(name) != ours:
                raise InputError(
                    f"this loader's {name} is {ours}, the saved position's is {state.get(name)!r}; "
                    f"continue with the same seed and version of aioli, or start anew"
                )
        groups, rows, plan = state.get("groups"), state.get("rows"), state.get("plan")
        if not (isinstance(groups, list) and isinstance(rows, list) and len(groups) == len(rows)):
            raise InputError(f"the saved position is damaged: groups {groups!r} with rows {rows!r}")
        if not isinstance(plan, Mapping):
            raise InputError(f"the saved position is damaged: its plan is {plan!r}")
        before = dict(zip(map(str, groups), rows, strict=True))
        now = dict(zip(self._groups, self._rows.tolist(), strict=True))
        differences = [
            f"group {name!r} had {before.get(name, 'no')} sequences and has {now.get(name, 'none')} now"
            for name in before | now
            if before.get(name) != now.get(name)
        ]
        if not differences and groups != list(self._groups):
            differences = [f"the order of the groups was {groups} and is {list(self._groups)} now"]
        if differences:
            raise InputError("the saved position belongs to other data: " + "; ".join(differences))
        courses = state.get("courses")
        if courses is not None and (not isinstance(courses, list) or len(courses) != len(groups)):
            raise InputError(f"the saved position is damaged: {len(groups)} groups with courses {courses!r}")


def _used_rows(present: list[int], wanted: Sequence[int] | None) -> NDArray[np.int64]:
    rows = present if wanted is None else [int(count) for count in wanted]
    if len(rows) != len(present) or any(not 0 <= n <= most for n, most in zip(rows, present, strict=True)):
        raise InputError(f"rows to use must be one number a group, at most {present}, got {rows}")
    return np.array(rows, np.int64)


def _check_sequences(sequences: Mapping[str, NDArray[Any]]) -> None:
    if not sequences:
        raise InputError("a loader needs at least one group of sequences, got none")
    first, example = next(iter(sequences.items()))
    for name, rows in sequences.items():
        if rows.ndim != 2 or not rows.flags.c_contiguous:
            raise InputError(
                f"sequences of group {name!r} must be a C-contiguous [rows, length] array, "
                f"got shape {rows.shape} with strides {rows.strides}"
            )
        if rows.shape[1] != example.shape[1] or rows.dtype != example.dtype:
            raise InputError(
                f"all groups need sequences of one length and dtype: {first!r} has {example.shape[1]} "
                f"{example.dtype}, {name!r} has {rows.shape[1]} {rows.dtype}"
            )
        if len(rows) > MAX_ROWS:
            raise InputError(f"a group can have {MAX_ROWS} sequences at most, {name!r} has {len(rows)}")
