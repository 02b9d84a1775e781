"""Training losses of the groups, from batches that are trained on anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.errors import InputError
from aioli.measure.base import Context, Due, Measure
from aioli.protocol import Array, Signal

__all__ = ["GroupLosses", "TrainLoss"]


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


class TrainLoss(Measure):
    """`train_loss` [m]: the mean over the sequences of a group in the segment's batches; costs nothing.

    In a peek it is the mean over the batch due next, whose losses the loop may use again for the step.
    """

    signals = frozenset({Signal.TRAIN_LOSS})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._losses = GroupLosses(context.problem.m, context.device)

    def begin(self) -> None:
        self._losses.clear()

    def add(self, due: Due) -> None:
        losses = due.losses
        self._losses.add(due.batch.group, losses.mean(dim=1) if losses.ndim == 2 else losses)

    def finish(self, steps: int) -> dict[str, Array]:
        return {Signal.TRAIN_LOSS: self._losses.mean()}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"losses": self._losses.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._losses.load_state_dict(saved["losses"])
        super().load_state_dict(saved)
