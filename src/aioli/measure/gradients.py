"""Gradients of sequence losses beside training: no `.grad`, weight or random state is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.data.shuffle import Shuffle
from aioli.measure.base import GRADIENT, Context, Measure
from aioli.protocol import Array

__all__ = ["HeldOut", "dot", "gradient", "same_random_state", "weights_of"]

SEQUENCES = 4
"""Held-out sequences of each target in one gradient."""


class HeldOut:
    """A few held-out sequences of each target, other ones every time.

    They rotate through a fixed shuffle of the target's sequences, so that the errors of single gradients
    average out over a run. What is next is a function of `reads` alone.
    """

    def __init__(self, context: Context, sequences: int = SEQUENCES) -> None:
        rows = [len(tokens) for tokens in context.held_out.values()]
        self.reads = 0
        self._pool = list(context.held_out.values())
        self._taken = np.minimum(sequences, rows)
        self._shuffle = Shuffle(list(context.held_out), rows, seed=context.problem.seed)

    def next(self) -> list[NDArray[Any]]:
        """Token ids [sequences, T + 1] of each target."""
        rows = self._shuffle.rows_at(self.reads * self._taken, self._taken)
        self.reads += 1
        parts = np.split(rows, np.cumsum(self._taken)[:-1])
        return [np.asarray(pool[part]) for pool, part in zip(self._pool, parts, strict=True)]


def weights_of(context: Context) -> list[Tensor]:
    """The trained weights of the model, each once."""
    assert context.model is not None
    return [weight for weight in context.model.parameters() if weight.requires_grad]


def gradient(measure: Measure, tokens: NDArray[Any], shares: Array | None = None) -> list[Tensor]:
    """Gradient, one tensor a weight, of sum_b shares[b] x (loss of sequence b); their mean without shares.

    At most `Context.batch` sequences at a time; what is read goes to the measure's accounts.
    """
    context = measure.context
    weights = weights_of(context)
    whole: list[Tensor] = []
    shares = np.full(len(tokens), 1 / len(tokens)) if shares is None else shares
    with same_random_state(context.device), torch.enable_grad():
        for start in range(0, len(tokens), context.batch):
            part = slice(start, start + context.batch)
            losses = context.losses(tokens[part])
            loss = (losses * torch.from_numpy(shares[part]).to(losses)).sum()
            fresh = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            whole = whole or list(fresh)
            for i, more in enumerate(fresh if start else ()):
                whole[i] = whole[i] + more  # not in place: autograd may hand out one tensor twice
    measure.read(tokens, GRADIENT)
    return whole


def dot(a: list[Tensor], b: list[Tensor]) -> float:
    """Inner product; summed in float64 over the tensors."""
    parts = [torch.dot(x.flatten(), y.flatten()).double() for x, y in zip(a, b, strict=True)]
    return float(torch.stack(parts).sum())


@contextmanager
def same_random_state(device: torch.device) -> Iterator[None]:
    """Leave torch's random state as it was, whatever a model draws (dropout)."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
