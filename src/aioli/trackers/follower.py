"""From the files of a run to a tracker: only what is new, only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aioli.trackers.points import Point, RunReader
from aioli.trackers.tracker import Tracker

__all__ = ["Follower"]


class Follower:
    """Passes on what a run's files say to a tracker.

    With a loop of your own, give it your `Mixer`'s journal and call `poll` whenever you like:

        follower = Follower(Path("mixing.jsonl"), lambda: my_tracker)
        ...
        follower.poll()                     # after some `mixer.tell`
        follower.poll(everything=True)      # at the end

    Args:
        journal: of the Mixer. open: makes the tracker; called when there is something to tell.
        metrics: metrics.jsonl of a run of `aioli train`. after: leave out the steps up to this one.
    """

    def __init__(
        self, journal: Path, open: Callable[[], Tracker], *, metrics: Path | None = None, after: int = -1
    ) -> None:
        self.reader = RunReader(journal, metrics)
        self.tracker: Tracker | None = None
        self.step = after
        self._open = open

    def poll(self, *, everything: bool = False) -> int:
        """Pass on what is new and return the number of steps that were told.

        Args:
            everything: also the last step, to which more could be added while the run goes on.

        Raises:
            InputError: a damaged file. Whatever the tracker raises goes through.
        """
        return self.tell(self.read(everything=everything))

    def read(self, *, everything: bool = False) -> list[Point]:
        """What is new; what was told before the run was cut back to its checkpoint is left out."""
        return [point for point in self.reader.read(everything=everything) if point[0] > self.step]

    def tell(self, points: Sequence[Point]) -> int:
        """Pass points on and return their number."""
        for step, values in points:
            self.opened().log(step, values)
            self.step = step
        return len(points)

    def opened(self) -> Tracker:
        """The tracker, opened now if it is not yet."""
        if self.tracker is None:
            self.tracker = self._open()
        return self.tracker
