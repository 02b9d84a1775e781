"""Groups cut down so that a short run repeats them as often as a long one does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.data.loader import Loader
from aioli.data.repetition import matched_rows
from aioli.errors import InputError


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(1, 10**9), st.integers(1, 10**4))
def test_epochs_are_those_of_the_target_within_one_row(rows: list[int], run: int, times: int) -> None:
    target = run * times
    groups = [str(j) for j in range(len(rows))]
    least = min((count for count in rows if count), default=None)
    if least is None or least < times:
        return
    for count, kept in zip(rows, matched_rows(groups, rows, run, target), strict=True):
        exact = count / times
        assert exact <= kept < exact + 1 and (kept > 0) == (count > 0)
        if count:  # passes at proportion 1, in units of a sequence of one token
            assert run / kept == pytest.approx(target / count, rel=1 / exact)
            assert run / kept <= target / count * (1 + 1e-12)


def test_what_cannot_be_matched_is_told_with_the_smallest_run() -> None:
    with pytest.raises(InputError, match="at least those of this run, 100, got 99"):
        matched_rows(["a"], [5], 100, 99)
    with pytest.raises(InputError, match=r"0\.3 of the 3 sequences of 'b': train at least 334 tokens"):
        matched_rows(["a", "b", "none"], [50, 3, 0], 100, 1000)
    assert matched_rows(["a", "b"], [50, 3], 334, 1000) == [17, 2]
    assert matched_rows(["a"], [5], 100, 100) == [5]


def test_a_loader_of_fewer_rows_spreads_them_over_the_file_and_repeats_them() -> None:
    arrays = {"a": np.arange(100, dtype=np.uint16)[:, None].repeat(2, 1), "b": np.zeros((4, 2), np.uint16)}
    loader = Loader(arrays, 5, seed=3, rows=[10, 4])
    first = [batch.tokens[:, 0] for batch in loader.segment({"a": 1.0, "b": 0.0}, 6)]
    epochs = np.concatenate(first).reshape(3, 10)
    assert (np.sort(epochs, axis=1) == np.arange(0, 100, 10)).all()
    assert not np.array_equal(epochs[0], epochs[1]) and loader.epochs.tolist() == [3, 0]
    again = Loader(arrays, 5, seed=3, rows=[10, 4])
    again.load_state_dict(loader.state_dict())
    ours, theirs = (next(each.segment([0.4, 0.6], 1)).tokens for each in (loader, again))
    assert np.array_equal(ours, theirs)
    with pytest.raises(InputError, match="group 'a' had 10 sequences and has 100 now"):
        Loader(arrays, 5, seed=3).load_state_dict(loader.state_dict())
    for wrong in ([10], [101, 4], [-1, 4]):
        with pytest.raises(InputError, match="rows to use must be one number a group"):
            Loader(arrays, 5, seed=3, rows=wrong)
    whole = [Loader(arrays, 5, seed=3, rows=rows) for rows in (None, [100, 4])]
    batches = [next(loader.segment([0.5, 0.5], 1)).tokens for loader in whole]
    assert np.array_equal(*batches)
