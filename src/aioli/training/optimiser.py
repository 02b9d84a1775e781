"""AdamW with warm-up, cosine decay and gradient clipping; the schedule is a pure function of the step."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from aioli.data.loader import Batch
from aioli.protocol import Array
from aioli.training.settings import TrainSettings

__all__ = ["learning_rate", "make_optimiser", "update", "weighted_loss"]


def learning_rate(settings: TrainSettings, step: int) -> float:
    """The rate of step 0 <= step < steps: linear warm-up, then a cosine to `final_rate` times the peak.

    >>> settings = TrainSettings(steps=12, warmup=2, learning_rate=1.0, final_rate=0.0)
    >>> [round(learning_rate(settings, step), 3) for step in (0, 1, 2, 7, 11)]
    [0.5, 1.0, 1.0, 0.5, 0.024]
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    progress = (step - settings.warmup) / (settings.steps - settings.warmup)
    share = settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
    return settings.learning_rate * share


def make_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW with betas (0.9, 0.95); only matrices decay, gains of norms do not."""
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    parts = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(parts, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)


def update(model: nn.Module, optimiser: torch.optim.Optimizer, rate: float, clip: float) -> Tensor:
    """One step at `rate` on the gradients present, clipped to the norm `clip`; returns their norm before."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    for part in optimiser.param_groups:
        part["lr"] = rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return norm


def weighted_loss(losses: Tensor, batch: Batch, loss_weights: Array | None) -> Tensor:
    """What a step minimises, from the losses [B] of its sequences.

    Without weights, their mean; with weights [m], the sum over the groups present of weight times the
    group's mean loss.
    """
    if loss_weights is None:
        return losses.mean()
    shares = (loss_weights / np.maximum(batch.drawn, 1))[batch.group]
    return (losses * torch.from_numpy(shares).to(losses)).sum()
