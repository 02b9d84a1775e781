"""Recognising that memory ran out, in an exception or in what a dead process left in its log."""

from __future__ import annotations

__all__ = ["ADVICE", "in_log", "out_of_memory"]

ADVICE = "use fewer --workers, or a smaller model.width, model.layers, model.context or train.batch"
SIGNS = ("out of memory", "allocate memory", "map segment", "bad_alloc")
TAIL = 5
"""Last lines of a log that are searched."""


def out_of_memory(error: BaseException) -> str | None:
    """What to tell the user when `error` means that memory ran out, else None.

    >>> out_of_memory(MemoryError())
    'out of memory (malloc): use fewer --workers, or a smaller model.width, model.layers, \
model.context or train.batch'
    """
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError | OSError)
        and any(sign in str(error).lower() for sign in SIGNS)
    ):
        return _told(str(error) or "malloc")
    return None


def in_log(lines: list[str]) -> str | None:
    """The same from the last lines of a log."""
    for line in reversed(lines[-TAIL:]):
        if any(sign in line.lower() for sign in SIGNS):
            return _told(line)
    return None


def _told(reason: str) -> str:
    return f"out of memory ({reason.strip().splitlines()[0].rstrip('.')}): {ADVICE}"
