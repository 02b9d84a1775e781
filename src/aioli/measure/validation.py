"""Held-out losses of the targets, when a segment ends."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aioli.measure.base import Context, Measure
from aioli.measure.evaluate import Evaluator
from aioli.protocol import Array, Signal

__all__ = ["Validation"]


class Validation(Measure):
    """`validation_loss` [n] and `validation_error` [n], read by an `Evaluator`.

    A segment without steps opens a new pairing of the evaluator.
    """

    signals = frozenset({Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR})
    requires = ("held_out",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = context.evaluation
        self.evaluator = Evaluator(
            context.losses,
            context.held_out,
            sizes=settings.sequences,
            max_sequences=settings.max_sequences,
            precision=settings.precision,
            batch=context.batch,
        )

    def finish(self, steps: int) -> dict[str, Array]:
        losses, errors = self.evaluator.measure(opening=steps == 0)
        self._count()
        return {Signal.VALIDATION_LOSS: losses, Signal.VALIDATION_ERROR: errors}

    def _count(self) -> None:
        self.tokens_read = self.evaluator.tokens_read
        self.work = float(self.tokens_read)

    def state_dict(self) -> dict[str, Any]:
        return self.evaluator.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.evaluator.load_state_dict(saved)
        self._count()

    def carry_state(self, saved: dict[str, Any], same: Collection[str]) -> None:
        self.evaluator.carry_state(saved, same)
        self._count()
