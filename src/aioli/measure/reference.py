"""Losses of a frozen reference model, and the excess over them, on the batches of training."""

from __future__ import annotations

from typing import Any

import torch

from aioli.errors import InputError
from aioli.measure.base import Context, Due, Measure
from aioli.measure.losses import GroupLosses
from aioli.protocol import Array, Signal

__all__ = ["Reference"]


class Reference(Measure):
    """`excess_loss` [m] and `reference_loss` [m], means over the tokens of a group in the segment's batches.

    The excess of a token is max(loss - reference loss, 0): it is clipped before anything is averaged. All
    sequences have as many tokens, so every token and every sequence counts alike. Costs one forward pass
    of the reference model a batch, and its weights in memory; the trained model's losses are those of
    the step itself.

    References:
        arXiv 2305.10429, Algorithm 1.
    """

    signals = frozenset({Signal.EXCESS_LOSS, Signal.REFERENCE_LOSS})
    requires = ("reference",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        assert context.reference is not None
        self._model = context.reference()
        self._sums = {name: GroupLosses(context.problem.m, context.device) for name in sorted(self.signals)}

    def begin(self) -> None:
        for sums in self._sums.values():
            sums.clear()

    def add(self, due: Due) -> None:
        batch = due.batch
        with torch.no_grad():
            reference = self._model.token_losses(batch.tokens)
        self.read(batch.tokens, self._model.cost)
        self._sums[Signal.REFERENCE_LOSS].add(batch.group, reference.mean(dim=1))
        if Signal.EXCESS_LOSS in self.observe:
            losses = due.losses.detach()
            if losses.shape != reference.shape:
                raise InputError(
                    f"excess_loss is clipped token by token: give the meter losses of shape "
                    f"{tuple(reference.shape)}, one a token, got {tuple(losses.shape)}"
                )
            excess = (losses - reference).clamp(min=0).mean(dim=1)
            self._sums[Signal.EXCESS_LOSS].add(batch.group, excess)

    def finish(self, steps: int) -> dict[str, Array]:
        return {name: sums.mean() for name, sums in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {name: sums.state_dict() for name, sums in self._sums.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        for name, sums in self._sums.items():
            sums.load_state_dict(saved[name])
        super().load_state_dict(saved)
