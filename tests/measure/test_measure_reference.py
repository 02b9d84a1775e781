"""Excess over a frozen model: clipped token by token, then averaged."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from aioli.errors import InputError
from aioli.measure.base import Context, FrozenModel
from aioli.measure.meter import Meter
from aioli.protocol import Problem, Signal

EXCESS, REFERENCE = Signal.EXCESS_LOSS, Signal.REFERENCE_LOSS
NEEDS = {EXCESS, REFERENCE}


class Batch(NamedTuple):
    tokens: np.ndarray
    group: np.ndarray


def make(reference: torch.Tensor, groups: int = 3, cost: float = 1.0) -> Meter:
    """The frozen model's losses of sequence k of the batch are row k of `reference`."""
    problem = Problem(tuple("abc"[:groups]), (9,) * groups, 10, 1)
    frozen = FrozenModel(lambda tokens: reference[tokens[:, 0]], cost)
    return Meter(NEEDS, Context(problem, lambda tokens: torch.zeros(0), reference=lambda: frozen))


def batch(group: list[int], length: int) -> Batch:
    rows = np.arange(len(group))[:, None].repeat(length + 1, axis=1)
    return Batch(rows, np.array(group))


def test_worked_numbers() -> None:
    """Clipping after averaging would give .20 for the first group and 0 for the second."""
    reference = torch.full((3, 12), 3.0, dtype=torch.float64)
    excess = torch.tensor([[0.4, -0.2, 0.1, 0.5], [-0.3, -0.1, 0.2, 9.0], [0.3, 0.1, 9.0, 9.0]])
    rows = [excess[0].repeat(3), excess[1, :3].repeat(4), excess[2, :2].repeat(6)]
    meter = make(reference)
    seen = meter.begin(NEEDS)
    seen.peek(lambda: batch([0, 1, 2], 12), lambda _: reference + torch.stack(rows))
    values = seen.finish()
    np.testing.assert_allclose(values[EXCESS], [0.25, 0.2 / 3, 0.2], atol=1e-7)
    np.testing.assert_allclose(values[REFERENCE], [3.0, 3.0, 3.0])


def test_over_a_segment_every_token_counts_alike_and_absent_groups_are_nan() -> None:
    rng = np.random.default_rng(0)
    reference = torch.from_numpy(rng.normal(3, 1, (4, 5)))
    meter = make(reference, cost=0.25)
    seen = meter.begin(NEEDS)
    tokens: dict[int, list[float]] = {0: [], 1: []}
    frozen: dict[int, list[float]] = {0: [], 1: []}
    for group in ([0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]):
        losses = torch.from_numpy(rng.normal(3, 1, (4, 5))).requires_grad_()
        seen.add(batch(group, 5), losses)
        seen = resumed(meter, reference)
        for j, ours, theirs in zip(group, losses.detach().numpy(), reference.numpy(), strict=True):
            tokens[j] += np.maximum(ours - theirs, 0).tolist()
            frozen[j] += theirs.tolist()
        meter = seen
    values = seen.finish()
    np.testing.assert_allclose(values[EXCESS], [np.mean(tokens[0]), np.mean(tokens[1]), np.nan])
    np.testing.assert_allclose(values[REFERENCE], [np.mean(frozen[0]), np.mean(frozen[1]), np.nan])
    assert meter.tokens_read == 3 * 4 * 5 and meter.work == 0.25 * meter.tokens_read


def resumed(meter: Meter, reference: torch.Tensor) -> Meter:
    other = make(reference, cost=0.25)
    other.load_state_dict(json.loads(json.dumps(meter.state_dict())))
    return other.begin(NEEDS)


def test_means_of_sequences_are_not_enough() -> None:
    seen = make(torch.zeros(2, 5)).begin(NEEDS)
    with pytest.raises(
        InputError, match=r"token by token: give the meter losses of shape \(2, 5\).*got \(2,\)"
    ):
        seen.add(batch([0, 1], 5), torch.zeros(2))
    seen = make(torch.ones(2, 5)).begin({REFERENCE})
    seen.add(batch([0, 1], 5), torch.zeros(2))
    np.testing.assert_array_equal(seen.finish()[REFERENCE], [1.0, 1.0, np.nan])
