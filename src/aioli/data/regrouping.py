"""The position in a run's data carried from its old corpus to a new one, document by document.

Documents are matched by content. What the epoch in progress had read of a document, it has read in the new
files, too, whichever group it is in now; all other tokens of a group whose text changed are dealt before any
comes again (see `aioli.data.order`). A group whose training tokens are the same keeps its very rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.data import order as ordering
from aioli.data import plan as planning
from aioli.data.loader import Loader
from aioli.data.order import Course, Order, Runs, complement, merged
from aioli.data.plan import Plan
from aioli.data.shards import Corpus
from aioli.data.splits import Keys
from aioli.regroup import Regroup

__all__ = ["Carried", "regroup_position"]

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Carried:
    """What became of one group.

    Attributes:
        same: its training tokens are those of its one parent.
        rows: sequences it has. left: as many are dealt, or joined from pieces, before any is repeated.
    """

    name: str
    parents: tuple[str, ...]
    same: bool
    rows: int
    left: int


def regroup_position(
    state: Mapping[str, Any], old: Corpus, new: Corpus, change: Regroup, length: int
) -> tuple[dict[str, Any], list[Carried]]:
    """The state of a `Loader` over `new` that goes on where `state`, of one over `old`, stopped.

    Counts of sequences follow the text (`Regroup.counts`). A group that goes on alone keeps its deficit; what
    the others owed or were owed is shared equally, so that deficits still sum to 0.

    Args:
        length: tokens of a sequence, context + 1.

    Raises:
        InputError: a state that does not belong to `old`, or a corpus that does not note its documents.
    """
    loader = Loader({g: old.sequences(g, "train", length) for g in old.groups}, 1, seed=state["seed"])
    loader.load_state_dict(state)
    plan = planning.from_json(state["plan"], len(old.groups))
    drawn = change.counts(plan.drawn.astype(np.float64)).astype(np.int64)
    number = int(state.get("changes", 0)) + 1
    rows = [len(new.sequences(name, "train", length)) for name in new.groups]
    before = _Before(state, old, new, change, length)
    courses = [
        before.course(name, number, int(count), size)
        for name, count, size in zip(new.groups, drawn, rows, strict=True)
    ]
    order = Order(rows, length, courses, seed=state["seed"])
    told = [
        Carried(name, change.parents[name], before.same[name] is not None, rows[j], left)
        for j, name in enumerate(new.groups)
        for left in [_rows_in(order.unread(j, int(drawn[j])), length)]
    ]
    position = {
        "version": 2,
        "groups": list(new.groups),
        "rows": rows,
        "plan": planning.to_json(_carried_plan(plan, change, drawn)),
        "changes": number,
        "courses": [ordering.to_json(course) for course in courses],
    }
    return {**state, **position}, told


def _carried_plan(plan: Plan, change: Regroup, drawn: Integers) -> Plan:
    """The plan at the beginning of a stretch in the new groups."""
    links = change.shares > 0
    alone = (links.sum(axis=1) == 1) & (links & (links.sum(axis=0) == 1)).any(axis=1)
    base = np.where(alone, links @ planning.deficits(plan), 0.0)
    none = np.zeros(change.new.m, np.int64)
    return Plan(np.zeros(change.new.m), 0, base - base.mean(), 0, none, drawn, plan.deviation)


def _rows_in(runs: Runs, length: int) -> int:
    return int((runs[:, 1] - runs[:, 0]).sum()) // length


class _Before:
    """The old corpus with the position in it, and the new one that takes its place."""

    def __init__(
        self, state: Mapping[str, Any], old: Corpus, new: Corpus, change: Regroup, length: int
    ) -> None:
        self.old, self.new, self.change, self.length = old, new, change, length
        self.drawn = dict(zip(old.groups, state["plan"]["drawn"], strict=True))
        self.rows = dict(zip(old.groups, state["rows"], strict=True))
        saved = state.get("courses")
        courses = map(Course, old.groups) if saved is None else map(ordering.from_json, saved)
        self.order = Order(state["rows"], length, list(courses), seed=state["seed"])
        self.same = {name: self._same(name) for name in new.groups}
        self.cache: dict[str, _Documents] = {}

    def _same(self, name: str) -> str | None:
        """The old group whose training tokens a new one has, if it comes from that one alone."""
        parents = self.change.parents[name]
        if len(parents) != 1:
            return None
        before, now = self.old.split(parents[0], "train"), self.new.split(name, "train")
        return parents[0] if before.sha256 == now.sha256 else None

    def course(self, name: str, number: int, drawn: int, rows: int) -> Course:
        """How a new group of `rows` sequences goes on, `drawn` of them counted as drawn."""
        same = self.same[name]
        if same is not None:
            course = self.order.courses[self.old.groups.index(same)]
            return course._replace(begin=course.begin + drawn - self.drawn[same])
        unread = self._unread(name, rows * self.length)
        if drawn == 0 and np.array_equal(unread, [[0, rows * self.length]]):
            return Course(name)
        first = _rows_in(unread, self.length)
        return Course(f"{name} {number}", drawn + first, _pieces(unread, self.length)[: None if first else 0])

    def _unread(self, name: str, size: int) -> Runs:
        """Which of the first `size` tokens of a new group the epoch in progress had not read."""
        changed = [group for group in self.old.groups if group not in self.same.values()]
        origins = dict.fromkeys([name, *self.change.parents[name], *changed])
        parts = [self._documents(origin) for origin in origins if origin in self.old.groups]
        keys, lengths = self.new.documents(name, "train")
        begin, base = np.cumsum(lengths) - lengths, 0
        read = [np.empty((0, 2), np.int64)]
        place = _matches(
            np.concatenate([np.empty(0, np.uint64), *(part.keys for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)]),
            keys,
            lengths,
        )
        for part in parts:
            at = place[base + part.read[:, 0]]
            read.append(part.read[at >= 0, 1:] + begin[at[at >= 0], None])
            base += part.keys.size
        return complement(merged(np.minimum(np.concatenate(read), size)), size)

    def _documents(self, group: str) -> _Documents:
        if group not in self.cache:
            keys, lengths = self.old.documents(group, "train")
            unread = self.order.unread(self.old.groups.index(group), self.drawn[group])
            read = complement(unread, self.rows[group] * self.length)
            self.cache[group] = _Documents(keys, lengths, _by_document(read, lengths))
        return self.cache[group]


class _Documents(NamedTuple):
    """Documents of an old group: keys [k], tokens [k], and what the epoch in progress has read of them.

    `read` [r, 3] are stretches: the document, and begin and end in it.
    """

    keys: Keys
    lengths: Integers
    read: Integers


def _by_document(runs: Runs, lengths: Integers) -> Integers:
    """Stretches of tokens cut where documents end: [k, 3] document, begin and end in it."""
    ends = np.cumsum(lengths)
    points = np.unique(np.concatenate([runs.ravel(), ends - lengths, ends]))
    begin, end = points[:-1], points[1:]
    inside = np.searchsorted(runs[:, 0], begin, "right") > np.searchsorted(runs[:, 1], begin, "right")
    begin, end = begin[inside], end[inside]
    document = np.searchsorted(ends, begin, "right")
    start = (ends - lengths)[document]
    return np.stack([document, begin - start, end - start], axis=1)


def _matches(old_keys: Keys, old_lengths: Integers, keys: Keys, lengths: Integers) -> Integers:
    """[old k] the new document that each old one is, by key, length and number among its copies; -1: none."""
    pairs = np.stack(
        [np.concatenate([old_keys, keys]), np.concatenate([old_lengths, lengths]).astype(np.uint64)], axis=1
    )
    kind = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    old_kind, kind = kind[: old_keys.size], kind[old_keys.size :]
    copies = max(old_keys.size, keys.size) + 1
    mine, theirs = (each * copies + _copy_number(each) for each in (old_kind, kind))
    _, old_at, new_at = np.intersect1d(mine, theirs, return_indices=True)
    place = np.full(old_keys.size, -1)
    place[old_at] = new_at
    return place


def _copy_number(kind: Integers) -> Integers:
    """[k] how many equal entries come before each."""
    order = np.argsort(kind, kind="stable")
    first = np.searchsorted(kind[order], kind[order], "left")
    number = np.empty(kind.size, np.int64)
    number[order] = np.arange(kind.size) - first
    return number


def _pieces(unread: Runs, length: int) -> Runs:
    """Unread stretches in the order of cutting: the whole rows that fit into each, then what is left."""
    middle = unread[:, 0] + (unread[:, 1] - unread[:, 0]) // length * length
    heads, tails = np.stack([unread[:, 0], middle], axis=1), np.stack([middle, unread[:, 1]], axis=1)
    return np.concatenate([part[part[:, 1] > part[:, 0]] for part in (heads, tails)])
