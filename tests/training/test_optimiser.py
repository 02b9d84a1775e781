"""Schedule, decay, clipping, and what a step minimises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from aioli.data.loader import Batch
from aioli.training.optimiser import learning_rate, make_optimiser, update, weighted_loss
from aioli.training.settings import TrainSettings

SETTINGS = TrainSettings(steps=100, warmup=10, learning_rate=0.5, final_rate=0.1)


def test_schedule() -> None:
    rates = [learning_rate(SETTINGS, step) for step in range(100)]
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11))
    assert rates[10] == 0.5 and all(np.diff(rates[10:]) < 0)
    assert rates[55] == pytest.approx((0.5 + 0.05) / 2) and rates[99] == pytest.approx(0.05, abs=2e-4)
    assert learning_rate(TrainSettings(steps=5, warmup=0, learning_rate=1.0), 0) == 1.0


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.RMSNorm(4))
    before = [weight.detach().clone() for weight in model.parameters()]
    optimiser = make_optimiser(model, TrainSettings(weight_decay=0.2))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    update(model, optimiser, rate=0.5, clip=1.0)
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (0.9 if new.ndim == 2 else 1.0))
        assert new.grad is None


def test_gradients_are_clipped_and_their_norm_is_reported() -> None:
    model = nn.Linear(3, 1, bias=False)
    seen: list[float] = []
    optimiser = make_optimiser(model, SETTINGS)
    optimiser.register_step_pre_hook(lambda *_: seen.append(float(model.weight.grad.norm())))
    model.weight.grad = torch.full((1, 3), 100.0)
    norm = update(model, optimiser, rate=0.1, clip=1.0)
    assert float(norm) == pytest.approx(100 * 3**0.5) and seen[0] == pytest.approx(1.0)


def test_what_a_step_minimises() -> None:
    group = np.array([0, 2, 2, 2])
    batch = Batch(np.zeros((4, 3), dtype=np.uint16), group, np.array([1.0, 0.0, 3.0]))
    losses = torch.tensor([4.0, 1.0, 2.0, 3.0])
    assert float(weighted_loss(losses, batch, None)) == 2.5
    assert float(weighted_loss(losses, batch, np.array([0.7, 0.2, 0.1]))) == pytest.approx(0.7 * 4 + 0.1 * 2)
    uniform = weighted_loss(losses, batch, batch.drawn / 4)
    assert float(uniform) == pytest.approx(2.5)
