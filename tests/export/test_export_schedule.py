"""A run's journal as stages, and fewer stages with a stated error."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.export.blend import Stage
from aioli.export.schedule import merge, schedule_of, stretch
from aioli.journal import Journal, Record
from aioli.protocol import Observation, Problem, Request


def record(step: int, steps: int, *proportions: float) -> Record:
    return Record(Request(np.array(proportions), steps), Observation(step, np.array(proportions), {}))


def test_a_journal_becomes_stages_of_what_was_trained():
    records = (
        record(10, 10, 0.5, 0.5),
        record(10, 0, 1, 0),
        record(25, 15, 0.5, 0.5),
        record(30, 5, 0.2, 0.8),
    )
    problem = Problem(("a", "b"), (100, 100), 30, 4)
    groups, stages, steps = schedule_of(Journal(problem, "m", records))
    assert (groups, steps) == (("a", "b"), 30)
    assert [(stage.step, stage.proportions.tolist()) for stage in stages] == [
        (0, [0.5, 0.5]),
        (25, [0.2, 0.8]),
    ]
    with pytest.raises(InputError, match="no trained steps"):
        schedule_of(Journal(problem, "m", ()))


def test_what_changes_little_is_merged_first():
    stages = [Stage(step, np.array([p, 1 - p])) for step, p in ((0, 0.9), (10, 0.88), (20, 0.3), (90, 0.31))]
    found = merge(stages, 100, 2)
    assert [stage.step for stage in found.stages] == [0, 20]
    assert found.stages[0].proportions == pytest.approx([0.89, 0.11])
    assert found.stages[1].proportions[0] == pytest.approx((0.3 * 70 + 0.31 * 10) / 80)
    assert found.largest_error == pytest.approx(0.01)


schedules = st.lists(
    st.tuples(st.integers(1, 50), st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)),
    min_size=1,
    max_size=7,
)


@given(schedules, st.integers(1, 8))
def test_the_split_is_the_best_and_keeps_the_mean(segments, most):
    lengths = np.array([length for length, _ in segments], dtype=np.float64)
    values = np.array([np.array(v) / sum(v) for _, v in segments])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
    stages = [Stage(int(s), v) for s, v in zip(starts, values, strict=True)]
    steps = int(lengths.sum())
    found = merge(stages, steps, most)

    def cost(bounds):
        parts = [slice(a, b) for a, b in pairwise((0, *bounds, len(lengths)))]
        means = [np.average(values[p], axis=0, weights=lengths[p]) for p in parts]
        return sum(
            (lengths[p, None] * (values[p] - mean) ** 2).sum() for p, mean in zip(parts, means, strict=True)
        )

    few = min(most, len(segments))
    best = min(cost(bounds) for k in range(few) for bounds in combinations(range(1, len(segments)), k))
    chosen = [int(np.flatnonzero(starts == stage.step)[0]) for stage in found.stages[1:]]
    assert cost(chosen) == pytest.approx(best, abs=1e-9)
    spans = np.diff([*(stage.step for stage in found.stages), steps])
    kept = np.average([stage.proportions for stage in found.stages], axis=0, weights=spans)
    assert kept == pytest.approx(np.average(values, axis=0, weights=lengths))
    assert found.mean == pytest.approx(kept)
    assert 0 <= found.mean_error <= found.largest_error + 1e-12


def test_all_stages_kept_is_exact():
    stages = [Stage(0, np.array([0.9, 0.1])), Stage(7, np.array([0.2, 0.8]))]
    found = merge(stages, 10, 5)
    assert len(found.stages) == 2 and found.largest_error == pytest.approx(0, abs=1e-12)


def test_stretching_drops_what_has_no_step_left():
    stages = [Stage(step, np.ones(1)) for step in (0, 1, 900, 999)]
    assert [stage.step for stage in stretch(stages, 1000, 10)] == [0, 9]
