"""Replacing a file in one step, so that neither a reader nor a crash ever sees half of it."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from aioli.errors import InputError

__all__ = ["replace_file", "replacing", "write_errors_explained", "write_json"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name, safely on disk, when the block ends well.

    The file can be read back and sought. Its permissions are those of any new file of the process. The
    directory is made if absent.

    Raises:
        OSError: the content could not be written (a full disk); what `path` held before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Put a rename on the disk, where the file system can: the file is whole either way."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(path: Path, content: str | bytes) -> None:
    """Put `content` in the place of `path` in one step; text is written as UTF-8.

    Raises:
        OSError: the content could not be written (a full disk); what `path` held before is untouched.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, in one step."""
    replace_file(path, json.dumps(content, indent=1) + "\n")


@contextmanager
def write_errors_explained(directory: Path, remedy: str) -> Iterator[None]:
    """Turn the system's refusal to write in `directory` into a message; `remedy` ends that of a full disk.

    Raises:
        InputError: the disk is full, a quota is spent, a file may not grow, or `directory` is not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise InputError(
                f"no room left while writing to {directory} ({error.strerror}): {remedy}"
            ) from None
        name = error.filename
        if error.errno in REFUSED and isinstance(name, str) and Path(name).is_relative_to(directory):
            raise InputError(f"cannot write to {directory}: {error.strerror} ({name})") from None
        raise
