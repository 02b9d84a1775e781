"""What a long job tells whoever watches it: the command line's display, a notebook, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aioli.sweep.runner import Event
from aioli.sweep.spec import RunSpec

__all__ = ["Watch"]


@dataclass(frozen=True)
class Watch:
    """Callbacks, each silent unless given.

    Attributes:
        tokenizing: (stage of tokenising, share of it done).
        planned: (all runs, names of the groups), before the first run starts.
        run: what happened to a run.
        message: anything else the user should know.
        standing: where seeds are added until methods are decided: (lines that say where they stand, how
            many runs there may be in all), before the first run and after each seed that was looked at.
    """

    tokenizing: Callable[[str, float], None] = lambda stage, share: None
    planned: Callable[[Sequence[RunSpec], Sequence[str]], None] = lambda specs, groups: None
    run: Callable[[Event], None] = lambda event: None
    message: Callable[[str], None] = lambda text: None
    standing: Callable[[Sequence[str], int], None] = lambda lines, runs: None
