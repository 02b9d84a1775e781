"""Runs into trackers: what the command line names, and runs that are there already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from aioli.config import Config
from aioli.errors import InputError
from aioli.trackers.process import follow_until
from aioli.trackers.session import Session
from aioli.trackers.tracker import TrackerChoice, check_installed

__all__ = ["track", "with_trackers"]


def with_trackers(config: Config, named: Sequence[str]) -> Config:
    """The config with trackers (`NAME:option=value`) in the place of its own of that name.

    Raises:
        InputError: an unknown tracker or option, or a missing package.
    """
    choices = list(dict.fromkeys(_key(TrackerChoice.parse(text)) for text in named))
    chosen = [TrackerChoice(name, dict(options)) for name, options in choices]
    names = {choice.name for choice in chosen}
    kept = [choice for choice in config.trackers if choice.name not in names]
    found = replace(config, trackers=(*kept, *chosen)) if chosen else config
    check_installed(found.trackers)
    return found


def _key(choice: TrackerChoice) -> tuple[str, tuple[tuple[str, str], ...]]:
    return choice.name, tuple(choice.options.items())


def track(
    source: Path | str,
    to: Sequence[TrackerChoice],
    *,
    follow: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> int:
    """Pass on what runs have written and a tracker has not had yet; return the number of steps told.

    Args:
        source: an output directory, a run's directory, or a Mixer's journal.
        follow: go on until a KeyboardInterrupt; then tell the rest and return.
        warn: told of runs that cannot be read.

    Raises:
        InputError: nothing to follow, no tracker, a missing package, or a tracker that failed.
    """
    source = Path(source)
    if not to:
        raise InputError("name a tracker, such as tensorboard")
    if not source.exists() and not follow:
        raise InputError(f"nothing to follow at {source}: no such file or directory")
    check_installed(to)
    with Session(source, to, lambda text: None if text in session.failures else warn(text)) as session:
        try:
            follow_until(session, _set(not follow))
        except KeyboardInterrupt:
            session.poll(last=True)
    if session.failures:
        raise InputError("\n  ".join(session.failures))
    return session.told


def _set(over: bool) -> threading.Event:
    event = threading.Event()
    if over:
        event.set()
    return event
