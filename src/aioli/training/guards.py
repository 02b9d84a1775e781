"""What surrounds a run: signals, collected warnings, torch's threads and choice of algorithms."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from aioli.errors import InputError, MixingWarning

__all__ = ["Interrupts", "collected_warnings", "deterministic", "torch_threads"]

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FIXED = (":4096:8", ":16:8")
"""Values of it that make cuBLAS give the same bits every time."""


class Interrupts:
    """Turns the first SIGINT or SIGTERM into a request to stop at the next step; a second one insists.

    Outside the main thread signals are left alone. Leaving the block after a request raises
    KeyboardInterrupt, so that whoever started the run stops, too.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.requested and kind is None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the texts of `MixingWarning`s, each once, in place of showing them."""
    texts: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def collect(message: Warning | str, category: type[Warning], *args: Any, **options: Any) -> None:
            if not issubclass(category, MixingWarning):
                show(message, category, *args, **options)
            elif str(message) not in texts:
                texts.append(str(message))

        warnings.simplefilter("always", MixingWarning)
        warnings.showwarning = collect
        yield texts


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On CUDA, compute inside the block only with algorithms that give the same bits every time.

    The CPU's do so anyway, for equal threads.

    Raises:
        InputError: this process used cuBLAS before, in its default way, which cannot be changed any more.
    """
    if device.type != "cuda":
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    workspace = os.environ.get(WORKSPACE)
    if workspace not in FIXED:
        os.environ[WORKSPACE] = FIXED[0]
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # costs time, and nothing reads such memory
    try:
        yield
    except RuntimeError as error:
        if WORKSPACE not in str(error):
            raise
        raise InputError(
            f"this process used CUDA before the run in a way that may change the last digits from run to "
            f"run: set the environment variable {WORKSPACE}={FIXED[0]} before it starts"
        ) from None
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill
        if workspace is None:
            del os.environ[WORKSPACE]
        else:
            os.environ[WORKSPACE] = workspace
