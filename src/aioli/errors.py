"""The one exception a user's mistake raises.

Everything wrong that a user can mend (a missing file, a bad proportion, an unknown key, a corrupt
checkpoint) raises `InputError`; the command line prints its message alone and exits with code 2.
Any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "MixingWarning", "nearest"]


class InputError(ValueError):
    """Input that cannot be used: the message says what was expected, what came and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known name, or the list of known names.

    >>> nearest("wdith", ["width", "layers"])
    "did you mean 'width'?"
    >>> nearest("xyz", ["width", "layers"])
    'known: layers, width'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(names)


class MixingWarning(UserWarning):
    """Something that works but that the user would want to know: it goes into the run's result."""
