"""Alignment, norms and variance against plain autograd on a copy of the model."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from aioli.data.shuffle import Shuffle
from aioli.measure import alignment as aligning
from aioli.measure.base import Context
from aioli.measure.gradients import gradient
from aioli.measure.meter import Meter
from aioli.measure.variance import Variance
from aioli.protocol import Problem, Signal

ALIGNMENT, NORM, VARIANCE = Signal.GRADIENT_ALIGNMENT, Signal.GRADIENT_NORM, Signal.GRADIENT_VARIANCE
TinyRuns = Callable[..., Any]


def held_out(context: Context, read: int) -> list[np.ndarray]:
    """What the measurement number `read` should see: four sequences of each target, going round."""
    chosen = []
    for name, rows in context.held_out.items():
        shuffle = Shuffle([name], [len(rows)], seed=context.problem.seed)
        chosen.append(rows[shuffle.rows_at(np.array([4 * read]), np.array([4]))])
    return chosen


def peeked(meter: Meter, batch: Any, observe: set[str]) -> dict[str, np.ndarray]:
    seen = meter.begin(observe)
    seen.peek(lambda: batch, lambda batch: pytest.fail("gradients do not need the losses of the step"))
    return seen.finish()


@pytest.mark.parametrize("targets", [1, 2, 5])
def test_alignment_and_norms_of_a_peek(tiny_run: TinyRuns, targets: int) -> None:
    """Holding the targets' gradients (1, 2) or the groups' (5); group 1 is absent from the batch."""
    run = tiny_run(targets=targets)
    run.train(3)
    meter = Meter({ALIGNMENT, NORM}, run.context)
    batch = run.loader.peek(np.array([0.6, 0.0, 0.4]))
    for read in range(4):
        values = peeked(meter, batch, {ALIGNMENT, NORM})
        groups = [run.gradient(batch.tokens[batch.group == j]) for j in (0, 2)]
        wanted = [[run.gradient(rows) @ g for g in groups] for rows in held_out(run.context, read)]
        np.testing.assert_allclose(values[ALIGNMENT][:, [0, 2]], wanted, rtol=1e-9)
        np.testing.assert_allclose(values[NORM][[0, 2]], [np.linalg.norm(g) for g in groups], rtol=1e-9)
        assert np.isnan(values[ALIGNMENT][:, 1]).all() and np.isnan(values[NORM][1])
    assert meter.tokens_read == 4 * (12 + 4 * targets) * 8 and meter.work == 3 * meter.tokens_read


def test_over_a_segment_batches_count_by_the_group_s_sequences(tiny_run: TinyRuns) -> None:
    run = tiny_run()
    meter = Meter({ALIGNMENT, NORM}, run.context)
    seen = meter.begin({ALIGNMENT, NORM})
    sums, counts = np.zeros((3, 3)), np.zeros(3)
    for read, (p, empty) in enumerate([((0.5, 0.25, 0.25), None), ((0.75, 0.0, 0.25), 1)]):
        (batch,) = run.loader.segment(np.array(p), 1)
        targets = [run.gradient(rows) for rows in held_out(run.context, read)]
        for j in {0, 1, 2} - {empty}:
            g, count = run.gradient(batch.tokens[batch.group == j]), (batch.group == j).sum()
            sums[:, j] += count * np.array([np.linalg.norm(g), targets[0] @ g, targets[1] @ g])
            counts[j] += count
        losses = run.context.losses(batch.tokens)
        seen.add(batch, losses)
        losses.mean().backward()
        run.optimiser.step()
        run.optimiser.zero_grad()
    values = seen.finish()
    assert counts.tolist() == [15, 3, 6]
    np.testing.assert_allclose(values[NORM], sums[0] / counts, rtol=1e-9)
    np.testing.assert_allclose(values[ALIGNMENT], sums[1:] / counts, rtol=1e-9)


@pytest.mark.parametrize("targets", [1, 2, 7])
def test_only_the_smaller_side_and_one_more_gradient_are_held(
    tiny_run: TinyRuns, targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[Any] = []
    most = [0]

    class Held(list):
        pass

    def counting(*args: Any) -> Held:
        fresh = Held(gradient(*args))
        alive.append(weakref.ref(fresh))
        most[0] = max(most[0], sum(ref() is not None for ref in alive))
        return fresh

    monkeypatch.setattr(aligning, "gradient", counting)
    run = tiny_run(targets=targets)
    peeked(Meter({ALIGNMENT, NORM}, run.context), run.loader.peek(run.context.problem.uniform), {ALIGNMENT})
    assert most[0] == min(targets, 3) + 1


def test_norms_alone_read_nothing_held_out(tiny_run: TinyRuns) -> None:
    run = tiny_run()
    meter = Meter({NORM}, run.context)
    batch = run.loader.peek(run.context.problem.uniform)
    norms = peeked(meter, batch, {NORM})[NORM]
    wanted = [np.linalg.norm(run.gradient(batch.tokens[batch.group == j])) for j in range(3)]
    np.testing.assert_allclose(norms, wanted, rtol=1e-9)
    assert meter.tokens_read == 12 * 8


def test_variance_is_that_of_a_loop_over_sequences(tiny_run: TinyRuns) -> None:
    run = tiny_run(rows=(50, 5, 1))
    run.train(1)
    rows = run.loader.upcoming(8)
    meter = Meter({VARIANCE}, run.context)
    values = meter.begin({VARIANCE}).finish()[VARIANCE]
    for j, sequences in enumerate(rows[:2]):
        each = np.array([run.gradient(row[None]) for row in sequences])
        np.testing.assert_allclose(values[j], each.var(axis=0, ddof=1).sum(), rtol=1e-8)
    assert np.isnan(values[2]) and [len(part) for part in rows] == [8, 5, 1]
    assert meter.tokens_read == (8 + 5) * 8 and meter.work == 3 * meter.tokens_read


def test_variance_of_equal_sequences_is_zero(tiny_run: TinyRuns) -> None:
    run = tiny_run()
    same = [np.repeat(rows[:1], 4, axis=0) for rows in run.loader.upcoming(1)]
    run = tiny_run(upcoming=lambda count: same)
    values = Meter({VARIANCE}, run.context).begin({VARIANCE}).finish()[VARIANCE]
    assert (values >= 0).all() and (values < 1e-12).all()


def test_gradients_of_large_sets_are_taken_in_parts(tiny_run: TinyRuns) -> None:
    run = tiny_run(batch=5)
    tokens = run.loader.upcoming(17)[0]
    parts = gradient(Variance(run.context), tokens)
    flat = np.concatenate([part.flatten().numpy() for part in parts])
    np.testing.assert_allclose(flat, run.gradient(tokens), rtol=1e-9, atol=1e-15)


class Noisy(nn.Module):
    """A model with dropout, a weight without influence, and two whose gradients autograd may share."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(8))
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, tokens: np.ndarray) -> torch.Tensor:
        rows = torch.from_numpy(tokens[:, :8].astype(np.float32))
        return (nn.functional.dropout(rows, 0.5) * (self.first + self.second)).mean(dim=1)


