"""What a tracker can do, and which ones there are."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from aioli.errors import InputError, nearest

__all__ = [
    "NAMES",
    "Plain",
    "Run",
    "Tracker",
    "TrackerChoice",
    "check_installed",
    "open_tracker",
    "read_choices",
    "require",
]

Plain = str | int | float | bool
"""What configurations hold."""
NAMES = ("tensorboard", "wandb", "mlflow", "trackio")
"""The trackers: each is the module of that name beside this one, and the extra that installs it."""


class Run(NamedTuple):
    """What a tracker is told of the run that it opens.

    Attributes:
        name: for people. project: what belongs together. directory: where local files may go.
        configuration: settings, told once: a tracker that continues the run has them.
        known: the tracker's own name of the run (`Tracker.run`) when it is continued, else None.
    """

    name: str
    project: str
    directory: Path
    configuration: Mapping[str, Plain]
    known: str | None = None


@runtime_checkable
class Tracker(Protocol):
    """One open run at a tracker; steps arrive in increasing order, each once.

    Attributes:
        run: the tracker's own name of the run, by which it is continued.
    """

    run: str

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values at a step."""
        ...

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        """Results, once when the run has finished at `step`."""
        ...

    def close(self, finished: bool) -> None:
        """Write out what is still in memory; not `finished`: the run may go on later."""
        ...


@dataclass(frozen=True)
class TrackerChoice:
    """A tracker by its name, and its options.

    Raises:
        InputError: an unknown tracker, or an option that it does not have.
    """

    name: str
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InputError(f"unknown tracker {self.name!r}; {nearest(self.name, NAMES)}")
        known = _options(self.name)
        for option, value in self.options.items():
            if option not in known:
                hint = nearest(option, known)
                raise InputError(f"tracker {self.name} has no option {option!r}; {hint}")
            if not isinstance(value, str):
                raise InputError(f"option {option} of tracker {self.name} must be a text, got {value!r}")

    @classmethod
    def parse(cls, text: str) -> TrackerChoice:
        """Read `NAME[:option=value[,option=value ...]]`.

        >>> TrackerChoice.parse("wandb:project=mixing,mode=offline").options
        {'project': 'mixing', 'mode': 'offline'}

        Raises:
            InputError: another shape, or as the class does.
        """
        name, colon, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",")] if colon else []
        if not all(key.strip() and equals for key, equals, _ in pairs):
            raise InputError(f"expected a tracker as NAME or NAME:option=value,option=value, got {text!r}")
        return cls(name.strip(), {key.strip(): value.strip() for key, _, value in pairs})

    def to_entry(self) -> str | dict[str, Any]:
        """The choice as a config file spells it."""
        return {self.name: dict(self.options)} if self.options else self.name


def read_choices(entries: Sequence[str | Mapping[str, Any]]) -> list[TrackerChoice]:
    """The trackers that entries of `trackers:` name: a name, or {name: {option: value}}.

    Raises:
        InputError: an entry of another shape, as `TrackerChoice` does, or the same entry twice.
    """
    choices: list[TrackerChoice] = []
    for entry in entries:
        given = {entry: {}} if isinstance(entry, str) else entry
        if not isinstance(given, Mapping) or len(given) != 1:
            raise InputError(f"expected a tracker's name or {{name: {{option: value}}}}, got {entry!r}")
        ((name, options),) = given.items()
        if not isinstance(options or {}, Mapping):
            raise InputError(f"expected options of tracker {name} as a mapping, got {options!r}")
        choice = TrackerChoice(str(name), dict(options or {}))
        if choice in choices:
            raise InputError(f"tracker {choice.to_entry()} is named twice")
        choices.append(choice)
    return choices


def check_installed(choices: Sequence[TrackerChoice]) -> None:
    """Refuse trackers whose packages are missing, without importing them.

    Raises:
        InputError: a missing package; the message names the extra.
    """
    for choice in choices:
        if importlib.util.find_spec(choice.name) is None:
            raise _missing(choice.name, "no such package")


def require(module: str) -> Any:
    """Import a module of a tracker's package.

    Raises:
        InputError: it cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(module.partition(".")[0], str(error)) from None


def open_tracker(choice: TrackerChoice, run: Run) -> Tracker:
    """Begin or continue a run at a tracker.

    Raises:
        InputError: its package is missing. Whatever else the package raises goes through.
    """
    return _opener(choice.name)(run, **choice.options)


def _opener(name: str) -> Callable[..., Tracker]:
    return importlib.import_module(f"aioli.trackers.{name}").open_run


def _options(name: str) -> list[str]:
    return [each for each in inspect.signature(_opener(name)).parameters if each != "run"]


def _missing(name: str, reason: str) -> InputError:
    return InputError(
        f"tracking with {name} needs its package, which cannot be imported ({reason}): "
        f"run `pip install 'aioli[{name}]'`"
    )
