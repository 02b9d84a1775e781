"""Writing large files piece by piece, so that an interruption or a full disk never leaves half of one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from aioli.errors import InputError
from aioli.files import replace_file

__all__ = ["locked", "no_room", "replacing", "write_json"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name, safely on disk, when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, atomically."""
    replace_file(path, json.dumps(content, indent=1) + "\n")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` and hold it for this process alone.

    Raises:
        InputError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another process is writing to {directory}: wait for it to end, or use another directory"
            ) from None
        yield


def no_room(error: OSError, directory: Path) -> InputError | None:
    """The message for a directory that cannot be written to, or None for any other error."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(
            f"no room left while writing to {directory} ({error.strerror}): free some space, or use another "
            f"directory, and run again; what is finished is kept"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return InputError(f"cannot write to {directory}: {error.strerror} ({error.filename})")
    return None
