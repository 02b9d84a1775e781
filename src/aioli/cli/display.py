"""What is shown while a job runs: plain lines here, bars on a terminal in `live`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from aioli.jobs.watch import Watch
from aioli.sweep.runner import Event
from aioli.sweep.spec import RunSpec

__all__ = ["Display", "PlainDisplay", "describe_progress", "duration", "law", "shares"]

PERIOD = 10.0
"""Seconds between plain lines about runs that go on."""
TOP = 4
WARNINGS = ("retried", "redone")


class Display(ABC):
    """The base of both displays: counts runs; subclasses show them."""

    def __init__(self) -> None:
        self.runs = 0
        self.done = 0
        self.groups: tuple[str, ...] = ()
        self.started: dict[str, float] = {}

    @property
    def watch(self) -> Watch:
        return Watch(self.tokenizing, self.planned, self.run, self.message, self.standing)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal clean; may be called twice."""

    def planned(self, specs: Sequence[RunSpec], groups: Sequence[str]) -> None:
        self.runs, self.groups = len(specs), tuple(groups)

    def run(self, event: Event) -> None:
        if event.kind == "started":
            self.started[event.spec.id] = time.monotonic()
        if event.kind in ("finished", "reused", "failed"):
            self.done += 1
        if event.kind in WARNINGS:
            self.message(f"{name(event.spec)} {event.kind}: {event.message}")
        if event.kind == "failed":
            self.message(f"{name(event.spec)} failed")  # why is told once, when the others have ended

    @abstractmethod
    def tokenizing(self, stage: str, share: float) -> None: ...

    @abstractmethod
    def message(self, text: str) -> None: ...

    def standing(self, lines: Sequence[str], runs: int) -> None:
        """Where methods stand that get seeds until they are decided; `runs` there may be in all."""
        self.runs = runs


class PlainDisplay(Display):
    """Lines on standard error: every start and end, and every ten seconds what goes on."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__()
        self.quiet = quiet
        self.latest: dict[str, str] = {}
        self.spoke = time.monotonic()
        self.stages: set[str] = set()

    def close(self) -> None:
        """Lines leave nothing to clean."""

    def planned(self, specs: Sequence[RunSpec], groups: Sequence[str]) -> None:
        super().planned(specs, groups)
        labels = ", ".join(dict.fromkeys(spec.label for spec in specs))
        self._say(f"{len(specs)} run{'s' * (len(specs) != 1)}: {labels}")

    def run(self, event: Event) -> None:
        super().run(event)
        key = event.spec.id
        if event.kind == "progress":
            self.latest[key] = f"{name(event.spec)}: {describe_progress(event.progress, self.groups)}"
            self._every_period()
        elif event.kind in ("finished", "reused", "failed"):
            self.latest.pop(key, None)
            count = f"{self.done} of {self.runs}"
            if event.kind == "finished":
                took = duration(time.monotonic() - self.started[key])
                self._say(f"{count} finished: {name(event.spec)} in {took}")
            elif event.kind == "reused":
                self._say(f"{count} finished before: {name(event.spec)}")

    def tokenizing(self, stage: str, share: float) -> None:
        if stage not in self.stages:
            self.stages.add(stage)
            self._say(f"data: {stage}")
        elif share < 1:
            self.latest["data"] = f"data: {stage}, {share:.0%}"
            self._every_period()
            del self.latest["data"]

    def message(self, text: str) -> None:
        typer.echo(f"note: {text}", err=True)

    def standing(self, lines: Sequence[str], runs: int) -> None:
        super().standing(lines, runs)
        for line in lines:
            self._say(line)

    def _every_period(self) -> None:
        now = time.monotonic()
        if now - self.spoke >= PERIOD:
            self.spoke = now
            for line in self.latest.values():
                self._say(line)

    def _say(self, line: str) -> None:
        if not self.quiet:
            typer.echo(line, err=True)


def name(spec: RunSpec) -> str:
    return f"{spec.label} seed {spec.seed}"


def describe_progress(progress: dict[str, Any], groups: Sequence[str]) -> str:
    """Step, loss, time left and current proportions in one line."""
    parts = [f"step {progress['step']} of {progress['steps']}"]
    if progress.get("loss") is not None:
        parts.append(f"loss {progress['loss']:.3f}")
    if progress.get("eta") is not None:
        parts.append(f"{duration(progress['eta'])} left")
    if told := law(progress.get("law")):
        parts.append(told)
    return ", ".join(parts) + "; " + shares(progress.get("proportions") or [], groups)


def law(score: Mapping[str, float | None] | None) -> str:
    """How well the method's law has predicted the losses so far: R2, and how many lay in their 95% interval.

    >>> law({"r2": 0.409, "coverage": None}), law({"r2": -1e5, "coverage": 0.93}), law({"r2": None})
    ('law R2 .41', 'law R2 < -9 (93% inside)', '')
    """
    if score is None or (r2 := score["r2"]) is None:
        return ""
    told = "law R2 < -9" if r2 < -9 else "law R2 " + f"{r2:.2f}".replace("0.", ".", 1)
    inside = score.get("coverage")
    return told if inside is None else f"{told} ({inside:.0%} inside)"


def shares(proportions: Sequence[float | None], groups: Sequence[str]) -> str:
    """The largest proportions by name.

    >>> shares([0.2, 0.5, 0.3], ["law", "code", "maths"])
    'code 50% maths 30% law 20%'
    """
    ranked = sorted(zip(proportions, groups, strict=False), key=lambda pair: -(pair[0] or 0))
    told = " ".join(f"{group} {100 * (share or 0):.0f}%" for share, group in ranked[:TOP])
    return told + (" ..." if len(ranked) > TOP else "")


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(75), duration(4000), duration(8.2)
    ('1 min 15 s', '1 h 6 min', '8 s')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
