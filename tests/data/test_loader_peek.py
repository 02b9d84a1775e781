"""Looking at what the loader draws next, without moving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli.data.loader import Batch, Loader
from aioli.errors import InputError
from aioli.testing.samplers import labelled_sequences, pairs

Segment = tuple[np.ndarray, int]


@st.composite
def segments(draw: st.DrawFn, groups: int) -> Segment:
    weight = st.sampled_from([0.0, 1.0, 1.0, 0.3, 0.01])
    weights = draw(st.lists(weight, min_size=groups, max_size=groups).filter(lambda w: sum(w) > 0))
    return np.array(weights) / sum(weights), draw(st.integers(0, 4))


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[int], list[Segment]]:
    """Rows of each group, some so few that epochs end within a batch, and segments."""
    rows = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    return rows, draw(st.lists(segments(len(rows)), min_size=1, max_size=5))


def same(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


@settings(deadline=None)
@given(schedules(), st.sampled_from([1, 2, 6, 12]), st.data())
def test_a_peek_is_the_next_batch_and_changes_nothing(
    schedule: tuple[list[int], list[Segment]], batch: int, data: st.DataObject
) -> None:
    """Between segments and inside them, for any rank, on the segment's proportions or on others."""
    rows, plan = schedule
    world = data.draw(st.sampled_from([w for w in (1, 2, 3) if batch % w == 0]))
    rank = data.draw(st.integers(0, world - 1))
    make = {"batch": batch, "seed": 3, "rank": rank, "world": world}
    sequences = labelled_sequences(rows)
    plain, peeking = Loader(sequences, **make), Loader(sequences, **make)
    other, _ = data.draw(segments(len(rows)))
    for p, steps in plan:
        expected = list(plain.segment(p, steps))
        got = []
        due = peeking.peek(p)
        for drawn in peeking.segment(p, steps):
            assert same(due, drawn)
            got.append(drawn)
            peeking.peek(other)
            peeking.upcoming(3)
            due = peeking.peek(p)
        assert all(same(a, b) for a, b in zip(expected, got, strict=True))
        assert plain.state_dict() == peeking.state_dict()


@settings(deadline=None)
@given(schedules(), st.integers(1, 9), st.data())
def test_upcoming_rows_are_those_that_the_group_yields_next(
    schedule: tuple[list[int], list[Segment]], count: int, data: st.DataObject
) -> None:
    rows, plan = schedule
    ranks = [Loader(labelled_sequences(rows), batch=6, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for loader in ranks:
        for p, steps in plan:
            list(loader.segment(p, steps))
    group = data.draw(st.integers(0, len(rows) - 1))
    seen = [loader.upcoming(count) for loader in ranks]
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))
    assert [len(part) for part in seen[0]] == [min(count, n) for n in rows]
    alone = Loader(labelled_sequences(rows), batch=1, seed=1)
    alone.load_state_dict(ranks[0].state_dict())
    only = np.eye(len(rows))[group]
    drawn = [pair for batch in alone.segment(only, len(seen[0][group])) for pair in pairs(batch)]
    assert [tuple(row) for row in seen[0][group].tolist()] == drawn


def test_what_cannot_be_drawn_cannot_be_peeked_at() -> None:
    loader = Loader(labelled_sequences([3, 0]), batch=2, seed=0)
    with pytest.raises(InputError, match="group 'group-1' has no sequences"):
        loader.peek(np.array([0.5, 0.5]))
    assert [len(part) for part in loader.upcoming(2)] == [2, 0]
