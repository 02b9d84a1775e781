"""The loader over its conformance suite, and what is its own: ranks' shares, errors, lookahead."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli.data import loader as loading
from aioli.data.loader import Batch, Loader
from aioli.errors import InputError
from aioli.testing.samplers import check_sampler, labelled_sequences, pairs


def test_conformance() -> None:
    check_sampler(Loader)


class Forgetful(Loader):
    """Loses its place: the suite must notice."""

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["plan"]["base"] = [0.0] * len(state["groups"])
        return state


class Repeating(Loader):
    """Draws with replacement: the suite must notice."""

    def segment(self, proportions: Any, steps: int) -> Any:
        for batch in super().segment(proportions, steps):
            batch.tokens[:, 1] //= 2
            yield batch


@pytest.mark.parametrize("broken", [Forgetful, Repeating])
def test_conformance_finds_faults(broken: type[Loader]) -> None:
    with pytest.raises(AssertionError):
        check_sampler(broken)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[int], list[tuple[np.ndarray, int]]]:
    """Rows of each group, some tiny so that epochs run out within a batch, and segments."""
    rows = draw(st.lists(st.integers(1, 40), min_size=1, max_size=6))
    weight = st.sampled_from([0.0, 0.0, 1.0, 1.0, 0.3, 0.01])
    weights = st.lists(weight, min_size=len(rows), max_size=len(rows)).filter(lambda w: sum(w) > 0)
    segment = st.tuples(weights.map(lambda w: np.array(w) / sum(w)), st.integers(0, 6))
    return rows, draw(st.lists(segment, min_size=1, max_size=6))


def play(loader: Loader, segments: list[tuple[np.ndarray, int]], skip: int = 0) -> list[Batch]:
    batches: list[Batch] = []
    for p, steps in segments:
        gone = min(skip, steps)
        skip -= gone
        batches += loader.segment(p, steps - gone)
    return batches


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)
    )


@settings(deadline=None)
@given(schedules(), st.sampled_from([1, 2, 6, 12]), st.data())
def test_any_schedule_resumed_anywhere(
    schedule: tuple[list[int], list], batch: int, data: st.DataObject
) -> None:
    rows, segments = schedule
    whole = Loader(labelled_sequences(rows), batch, seed=1)
    batches = play(whole, segments)
    stop = data.draw(st.integers(0, len(batches)))
    first = Loader(labelled_sequences(rows), batch, seed=1)
    stream = (b for p, steps in segments for b in first.segment(p, steps))
    for _ in range(stop):
        next(stream)
    saved = json.loads(json.dumps(first.state_dict(), sort_keys=True))
    again = Loader(labelled_sequences(rows), batch, seed=1)
    again.load_state_dict(saved)
    assert same(play(again, segments, skip=stop), batches[stop:])
    assert again.state_dict() == whole.state_dict()
    assert again.deviation == whole.deviation


@settings(deadline=None)
@given(schedules(), st.sampled_from([2, 3, 4]), st.data())
def test_ranks_together_are_one_process(
    schedule: tuple[list[int], list], world: int, data: st.DataObject
) -> None:
    rows, segments = schedule
    alone = play(Loader(labelled_sequences(rows), 12, seed=1), segments)
    stop = data.draw(st.integers(0, len(alone)))
    lead = Loader(labelled_sequences(rows), 12, seed=1)
    stream = (b for p, steps in segments for b in lead.segment(p, steps))
    for _ in range(stop):
        next(stream)
    ranks = [Loader(labelled_sequences(rows), 12, seed=1, rank=r, world=world) for r in range(world)]
    shares = []
    for rank in ranks:
        rank.load_state_dict(lead.state_dict())
        shares.append(play(rank, segments, skip=stop))
    for step, whole in enumerate(alone[stop:]):
        parts = [share[step] for share in shares]
        assert sorted(pair for part in parts for pair in pairs(part)) == sorted(pairs(whole))
        for group, count in enumerate(whole.drawn):
            here = [int((part.group == group).sum()) for part in parts]
            assert max(here) - min(here) <= 1 and sum(here) == count


@settings(deadline=None)
@given(schedules(), st.sampled_from([1, 5, 16]))
def test_every_row_once_an_epoch_and_counts_add_up(schedule: tuple[list[int], list], batch: int) -> None:
    rows, segments = schedule
    loader = Loader(labelled_sequences(rows), batch, seed=2)
    seen: list[list[int]] = [[] for _ in rows]
    drawn = np.zeros(len(rows))
    for p, steps in segments:
        for step in loader.segment(p, steps):
            assert (step.drawn[p == 0] == 0).all()
            drawn += step.drawn
            for group, row in pairs(step):
                seen[group].append(row)
            assert loader.drawn.tolist() == drawn.tolist()
    for group, size in enumerate(rows):
        assert len(seen[group]) == drawn[group]
        assert loader.epochs[group] == drawn[group] / size
        # within a step rows may come in either order where two epochs meet: count, not order
        full = int(drawn[group] // size)
        counts = np.bincount(seen[group], minlength=size)
        assert counts.min(initial=full) >= full and counts.max(initial=full) <= full + 1


@settings(deadline=None, max_examples=30)
@given(schedules(), st.integers(1, 64))
def test_how_far_is_planned_ahead_does_not_matter(schedule: tuple[list[int], list], ahead: int) -> None:
    rows, segments = schedule
    batches = play(Loader(labelled_sequences(rows), 4, seed=1), segments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_AHEAD_ROWS", ahead)
        loader = Loader(labelled_sequences(rows), 4, seed=1)
        assert same(play(loader, segments), batches)


def test_every_rank_sees_every_group_in_turn() -> None:
    """A group with one sequence a step must not always fall to the same rank."""
    loaders = [Loader(labelled_sequences([50, 50]), 2, seed=0, rank=r, world=2) for r in range(2)]
    for loader in loaders:
        groups = [int(batch.group[0]) for batch in loader.segment(np.array([0.5, 0.5]), 10)]
        assert set(groups[:2]) == {0, 1}


def test_batches_belong_to_the_caller() -> None:
    loader = Loader(labelled_sequences([20, 20]), 4, seed=0)
    untouched = play(Loader(labelled_sequences([20, 20]), 4, seed=0), [(np.array([0.3, 0.7]), 6)])
    for batch, other in zip(loader.segment(np.array([0.3, 0.7]), 6), untouched, strict=True):
        assert same([batch], [other])
        state = loader.state_dict()
        for array in batch:
            array[:] = 0
        assert loader.state_dict() == state


def test_a_stopped_segment_leaves_the_position_at_its_last_batch() -> None:
    segments = [(np.array([0.3, 0.7]), 3), (np.array([0.6, 0.4]), 4)]
    expected = play(Loader(labelled_sequences([20, 20]), 4, seed=0), segments)
    loader = Loader(labelled_sequences([20, 20]), 4, seed=0)
    stopped = loader.segment(segments[0][0], 100)
    got = [next(stopped) for _ in range(3)]
    loader.segment(np.array([1.0, 0.0]), 5)  # asked for but never begun: no effect
    assert same(got + list(loader.segment(*segments[1])), expected)
    with pytest.raises(RuntimeError, match="another was started"):
        next(stopped)


def test_changing_the_batch_on_resume_keeps_the_rows() -> None:
    p = np.array([0.3, 0.7])
    loader = Loader(labelled_sequences([20, 20]), 4, seed=0)
    rows = [pair for batch in loader.segment(p, 5) for pair in pairs(batch)]
    wide = Loader(labelled_sequences([20, 20]), 10, seed=0)
    wide.load_state_dict(loader.state_dict())
    rows += [pair for batch in wide.segment(p, 2) for pair in pairs(batch)]
    assert wide.drawn.tolist() == [12, 28] and wide.deviation <= 1
    assert len(set(rows[:20])) == 20 and {row for group, row in rows if group == 1} == set(range(20))


def test_memory_maps_are_read_in_place(tmp_path: Any) -> None:
    path = tmp_path / "train.bin"
    tokens = np.arange(1000, dtype="<u4")
    tokens.tofile(path)
    rows = np.memmap(path, dtype="<u4", mode="r")[:990].reshape(-1, 9)
    (batch,) = Loader({"law": rows}, 110, seed=0).segment(np.array([1.0]), 1)
    assert type(batch.tokens) is np.ndarray and batch.tokens.dtype == np.uint32
    assert np.array_equal(np.sort(batch.tokens[:, 0]), np.arange(0, 990, 9))
    assert (np.diff(batch.tokens.astype(int), axis=1) == 1).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"batch": 0}, "positive multiple"),
        ({"batch": 8, "world": 3}, r"number of processes \(3\), got 8"),
        ({"batch": 8, "rank": 2, "world": 2}, "rank 2 of world 2"),
        ({"sequences": {}}, "at least one group"),
        ({"sequences": {"a": np.zeros(5, np.uint16)}}, "'a' must be a C-contiguous"),
        ({"sequences": {"a": np.zeros((4, 6), np.uint16)[:, ::2]}}, "C-contiguous"),
        ({"sequences": {"a": np.zeros((4, 6), np.uint16), "b": np.zeros((4, 5), np.uint16)}}, "'b' has 5"),
        ({"sequences": {"a": np.zeros((4, 6), np.uint16), "b": np.zeros((4, 6), np.uint32)}}, "uint32"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Loader(**({"sequences": labelled_sequences(), "batch": 4, "seed": 0} | arguments))


def test_bad_segments_are_refused_before_they_begin() -> None:
    loader = Loader(labelled_sequences([0, 5]), 4, seed=0)
    for p, says in (([0.5, 0.5], "'group-0' has no sequences"), ([0.0, 0.5], "sum to 1"), ([1.0], "2 prop")):
        with pytest.raises(InputError, match=says):
            loader.segment(np.array(p), 1)
    with pytest.raises(InputError, match="0 steps or more"):
        loader.segment(np.array([0.0, 1.0]), -1)
    assert loader.epochs.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": [7, 12, 31]}, "'group-2' had 31 sequences and has 30 now"),
        ({"groups": ["group-0", "group-1", "law"]}, "'group-2' had no sequences"),
        ({"groups": ["group-0", "group-1"], "rows": [7, 12]}, "'group-2' had no sequences and has 30"),
        ({"groups": ["group-1", "group-0", "group-2"], "rows": [12, 7, 30]}, "order of the groups"),
        ({"seed": 4}, "seed is 0, the saved position's is 4"),
        ({"version": 2}, "version"),
        ({"shuffle": 9}, "shuffle"),
        ({"groups": None}, "damaged"),
        ({"plan": None}, "damaged"),
        ({"plan": {"version": 1}}, "damaged"),
    ],
)
def test_positions_that_do_not_fit_are_refused_and_change_nothing(change: dict, says: str) -> None:
    loader = Loader(labelled_sequences(), 4, seed=0)
    list(loader.segment(np.array([0.5, 0.3, 0.2]), 3))
    before = loader.state_dict()
    with pytest.raises(InputError, match=says):
        loader.load_state_dict(before | change)
    assert loader.state_dict() == before
