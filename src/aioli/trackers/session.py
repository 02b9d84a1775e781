"""All runs of a directory, followed into any number of trackers, and how far each has got."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aioli.errors import InputError
from aioli.files import write_json
from aioli.locks import DirectoryLock
from aioli.trackers.follower import Follower
from aioli.trackers.runs import Followed, RunFiles, find
from aioli.trackers.tracker import Run, Tracker, TrackerChoice, open_tracker

__all__ = ["Session"]

Opener = Callable[[TrackerChoice, Run], Tracker]


class Session:
    """Follows what there is to follow in `source`; use it as a context manager.

    For every run and tracker a small file beside the trackers' own says how far it got, so that the next
    session goes on from there in the same tracker run. A tracker that raises is left alone from then on.

    Args:
        source: an output directory, a run's directory, or a Mixer's journal.
        choices: where to. warn: told once of a tracker that failed (`failures`), or of a run that cannot be
            read. open: makes the tracker of a run.

    Raises:
        InputError: nothing to follow there, or another process follows it already.
    """

    def __init__(
        self,
        source: Path,
        choices: Sequence[TrackerChoice],
        warn: Callable[[str], None],
        open: Opener = open_tracker,
    ) -> None:
        self.source, self.choices, self.warn, self.open = source, list(choices), warn, open
        self.told = 0
        self.failures: list[str] = []
        self._lock = DirectoryLock(find(source).home)
        self._ways: dict[tuple[str, str], _Way] = {}
        self._unreadable: set[str] = set()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def poll(self, *, last: bool = False) -> None:
        """Pass on what is new in all runs.

        Args:
            last: nothing more will come to a journal; runs with results are complete anyway.
        """
        found = find(self.source)
        for run in found.runs:
            for choice in list(self.choices):
                if run.begun and run.key not in self._unreadable:
                    self._advance(found, run, choice, last)

    def close(self) -> None:
        """Close what is still open; those runs can be continued."""
        for choice in list(self.choices):
            for (_, slug), way in list(self._ways.items()):
                if slug == _slug(choice):
                    self._guarded(choice, way.close)
        self._lock.close()

    def _advance(self, found: Followed, run: RunFiles, choice: TrackerChoice, last: bool) -> None:
        key = (run.key, _slug(choice))
        if key not in self._ways:
            self._ways[key] = _Way(found, run, choice, self.open)
        way, before = self._ways[key], self._ways[key].told
        self._guarded(choice, lambda: way.poll(last), run)
        self.told += way.told - before

    def _guarded(
        self, choice: TrackerChoice, action: Callable[[], None], run: RunFiles | None = None
    ) -> None:
        """Do something that a tracker's package may fail in."""
        try:
            action()
        except _Unreadable as error:
            self._unreadable.add(run.key if run else "")
            self.warn(f"{run.name if run else ''} is not tracked: {error}")
        except (
            Exception,
            SystemExit,
        ) as error:  # whatever a tracker's package raises must not end the others
            traceback.print_exc()
            self.choices = [other for other in self.choices if other != choice]
            for key in [key for key in self._ways if key[1] == _slug(choice)]:
                del self._ways[key]
            reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self.failures.append(
                f"tracking with {choice.name} has stopped ({reason}); the runs are untouched. "
                f"Later: aioli track {self.source} --to {choice.name}"
            )
            self.warn(self.failures[-1])


class _Unreadable(Exception):
    """A file of the run itself is damaged."""


class _Way:
    """One run's way to one tracker."""

    def __init__(self, found: Followed, run: RunFiles, choice: TrackerChoice, open: Opener) -> None:
        self.files, self.told = run, 0
        self._path = found.home / "state" / f"{run.key}.{_slug(choice)}.json"
        self._state = _read(self._path)

        def opened() -> Tracker:
            known = self._state.get("run")
            return open(choice, Run(run.name, found.project, found.home, run.configuration(), known))

        after = self._state.get("step", -1)
        self._follower = Follower(run.journal, opened, metrics=run.metrics, after=after)

    def poll(self, last: bool) -> None:
        if self._state.get("finished"):
            return
        follower, done = self._follower, self.files.finished  # first: what a finished run says is complete
        try:
            points = follower.read(everything=done or (last and self.files.directory is None))
        except InputError as error:
            raise _Unreadable(error) from None
        told = follower.tell(points)
        self.told += told
        if done or (self.files.directory is None and follower.reader.over and last):
            self._finish()
        elif told:
            self._write(finished=False)

    def _finish(self) -> None:
        tracker, summary = self._follower.opened(), self.files.summary()
        if summary:
            tracker.summarise(self._follower.step, summary)
        self._follower.tracker = None
        tracker.close(True)
        self._write(finished=True, run=tracker.run)

    def close(self) -> None:
        """Close the tracker of a run that may go on."""
        tracker, self._follower.tracker = self._follower.tracker, None
        if tracker is not None:
            tracker.close(False)

    def _write(self, *, finished: bool, run: str | None = None) -> None:
        run = run or self._follower.opened().run
        self._state = {"run": run, "step": self._follower.step, "finished": finished}
        write_json(self._path, self._state)


def _slug(choice: TrackerChoice) -> str:
    """A name for a tracker with these options, of which a token or a path is part at most as a hash."""
    if not choice.options:
        return choice.name
    text = json.dumps(choice.options, sort_keys=True)
    return f"{choice.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any]:
    """How far a run got; nothing when it was not followed before, or the file is damaged."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}
