"""Where and how precisely a model computes: device, autocast, and token arrays on their way to it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.errors import InputError
from aioli.training.accounts import CPU_WATTS, CUDA_WATTS
from aioli.training.model import GPT
from aioli.training.settings import TrainSettings

__all__ = ["Forward", "choose_device", "choose_dtype", "watts"]


class Forward:
    """A model as a function from token ids [B, T + 1], as they lie on disk, to losses [B].

    Args:
        model: on its device already. vocab_size: token ids must be below it.
        dtype: of autocast; float32 computes without.
    """

    def __init__(self, model: GPT, vocab_size: int, device: torch.device, dtype: torch.dtype) -> None:
        self.model, self.vocab_size, self.device, self.dtype = model, vocab_size, device, dtype

    def __call__(self, tokens: NDArray[Any]) -> Tensor:
        """Mean losses [B] in nats per token, on the device.

        Raises:
            InputError: a token id outside the vocabulary.
        """
        with self._autocast():
            return self.model(self._ids(tokens))

    def token_losses(self, tokens: NDArray[Any]) -> Tensor:
        """Losses [B, T] in nats of every token but the first, on the device; their means are the losses [B].

        Raises:
            InputError: a token id outside the vocabulary.
        """
        with self._autocast():
            return self.model.token_losses(self._ids(tokens))

    def _ids(self, tokens: NDArray[Any]) -> Tensor:
        """Token ids on the device."""
        if tokens.max() >= self.vocab_size:
            raise InputError(
                f"found token id {tokens.max()}, expected ids below the vocabulary's {self.vocab_size}: "
                "were these tokens made with another tokenizer?"
            )
        ids = torch.from_numpy(tokens.astype(np.int64))
        if self.device.type == "cuda":
            ids = ids.pin_memory().to(self.device, non_blocking=True)
        return ids

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def choose_device(settings: TrainSettings) -> torch.device:
    """The device that `train.device` names.

    Raises:
        InputError: CUDA asked for where there is none.
    """
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise InputError(
            "train.device is 'cuda' but torch finds no CUDA device here: use 'auto' or 'cpu', or install "
            "a CUDA build of torch"
        )
    return torch.device("cuda" if available and settings.device != "cpu" else "cpu")


def choose_dtype(settings: TrainSettings, device: torch.device) -> torch.dtype:
    """The precision that `train.dtype` names: automatically bfloat16 on CUDA, float32 elsewhere."""
    if settings.dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.dtype]


def watts(device: torch.device, threads: int) -> float:
    """Assumed power: a stated figure for one GPU, or for every thread of the CPU."""
    return CUDA_WATTS if device.type == "cuda" else CPU_WATTS * threads
