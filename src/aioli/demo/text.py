"""Cleaning, cutting and de-duplicating text; shared with the benchmark corpora."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["NearDuplicates", "blocks", "clean"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff]")
# kana and Chinese characters are words of their own, as these scripts have no spaces
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_BREAKS = (re.compile(r"(?<=\n\n)(?=[^\n])"), re.compile(r"(?<=\n)"), re.compile(r"(?<= )"))
_WORD = re.compile(f"[{_CJK}]|[^\\s{_CJK}]+")


def clean(text: str) -> str:
    """Return the text with plain line ends, no control characters, no trailing blanks or blank pages.

    >>> clean("a \\r\\nb\\x0c\\n\\n\\n\\n\\nc\\n")
    'a\\nb\\n\\n\\nc'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    text = re.sub(r"[ \t\u00a0]+$", "", _CONTROL.sub("", text), flags=re.MULTILINE)
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n")


def blocks(text: str, size: int) -> list[str]:
    """Cut a text into contiguous blocks of at most `size` bytes of UTF-8.

    A block ends after a blank line where possible, else after a line, else after a word.

    >>> blocks("one two\\n\\nthree four", 11)
    ['one two', 'three four']
    """
    found, current, used = [], [], 0
    for piece in _pieces(text, size):
        length = len(piece.encode())
        if used + length > size:
            found.append("".join(current))
            current, used = [], 0
        current.append(piece)
        used += length
    found.append("".join(current))
    return [block.strip("\n") for block in found if block.strip()]


def _pieces(text: str, size: int, level: int = 0) -> Iterator[str]:
    """Paragraphs with the blank lines after them; those over `size` bytes as lines, then as words."""
    if level < len(_BREAKS):
        for part in _BREAKS[level].split(text):
            yield from [part] if len(part.encode()) <= size else _pieces(part, size, level + 1)
        return
    rest = text.encode()
    while rest:  # one word longer than a block
        head = rest[:size].decode(errors="ignore")
        yield head
        rest = rest[len(head.encode()) :]


@dataclass
class NearDuplicates:
    """Remembers the shingles of what was kept and refuses texts that mostly repeat them.

    Attributes:
        limit: share of a text's distinct shingles that may have been kept already.
        length: words, or lines, of a shingle.
        lines: count in lines (for tables, whose words say little) instead of words.

    >>> seen = NearDuplicates(length=3)
    >>> seen.keep("the quick brown fox jumps"), seen.keep("quick brown fox jumps"), seen.keep("a b c d")
    (True, False, True)
    """

    limit: float = 0.3
    length: int = 13
    lines: bool = False
    _seen: set[int] = field(default_factory=set, repr=False)

    def keep(self, text: str) -> bool:
        """Return whether the text is new enough, and remember it if it is."""
        units = text.splitlines() if self.lines else _WORD.findall(text)
        last = max(1, len(units) - self.length + 1)
        shingles = {hash(tuple(units[i : i + self.length])) for i in range(last)}
        if len(shingles & self._seen) > self.limit * len(shingles):
            return False
        self._seen |= shingles
        return True
