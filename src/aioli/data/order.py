"""Which row comes at which position of a group, also when its text has changed in the middle of an epoch.

A group whose text changed first deals what the epoch in progress had not dealt yet: tokens of the new files
in pieces, cut into rows of their own. Only then do whole epochs of the new rows follow. So no token comes
again before every other token of the epoch has come once; the fewer than one row of tokens that are left
over from cutting, at the end of the pieces, wait for the next epoch.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.data.shuffle import Shuffle
from aioli.errors import InputError

__all__ = ["Course", "Order", "Runs", "complement", "from_json", "merged", "to_json"]

Integers = NDArray[np.int64]
Runs = NDArray[np.int64]
"""[k, 2] begin and end of stretches of tokens, ascending and apart."""


class Course(NamedTuple):
    """How the rows of one group are dealt.

    Attributes:
        key: names its shuffles.
        begin: sequences drawn of the group when its whole epochs begin.
        pieces: [k, 2] begin and end, in tokens, of what is dealt before that, in the order of cutting.
    """

    key: str
    begin: int = 0
    pieces: Runs = np.empty((0, 2), np.int64)


class Order:
    """The order of all groups: `rows` [m] rows of `length` tokens, shuffled by `seed`.

    Rows are numbered 0 ... rows_j - 1 as they lie in the files; those cut from pieces follow them.
    """

    def __init__(self, rows: Sequence[int], length: int, courses: Sequence[Course], *, seed: int) -> None:
        self.courses = tuple(courses)
        self._length = length
        self._rows = np.array(rows, np.int64)
        self._ends = [np.cumsum(course.pieces[:, 1] - course.pieces[:, 0]) for course in self.courses]
        self._rest = np.array([end[-1] // length if end.size else 0 for end in self._ends], np.int64)
        self._begin = np.array([course.begin for course in self.courses], np.int64)
        keys = [course.key for course in self.courses]
        self._whole = Shuffle(keys, self._rows.tolist(), seed=seed)
        self._pieces = Shuffle([f"{key} rest" for key in keys], self._rest.tolist(), seed=seed)

    def rows_at(self, first: Integers, count: Integers) -> Integers:
        """Rows at positions first, ..., first + count - 1 ([m] each) of every group, group by group."""
        early = np.clip(self._begin - first, 0, count)
        later = self._whole.rows_at(np.maximum(first - self._begin, 0), count - early)
        if not early.any():
            return later
        rest = self._pieces.rows_at(first - (self._begin - self._rest), early) + np.repeat(self._rows, early)
        rows = np.empty(int(count.sum()), np.int64)
        start = np.cumsum(count) - count
        for part, size, at in ((rest, early, start), (later, count - early, start + early)):
            rows[np.arange(part.size) + np.repeat(at - np.cumsum(size) + size, size)] = part
        return rows

    def take(
        self, group: int, array: NDArray[Any], rows: Integers, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """The tokens [k, length] of `rows` [k] of a group, whose file is `array` [rows, length].

        Of a file with more rows than the group has, those are used that lie evenly spread over it.
        """
        cut = rows >= self._rows[group]
        if not cut.any():
            spread = rows
            if self._rows[group] < len(array):
                count, all_rows = np.uint64(self._rows[group]), np.uint64(len(array))
                spread = (rows.astype(np.uint64) * all_rows // count).astype(np.int64)
            return array.take(spread, 0, out, "clip")
        tokens = np.empty((rows.size, self._length), array.dtype) if out is None else out
        place = (rows[cut, None] - len(array)) * self._length + np.arange(self._length)
        tokens[cut] = array.reshape(-1)[self._tokens(group, place)]
        tokens[~cut] = array[rows[~cut]]
        return tokens

    def unread(self, group: int, drawn: int) -> Runs:
        """The tokens that the group's epoch in progress has still to deal after `drawn` sequences.

        An epoch is in progress until the first row of the next one is drawn.
        """
        rows, length = int(self._rows[group]), self._length
        begin = int(self._begin[group])
        position = drawn - begin
        if drawn == begin == 0 and not self._rest[group]:
            return np.array([[0, rows * length]], np.int64)
        if position >= 0 and position % max(rows, 1) == 0:
            return np.empty((0, 2), np.int64)
        left = -position if position < 0 else rows - position % rows
        only = np.arange(self._rows.size) == group
        at = self.rows_at(np.where(only, drawn, 0), np.where(only, left, 0))
        if position >= 0:
            return merged(np.stack([at, at + 1], axis=1) * length)
        return self._spans(group, np.sort(at - rows))

    def _tokens(self, group: int, place: Integers) -> Integers:
        """Tokens of the file at places of the joined pieces."""
        pieces, ends = self.courses[group].pieces, self._ends[group]
        piece = np.searchsorted(ends, place, "right")
        return pieces[piece, 1] - ends[piece] + place

    def _spans(self, group: int, cut: Integers) -> Runs:
        """The stretches of tokens that rows cut from the pieces cover."""
        ends = self._ends[group]
        first = cut * self._length
        bounds = np.unique(
            np.concatenate([first, first + self._length, ends[ends < first[-1] + self._length]])
        )
        begin, end = bounds[:-1], bounds[1:]
        within = np.isin(begin // self._length, cut)
        start = self._tokens(group, begin[within])
        return merged(np.stack([start, start + (end - begin)[within]], axis=1))


def merged(spans: Integers) -> Runs:
    """Spans [k, 2] that do not overlap, in ascending order, with those that touch made one.

    >>> merged(np.array([[4, 6], [0, 2], [2, 3]])).tolist()
    [[0, 3], [4, 6]]
    """
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    spans = spans[spans[:, 1] > spans[:, 0]]
    new = np.ones(len(spans), bool)
    new[1:] = spans[1:, 0] != spans[:-1, 1]
    last = np.append(np.flatnonzero(new)[1:], len(spans)) - 1
    return np.stack([spans[new, 0], spans[last, 1]], axis=1) if len(spans) else spans


def complement(runs: Runs, size: int) -> Runs:
    """What the runs leave of 0 ... size.

    >>> complement(np.array([[0, 3], [4, 6]]), 9).tolist()
    [[3, 4], [6, 9]]
    """
    bounds = np.concatenate([[0], runs.ravel(), [size]]).reshape(-1, 2)
    return bounds[bounds[:, 1] > bounds[:, 0]]


def to_json(course: Course) -> dict[str, Any]:
    """The course as JSON values; `from_json` gives back the same."""
    steps = np.diff(course.pieces.ravel(), prepend=0).astype("<i8")
    packed = base64.b64encode(zlib.compress(steps.tobytes())).decode()
    return {"key": course.key, "begin": course.begin, "pieces": packed if steps.size else ""}


def from_json(saved: Mapping[str, Any]) -> Course:
    """Read what `to_json` wrote.

    Raises:
        InputError: a damaged record.
    """
    try:
        raw = zlib.decompress(base64.b64decode(saved["pieces"])) if saved["pieces"] else b""
        pieces = np.cumsum(np.frombuffer(raw, "<i8").astype(np.int64)).reshape(-1, 2)
        return Course(str(saved["key"]), int(saved["begin"]), pieces)
    except (KeyError, TypeError, ValueError, zlib.error) as problem:
        raise InputError(f"the order of rows in this checkpoint is damaged: {problem!r}") from None
