"""Meter: what a training loop shows its batches to, and what answers a method's request for signals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.errors import InputError
from aioli.measure.evaluate import Evaluator
from aioli.protocol import Array, Signal

__all__ = ["GroupLosses", "Meter", "check_signals"]

VALIDATION = frozenset({Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR})


class Grouped(Protocol):
    """A batch: the group of each of its sequences [B]."""

    @property
    def group(self) -> NDArray[np.int64]: ...


class GroupLosses:
    """Running sum [m] (float64, on the device) and count [m] of sequence losses by group."""

    def __init__(self, groups: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(groups, dtype=torch.float64, device=device)
        self.counts = np.zeros(groups, dtype=np.int64)

    def add(self, group: NDArray[np.int64], losses: Tensor) -> None:
        """Count sequences of groups [B] with losses [B]; nothing waits for the device."""
        index = torch.from_numpy(group).to(self.sums.device, non_blocking=True)
        self.sums.index_add_(0, index, losses.detach().to(self.sums))
        self.counts += np.bincount(group, minlength=len(self.counts))

    def mean(self) -> Array:
        """[m] mean loss of each group, NaN for those without a sequence; waits for the device."""
        present = self.counts > 0
        return np.where(present, self.sums.cpu().numpy() / np.maximum(self.counts, 1), np.nan)

    def clear(self) -> None:
        self.sums = torch.zeros_like(self.sums)
        self.counts = np.zeros_like(self.counts)

    def state_dict(self) -> dict[str, list[Any]]:
        """The exact sums and counts, as JSON values."""
        return {"sums": self.sums.tolist(), "counts": self.counts.tolist()}

    def load_state_dict(self, saved: dict[str, list[Any]]) -> None:
        """Continue from `state_dict`.

        Raises:
            InputError: a state saved for another number of groups.
        """
        sizes = len(saved["sums"]), len(saved["counts"])
        if sizes != (len(self.counts), len(self.counts)):
            raise InputError(f"the saved meter has {sizes[0]} groups, this one has {len(self.counts)}")
        self.sums = torch.tensor(saved["sums"], dtype=torch.float64, device=self.sums.device)
        self.counts = np.array(saved["counts"], dtype=np.int64)


class Meter:
    """Measures one segment at a time: `begin`, `add` after each step, `finish`.

    Training losses are collected from the batches at no cost; validation losses are read by the
    evaluator when the segment ends. A segment without steps opens a new pairing of the evaluator.

    Args:
        groups: number m of training groups.
        evaluator: reads the targets; None: validation losses cannot be measured.
        device: where the losses given to `add` lie.
    """

    def __init__(
        self, groups: int, evaluator: Evaluator | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self.evaluator = evaluator
        self._observe: frozenset[str] = frozenset()
        self._steps = 0
        self._open = self._restored = False
        self._losses = GroupLosses(groups, device)

    @property
    def available(self) -> frozenset[str]:
        """The signals that this meter can measure."""
        return frozenset({Signal.TRAIN_LOSS}) | (VALIDATION if self.evaluator else frozenset())

    def begin(self, observe: Iterable[str]) -> Meter:
        """Open a segment that measures `observe`; after `load_state_dict`, continue the one that was open.

        Raises:
            InputError: a signal that this meter cannot measure.
        """
        observe = frozenset(observe)
        check_signals(observe, self.available)
        if not (self._restored and self._open):
            self._losses.clear()
            self._steps = 0
        self._observe, self._open, self._restored = observe, True, False
        return self

    def add(self, batch: Grouped, losses: Tensor) -> None:
        """Show one step's batch and its losses [B], in nats per token."""
        self._steps += 1
        if Signal.TRAIN_LOSS in self._observe:
            self._losses.add(batch.group, losses)

    def finish(self) -> dict[str, Array]:
        """Close the segment: one array for each signal asked for, as `Mixer.tell` takes them."""
        values = {}
        if Signal.TRAIN_LOSS in self._observe:
            values[Signal.TRAIN_LOSS] = self._losses.mean()
        if self._observe & VALIDATION:
            assert self.evaluator is not None
            losses, errors = self.evaluator.measure(opening=self._steps == 0)
            values |= {Signal.VALIDATION_LOSS: losses, Signal.VALIDATION_ERROR: errors}
        self._open = False
        return {signal: value for signal, value in values.items() if signal in self._observe}

    def state_dict(self) -> dict[str, Any]:
        """The segment so far and the evaluator, exact anywhere between steps, as JSON values."""
        return {
            "open": self._open,
            "steps": self._steps,
            "losses": self._losses.state_dict(),
            "evaluator": self.evaluator.state_dict() if self.evaluator else None,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`; the next `begin` goes on with the segment that was open.

        Raises:
            InputError: a state saved for other groups or targets.
        """
        self._losses.load_state_dict(saved["losses"])
        if self.evaluator and saved["evaluator"]:
            self.evaluator.load_state_dict(saved["evaluator"])
        self._open, self._steps, self._restored = saved["open"], saved["steps"], True


def check_signals(needs: Iterable[str], available: Iterable[str]) -> None:
    """Make sure, before step 0, that a loop can measure what a method needs.

    Raises:
        InputError: signals that are missing, with what the method needs and what the loop measures.
    """
    needs, available = frozenset(needs), frozenset(available)
    missing = sorted(needs - available)
    if missing:
        raise InputError(
            f"the method needs {', '.join(sorted(needs))}; this loop measures "
            f"{', '.join(sorted(available)) or 'nothing'}, so {', '.join(missing)} cannot be had: "
            "give the meter an evaluator, or choose a method that does not need it"
        )
