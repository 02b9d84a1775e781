"""The slope along the preconditioned target gradient, against autograd and against real small steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from aioli.data.shuffle import Shuffle
from aioli.measure.directional import preconditioner
from aioli.measure.meter import Meter
from aioli.protocol import Signal

DIRECTIONAL = Signal.DIRECTIONAL
TinyRuns = Callable[..., Any]


def measure(run: Any) -> np.ndarray:
    return Meter({DIRECTIONAL}, run.context).begin({DIRECTIONAL}).finish()[DIRECTIONAL]


def target_gradient(run: Any) -> np.ndarray:
    """Of the weighted mean over the targets, on the sequences that the first measurement reads."""
    total = np.zeros(run.model.parameters_count)
    pairs = zip(run.context.problem.weights, run.context.held_out.items(), strict=True)
    for weight, (name, rows) in pairs:
        shuffle = Shuffle([name], [len(rows)], seed=run.context.problem.seed)
        total += weight * run.gradient(rows[shuffle.rows_at(np.array([0]), np.array([4]))])
    return total


def scales(run: Any, steps: int) -> np.ndarray:
    """What AdamW divides its update by after `steps` steps."""
    moments = [run.optimiser.state[w]["exp_avg_sq"] for w in run.model.parameters()]
    flat = np.concatenate([moment.flatten().double().numpy() for moment in moments])
    return np.sqrt(flat / (1 - 0.95**steps)) + 1e-8


@pytest.mark.parametrize("steps", [0, 1, 40])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-3), (torch.float32, 6e-3)])
def test_it_is_the_inner_product_with_the_preconditioned_gradient(
    tiny_run: TinyRuns, steps: int, dtype: torch.dtype, tolerance: float
) -> None:
    run = tiny_run(dtype=dtype)
    run.train(steps)
    direction = target_gradient(run) / (scales(run, steps) if steps else 1.0)
    wanted = np.array([run.gradient(rows) @ direction for rows in run.loader.upcoming(8)])
    np.testing.assert_allclose(measure(run), wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def test_the_second_moment_is_that_of_the_optimiser_s_own_step(tiny_run: TinyRuns) -> None:
    """With momentum and decay off, AdamW moves every weight by rate x gradient / preconditioner."""
    run = tiny_run()
    optimiser = torch.optim.AdamW(run.model.parameters(), lr=0.1, betas=(0.0, 0.9), weight_decay=0.0)
    for _ in range(3):
        before = copy.deepcopy(run.model)
        run.context.losses(run.loader.upcoming(5)[0]).mean().backward()
        gradients = [w.grad.clone() for w in run.model.parameters()]
        optimiser.step()
        optimiser.zero_grad()
    pairs = zip(run.model.parameters(), before.parameters(), gradients, strict=True)
    for weight, old, gradient in pairs:
        scale = preconditioner(optimiser, weight)
        assert scale is not None
        torch.testing.assert_close(old - weight, 0.1 * gradient / scale)


def test_a_step_on_a_group_lowers_the_targets_by_its_value(tiny_run: TinyRuns) -> None:
    """The definition: the fall of the weighted target loss for a small preconditioned step on group j."""
    run = tiny_run()
    run.train(20)
    values, scale, small = measure(run), scales(run, 20), 1e-6
    before = weighted_loss(run)
    for value, rows in zip(values, run.loader.upcoming(8), strict=True):
        step = small * run.gradient(rows) / scale
        moved = copy.deepcopy(run)
        with torch.no_grad():
            parts = np.split(step, np.cumsum([w.numel() for w in moved.model.parameters()])[:-1])
            for weight, part in zip(moved.model.parameters(), parts, strict=True):
                weight -= torch.from_numpy(part).view_as(weight)
        np.testing.assert_allclose((before - weighted_loss(moved)) / small, value, rtol=0.05)


def weighted_loss(run: Any) -> float:
    total = 0.0
    pairs = zip(run.context.problem.weights, run.context.held_out.items(), strict=True)
    for weight, (name, rows) in pairs:
        shuffle = Shuffle([name], [len(rows)], seed=run.context.problem.seed)
        tokens = rows[shuffle.rows_at(np.array([0]), np.array([4]))].astype(np.int64)
        with torch.no_grad():
            total += weight * float(run.model(torch.from_numpy(tokens)).mean())
    return total


def test_weights_come_back_bit_for_bit_even_after_an_error(tiny_run: TinyRuns) -> None:
    run = tiny_run(dtype=torch.float32)
    run.train(2)
    weights, places, random = run.bits()
    measure(run)
    calls = [0]
    losses = run.context.losses

    def failing(tokens: np.ndarray) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 1:
            raise RuntimeError("the device is gone")
        return losses(tokens)

    with pytest.raises(RuntimeError, match="gone"):
        Meter({DIRECTIONAL}, replace(run.context, losses=failing)).begin({DIRECTIONAL}).finish()
    after, now, state = run.bits()
    assert all(torch.equal(a, b) for a, b in zip(weights, after, strict=True))
    assert places == now and torch.equal(random, state)
    assert all(weight.grad is None for weight in run.model.parameters())


def test_a_graph_made_before_can_still_be_used(tiny_run: TinyRuns) -> None:
    """A peek's forward pass is kept for the step: looking along a direction must not spoil it."""
    run, plain = tiny_run(), tiny_run()
    for each, measured in ((run, True), (plain, False)):
        loss = each.context.losses(each.loader.upcoming(6)[1]).mean()
        if measured:
            measure(each)
        loss.backward()
    for a, b in zip(run.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_groups_without_rows_and_costs(tiny_run: TinyRuns) -> None:
    run = tiny_run(rows=(50, 3, 0))
    meter = Meter({DIRECTIONAL}, run.context)
    values = meter.begin({DIRECTIONAL}).finish()[DIRECTIONAL]
    assert np.isfinite(values[:2]).all() and np.isnan(values[2])
    held_out, rows = 2 * 4 * 8, (8 + 3) * 8
    assert meter.tokens_read == held_out + 2 * rows and meter.work == 3 * held_out + 2 * rows
