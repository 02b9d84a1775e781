"""Byte streams of plain, gzip and Zstandard files that notice a truncated file."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from aioli.data.optional import require
from aioli.errors import InputError

__all__ = ["content_suffix", "open_stream"]

_CHUNK = 1 << 18
Report = Callable[[int], None]


def content_suffix(path: Path) -> str:
    """The suffix that tells the format, in lower case, with .gz and .zst taken off.

    >>> content_suffix(Path("law/part.JSONL.zst"))
    '.jsonl'
    """
    name = path.name.lower()
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    return Path(name).suffix


class _Counted(io.RawIOBase):
    """A file whose every read is reported, in bytes as they lie on the disk."""

    def __init__(self, path: Path, report: Report) -> None:
        self._file = path.open("rb", buffering=0)
        self._report = report

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._report(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Zstandard(io.RawIOBase):
    """Decompressed bytes of one or more frames; raises EOFError when the last one is cut off."""

    def __init__(self, source: BinaryIO) -> None:
        self._library = require("zstandard", "to read .zst files")
        self._source = source
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            if not self._input:
                self._input = self._source.read(_CHUNK)
                if not self._input:
                    if self._frame is not None:
                        raise EOFError("the file ends inside a Zstandard frame")
                    return 0
            if self._frame is None:
                self._frame = self._library.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            self._output = memoryview(self._frame.decompress(self._input))
            self._input = b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count


@contextmanager
def open_stream(path: Path, report: Report, where: Callable[[], str] | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressing by name (.gz, .zst).

    Args:
        report: called with the number of (compressed) bytes of every read.
        where: how far the reader has come ("line 12"), for the message about a broken file.

    Raises:
        InputError: the file cannot be read, or its compressed data is truncated or corrupt.
    """
    counted: BinaryIO | None = None
    try:
        counted = io.BufferedReader(_Counted(path, report), _CHUNK)
        if path.name.lower().endswith(".gz"):
            stream: BinaryIO = gzip.GzipFile(fileobj=counted)  # type: ignore[assignment]
        elif path.name.lower().endswith(".zst"):
            stream = io.BufferedReader(_Zstandard(counted), _CHUNK)
        else:
            stream = counted
        yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(path, where, error) from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "zstandard":
            raise _broken(path, where, error) from None
        raise
    finally:
        if counted is not None:
            counted.close()


def _broken(path: Path, where: Callable[[], str] | None, error: Exception) -> InputError:
    place = f", after {where()}" if where and where() else ""
    return InputError(
        f"{path}: the compressed data is truncated or corrupt{place} ({error}); "
        f"make or download the file again, or leave it out"
    )
