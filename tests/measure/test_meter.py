"""Meter: group means by hand, pairing, exact state inside a segment."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from aioli.errors import InputError
from aioli.measure.evaluate import Evaluator
from aioli.measure.meter import Meter, check_signals
from aioli.protocol import Signal

TRAIN, LOSS, ERROR = Signal.TRAIN_LOSS, Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR


class Seen(NamedTuple):
    group: np.ndarray


def batch(*groups: int) -> Seen:
    return Seen(np.array(groups, dtype=np.int64))


def evaluator(openings: list[int]) -> Evaluator:
    """Counts the sequences of every measurement."""

    def losses(tokens: np.ndarray) -> torch.Tensor:
        openings.append(len(tokens))
        return torch.from_numpy(tokens[:, 0].astype(np.float32) / (1 + len(openings)))

    rows = np.arange(300, dtype=np.uint16).repeat(5).reshape(300, 5)
    return Evaluator(losses, {"law": rows}, batch=1000, max_sequences=200)


def test_train_loss_is_the_mean_over_the_segment_s_sequences() -> None:
    meter = Meter(3)
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
    meter = Meter(1)
    seen = meter.begin({TRAIN})
    losses = np.random.default_rng(0).uniform(1, 9, size=(2000, 8)).astype(np.float32)
    for row in losses:
        seen.add(batch(*[0] * 8), torch.from_numpy(row))
    np.testing.assert_allclose(seen.finish()[TRAIN], losses.astype(np.float64).mean(), rtol=1e-14)


def test_only_what_was_asked_for_is_measured_and_returned() -> None:
    read: list[int] = []
    meter = Meter(1, evaluator(read))
    assert meter.begin(()).finish() == {} and not read
    assert list(meter.begin({TRAIN}).finish()) == [TRAIN] and not read
    assert list(meter.begin({LOSS}).finish()) == [LOSS] and read == [32]
    assert set(meter.begin({TRAIN, LOSS, ERROR}).finish()) == {TRAIN, LOSS, ERROR}


def test_a_segment_without_steps_opens_a_new_pairing() -> None:
    read: list[int] = []
    meter = Meter(1, evaluator(read))
    meter.begin({LOSS}).finish()
    for _ in range(3):
        seen = meter.begin({LOSS})
        seen.add(batch(0), torch.tensor([1.0]))
        seen.finish()
    meter.begin({LOSS}).finish()
    assert read[:4] == [32] * 4 and read[4] != 32


def test_a_checkpoint_inside_a_segment_is_exact() -> None:
    rng = np.random.default_rng(1)
    steps = [
        (batch(*rng.integers(0, 3, 8).tolist()), torch.from_numpy(rng.normal(3, 1, 8).astype(np.float32)))
        for _ in range(20)
    ]
    for stop in (0, 1, 13, 20):
        whole, first, second = (Meter(3, evaluator([])) for _ in range(3))
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
    meter, other = Meter(3), Meter(2)
    meter.begin({TRAIN}).add(batch(0, 2), torch.tensor([3.0, 4.0]))
    with pytest.raises(InputError, match="saved meter has 3 groups, this one has 2"):
        other.load_state_dict(meter.state_dict())
    assert other.state_dict() == Meter(2).state_dict()


def test_a_closed_segment_is_not_continued() -> None:
    meter, other = Meter(1), Meter(1)
    seen = meter.begin({TRAIN})
    seen.add(batch(0), torch.tensor([3.0]))
    seen.finish()
    other.load_state_dict(meter.state_dict())
    assert np.isnan(other.begin({TRAIN}).finish()[TRAIN]).all()


def test_signals_that_cannot_be_measured_are_refused_naming_both_sides() -> None:
    with pytest.raises(InputError, match=r"needs validation_loss; this loop measures train_loss, so valid"):
        check_signals({LOSS}, Meter(2).available)
    with pytest.raises(InputError, match="validation_loss cannot be had"):
        Meter(2).begin({TRAIN, LOSS})
    check_signals({TRAIN, LOSS, ERROR}, Meter(2, evaluator([])).available)