def test_random_state_grad_and_weights_stay_and_idle_weights_are_allowed() -> None:
    model = Noisy()
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)
    problem = Problem(("a",), (10,), 1, 1)
    rows = np.arange(90).reshape(10, 9)
    context = Context(problem, model, {"a": rows}, model=model, upcoming=lambda count: [rows[:count]])
    before = torch.get_rng_state()
    needs = {ALIGNMENT, NORM, VARIANCE, Signal.DIRECTIONAL}
    seen = Meter(needs, context).begin(needs)
    seen.peek(lambda: type("Batch", (), {"tokens": rows, "group": np.zeros(10, int)}), model)
    values = seen.finish()
    assert all(np.isfinite(value).all() for value in values.values())
    assert torch.equal(torch.get_rng_state(), before)
    assert all((weight.grad == 7).all() and (weight == 1).all() for weight in model.parameters())


def test_a_checkpoint_inside_a_segment_is_exact(tiny_run: TinyRuns) -> None:
    needs = {ALIGNMENT, NORM, Signal.DIRECTIONAL}
    finished = []
    for stop in (None, 0, 1, 3):
        run = tiny_run()
        meter = Meter(needs, run.context)
        peeked(meter, run.loader.peek(run.context.problem.uniform), {ALIGNMENT})
        seen = meter.begin(needs)
        for step, batch in enumerate(run.loader.segment(run.context.problem.uniform, 4)):
            if step == stop:
                saved = json.loads(json.dumps(meter.state_dict()))
                meter = Meter(needs, run.context)
                meter.load_state_dict(saved)
                seen = meter.begin(needs)
            seen.add(batch, torch.zeros(12))
        finished.append((seen.finish(), meter.state_dict()))
    for values, state in finished[1:]:
        for signal in needs:
            np.testing.assert_array_equal(values[signal], finished[0][0][signal])
        assert state == finished[0][1]


def test_the_sign_of_alignment(tiny_run: TinyRuns) -> None:
    """A group that is the target aligns with it: a step on the group lowers the target's loss."""
    run = tiny_run(targets=1)
    rows = run.loader.upcoming(30)[0]
    run = tiny_run(targets=1, held_out={"target0": rows})
    batch = type("Batch", (), {"tokens": rows, "group": np.zeros(30, int)})
    values = peeked(Meter({ALIGNMENT}, run.context), batch, {ALIGNMENT})
    assert values[ALIGNMENT][0, 0] > 0
