"""What surrounds a run: signals, a full disk, collected warnings, torch's threads."""

from __future__ import annotations

import errno
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from aioli.errors import InputError, MixingWarning

__all__ = ["Interrupts", "collected_warnings", "full_disk_explained", "torch_threads"]


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
def full_disk_explained(directory: Path) -> Iterator[None]:
    """Turn the system's error of a full disk into a message.

    Raises:
        InputError: the disk is full, a quota is spent, or a file may not grow.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"no room left while writing to {directory} ({error.strerror}): the last checkpoint is "
            "intact; free some space and continue with --resume (resume=True)"
        ) from None


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
