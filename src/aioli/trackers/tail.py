"""A file that others append lines to, read from where the last look ended."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["News", "Tail"]


class News(NamedTuple):
    """Whole lines since the last look; `again`: they are those of the whole file, which was replaced."""

    lines: list[bytes]
    again: bool


class Tail:
    """Reads what is new in a file of lines.

    A last line without its newline is left for later. A file that was cut back, replaced by another or
    removed (a run that resumes does so) is read from its beginning: what tells is whether the last line
    read still stands where it stood.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        self._last = b""

    def read(self) -> News:
        """What is new since the last call; nothing while there is no such file."""
        try:
            with self.path.open("rb") as file:
                start = self._end - len(self._last)
                file.seek(start)
                content = file.read()
        except FileNotFoundError:
            content, start = b"", 0
        again = not content.startswith(self._last)
        if again:
            self._end, self._last = 0, b""
            return News(self.read().lines, True)
        whole = content[len(self._last) : content.rfind(b"\n") + 1]
        lines = whole.split(b"\n")[:-1]
        self._end += len(whole)
        if lines:
            self._last = lines[-1] + b"\n"
        return News(lines, False)
