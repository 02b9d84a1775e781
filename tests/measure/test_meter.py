"""Meter: group means by hand, pairing, exact state inside a segment."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from aioli.errors import InputError
from aioli.measure.base import Context
from aioli.measure.meter import Meter, check_signals
from aioli.protocol import Problem, Signal
from aioli.training.settings import EvaluationSettings

TRAIN, LOSS, ERROR = Signal.TRAIN_LOSS, Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR


class Seen(NamedTuple):
    tokens: np.ndarray
    group: np.ndarray


def batch(*groups: int) -> Seen:
    return Seen(np.zeros((len(groups), 5), dtype=np.uint16), np.array(groups, dtype=np.int64))


def context(groups: int, openings: list[int] | None = None) -> Context:
    """Of a loop that counts the sequences of every validation, or of one without held-out text."""
    problem = Problem(tuple("abcdefgh"[:groups]), (100,) * groups, 10, 1, targets=("law",))

    def losses(tokens: np.ndarray) -> torch.Tensor:
        assert openings is not None
        openings.append(len(tokens))
        return torch.from_numpy(tokens[:, 0].astype(np.float32) / (1 + len(openings)))

    rows = np.arange(300, dtype=np.uint16).repeat(5).reshape(300, 5)
    held_out = {} if openings is None else {"law": rows}
    return Context(problem, losses, held_out, EvaluationSettings(max_sequences=200), batch=1000)


def make(groups: int, openings: list[int] | None = None) -> Meter:
    return Meter({TRAIN} if openings is None else {TRAIN, LOSS, ERROR}, context(groups, openings))


def test_train_loss_is_the_mean_over_the_segment_s_sequences() -> None:
    meter = make(3)
    seen = meter.begin({TRAIN})
    seen.add(batch(0, 0, 2), torch.tensor([1.0, 2.0, 5.0], requires_grad=True))
    seen.add(batch(2, 0, 2), torch.tensor([7.0, 6.0, 0.5]))
    values = seen.finish()
    np.testing.assert_array_equal(values[TRAIN], [3.0, np.nan, 12.5 / 3])
    assert list(values) == [TRAIN]
    seen = meter.begin({TRAIN})
    seen.add(batch(1), torch.tensor([4.0]))
    np.testing.assert_array_equal(seen.finish()[TRAIN], [np.nan, 4.0, np.nan])


def test_sums_are_float64() -> None:
    meter = make(1)
    seen = meter.begin({TRAIN})
    losses = np.random.default_rng(0).uniform(1, 9, size=(2000, 8)).astype(np.float32)
    for row in losses:
        seen.add(batch(*[0] * 8), torch.from_numpy(row))
    np.testing.assert_allclose(seen.finish()[TRAIN], losses.astype(np.float64).mean(), rtol=1e-14)


def test_only_what_was_asked_for_is_measured_and_returned() -> None:
    read: list[int] = []
    meter = make(1, read)
    assert meter.begin(()).finish() == {} and not read
    assert list(meter.begin({TRAIN}).finish()) == [TRAIN] and not read
    assert list(meter.begin({LOSS}).finish()) == [LOSS] and read == [32]
    assert set(meter.begin({TRAIN, LOSS, ERROR}).finish()) == {TRAIN, LOSS, ERROR}


def test_a_segment_without_steps_opens_a_new_pairing() -> None:
    read: list[int] = []
    meter = make(1, read)
    meter.begin({LOSS}).finish()
    for _ in range(3):
        seen = meter.begin({LOSS})
        seen.add(batch(0), torch.tensor([1.0]))
        seen.finish()
    meter.begin({LOSS}).finish()
    assert read[:4] == [32] * 4 and read[4] != 32


def test_a_peek_is_no_step_and_makes_only_what_is_needed() -> None:
    made: list[str] = []

    def due() -> Seen:
        made.append("batch")
        return batch(0, 1, 1)

    def losses(batch: Seen) -> torch.Tensor:
        made.append("losses")
        return torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])

    read: list[int] = []
    meter = make(3, read)
    seen = meter.begin({LOSS})
    seen.peek(due, losses)
    seen.finish()
    assert not made
    seen = meter.begin({TRAIN, LOSS})
    seen.peek(due, losses)
    np.testing.assert_array_equal(seen.finish()[TRAIN], [1.5, 2.0, np.nan])
    assert made == ["batch", "losses"] and meter.tokens_read == sum(read) * 4 == meter.work


def test_only_the_measures_that_are_needed_are_built() -> None:
    read: list[int] = []
    meter = Meter({TRAIN}, context(2, read))
    assert list(meter.state_dict()["measures"]) == ["aioli.measure.losses:TrainLoss"]
    assert meter.evaluator is None and Meter((), context(2)).begin(()).finish() == {}


def test_a_state_from_before_there_were_measures_is_continued() -> None:
    old, new = make(2, []), make(2, [])
    seen = old.begin({TRAIN, LOSS})
    seen.add(batch(0), torch.tensor([3.0]))
    saved = old.state_dict()
    train, validation = saved["measures"].values()
    first_layout = {k: saved[k] for k in ("open", "steps")} | {
        "losses": train["losses"],
        "evaluator": validation,
    }
    new.load_state_dict(first_layout)
    np.testing.assert_array_equal(new.begin({TRAIN, LOSS}).finish()[TRAIN], [3.0, np.nan])
    assert new.tokens_read == 32 * 4


def test_a_checkpoint_inside_a_segment_is_exact() -> None:
    rng = np.random.default_rng(1)
    steps = [
        (batch(*rng.integers(0, 3, 8).tolist()), torch.from_numpy(rng.normal(3, 1, 8).astype(np.float32)))
        for _ in range(20)
    ]
    for stop in (0, 1, 13, 20):
        whole, first, second = (make(3, []) for _ in range(3))
        seen = whole.begin({TRAIN, LOSS})
        for step in steps:
            seen.add(*step)
        seen = first.begin({TRAIN, LOSS})
        for step in steps[:stop]:
            seen.add(*step)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        seen = second.begin({TRAIN, LOSS})
        for step in steps[stop:]:
            seen.add(*step)
        expected, got = whole.finish(), second.finish()
        for signal in (TRAIN, LOSS):
            np.testing.assert_array_equal(expected[signal], got[signal])
        assert second.begin({TRAIN}).finish()[TRAIN].tolist() != got[TRAIN].tolist()


def test_a_state_of_other_groups_is_refused_and_changes_nothing() -> None:
    meter, other = make(3), make(2)
    meter.begin({TRAIN}).add(batch(0, 2), torch.tensor([3.0, 4.0]))
    with pytest.raises(InputError, match="saved meter has 3 groups, this one has 2"):
        other.load_state_dict(meter.state_dict())
    assert other.state_dict() == make(2).state_dict()


def test_a_closed_segment_is_not_continued() -> None:
    meter, other = make(1), make(1)
    seen = meter.begin({TRAIN})
    seen.add(batch(0), torch.tensor([3.0]))
    seen.finish()
    other.load_state_dict(meter.state_dict())
    assert np.isnan(other.begin({TRAIN}).finish()[TRAIN]).all()


def test_signals_that_cannot_be_measured_are_refused_naming_both_sides() -> None:
    with pytest.raises(InputError, match=r"needs validation_loss; this loop measures train_loss, so valid"):
        check_signals({LOSS}, context(2))
    with pytest.raises(InputError, match=r"excess_loss cannot be had: name a finished run .* 'reference'"):
        Meter({Signal.EXCESS_LOSS, LOSS}, context(2, []))
    with pytest.raises(InputError, match=r"asked to measure validation_loss, .* made for train_loss"):
        make(2).begin({TRAIN, LOSS})
    check_signals({TRAIN, LOSS, ERROR}, context(2, []))
