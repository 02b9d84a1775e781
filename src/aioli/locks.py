"""One process at a time in a directory."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from aioli.errors import InputError

__all__ = ["LOCK", "DirectoryLock"]

LOCK = ".lock"
PATIENCE = 8.0
"""Seconds to wait for the lock: workers of a killed process let go of it soon after."""


class DirectoryLock:
    """An exclusive lock on a directory, made if absent, until `close` or the end of the process.

    A child process that inherits `descriptor` holds the lock too.

    Raises:
        InputError: the directory cannot be made or written, or another process has the lock.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"cannot write to the directory {directory}: {error.strerror}") from None
        try:
            self._acquire()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self.descriptor)

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _acquire(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    owner = (self.directory / LOCK).read_text(errors="replace").strip() or "unknown"
                    raise InputError(
                        f"another process (id {owner}) is working in {self.directory}: wait for it to end, "
                        "or use another directory"
                    ) from None
                time.sleep(0.1)
            except OSError as error:
                raise InputError(f"cannot lock the directory {self.directory}: {error.strerror}") from None
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)
