"""What a run's files say, as values at steps, in the order of the steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aioli.errors import InputError
from aioli.trackers.tail import Tail

__all__ = ["Point", "RunReader"]

Point = tuple[int, dict[str, float]]
"""A step, and values by name."""


class _Part(NamedTuple):
    """A stretch of a run with the same groups, from the step after `after` on."""

    after: int
    groups: tuple[str, ...]
    targets: tuple[str, ...]
    group_tokens: dict[str, int]
    step_tokens: int
    total_steps: int

    @classmethod
    def of(cls, problem: Mapping[str, Any], after: int) -> _Part:
        groups, sizes = tuple(problem["groups"]), problem["group_tokens"]
        tokens = dict(zip(groups, sizes, strict=True))
        targets = tuple(problem["targets"])
        return cls(after, groups, targets, tokens, problem["step_tokens"], problem["total_steps"])


class RunReader:
    """Reads the journal of a run, and its metrics where it has them, as they grow.

    Values are `mix/weight/GROUP` (not of probes), `mix/loss/GROUP` (training loss, nats per token),
    `mix/tokens/GROUP` (trained so far), `mix/epochs/GROUP`, `loss/train`, `loss/validation/TARGET`,
    `train/learning_rate`, `train/gradient_norm`, and of the law's predictions so far `law/r2`, `law/r2_trend`
    and `law/coverage`. What a file does not say is left out.

    A step is told when nothing can be added to it any more: with metrics, that is once a line of a later
    step is there. Files that were cut back (a run that resumes) are read again, so the same steps come
    again: the reader's user leaves them out.

    Args:
        journal: of any `aioli.Mixer`. metrics: of a run of `aioli train`, else None.
    """

    def __init__(self, journal: Path, metrics: Path | None = None) -> None:
        self._paths = (journal, metrics)
        self._begin()

    def _begin(self) -> None:
        journal, metrics = self._paths
        self._journal, self._metrics = Tail(journal), Tail(metrics) if metrics else None
        self._parts: list[_Part] = []
        self._waiting: list[bytes] = []
        self._points: dict[int, dict[str, float]] = {}
        self._complete = -1
        self._last_line = 0
        self._tokens: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._at_change: dict[int, dict[str, float]] = {}
        self.step = 0

    @property
    def over(self) -> bool:
        """Whether the journal has reached the end of its run."""
        return bool(self._parts) and self.step >= self._parts[-1].total_steps

    def read(self, *, everything: bool = False) -> list[Point]:
        """New points in order of their steps.

        Args:
            everything: also those that more could be added to.

        Raises:
            InputError: a damaged line.
        """
        metrics = self._metrics.read() if self._metrics else None  # first: the journal then has all before it
        journal = self._journal.read()
        if journal.again or (metrics and metrics.again):
            self._begin()
            metrics = self._metrics.read() if self._metrics else None
            journal = self._journal.read()
        for line in journal.lines:
            self._add_journal(_parsed(self._paths[0], line))
        self._waiting += metrics.lines if metrics else []
        if self._parts and self._paths[1]:
            for line in self._waiting:
                self._add_metrics(_parsed(self._paths[1], line))
            self._waiting = []
        ready = sorted(step for step in self._points if everything or step < self._complete)
        return [(step, self._points.pop(step)) for step in ready if self._points[step]]

    def _add_journal(self, line: Mapping[str, Any]) -> None:
        if "problem" in line:
            self._parts.append(_Part.of(line["problem"], -1))
        elif "regroup" in line:
            change = line["regroup"]
            if change["cut"] is not None:
                self._add_record(change["cut"])
            self._parts.append(_Part.of(change["problem"], change["step"]))
            self._at_change[change["step"]] = dict(self._told)
        elif self._parts:
            self._add_record(line)

    def _add_record(self, record: Mapping[str, Any]) -> None:
        part, request, seen = self._parts[-1], record["request"], record["seen"]
        self.step, values = seen["step"], seen["values"]
        found = self._points.setdefault(self.step, {})
        found |= _named("loss/validation", part.targets, values.get("validation_loss"))
        if request["steps"]:
            if request["phase"] != "probe":
                found |= _named("mix/weight", part.groups, request["proportions"])
            _count(self._told, part, request["steps"], seen["drawn"])
        if self._metrics is None:
            self._complete = self.step
            found |= self._of_own_loop(part, seen, values.get("train_loss"))

    def _of_own_loop(
        self, part: _Part, seen: Mapping[str, Any], losses: list[Any] | None
    ) -> dict[str, float]:
        """What metrics would have said, from a record."""
        found = _named("mix/loss", part.groups, losses) | _ledger(part, self._told)
        drawn = [count for count, loss in zip(seen["drawn"], losses or [], strict=False) if loss is not None]
        if losses and sum(drawn):
            known = [loss for loss in losses if loss is not None]
            pairs = zip(drawn, known, strict=True)
            found["loss/train"] = sum(count * loss for count, loss in pairs) / sum(drawn)
        return found | _numbers({"train/learning_rate": seen["learning_rate"]})

    def _add_metrics(self, line: Mapping[str, Any]) -> None:
        step = line["step"]
        if "groups" in line:  # they change after this step
            self._tokens = dict(self._at_change.get(step, self._tokens))
            self._last_line = step
            return
        part = next(part for part in reversed(self._parts) if part.after < step)
        _count(self._tokens, part, step - self._last_line, line["drawn"])
        self._last_line = self._complete = step
        found = self._points.setdefault(step, {})
        found |= _numbers(
            {
                "loss/train": line["loss"],
                "train/learning_rate": line["learning_rate"],
                "train/gradient_norm": line["gradient_norm"],
            }
        )
        found |= _numbers({f"law/{key}": value for key, value in (line.get("law") or {}).items()})
        found |= _named("mix/loss", part.groups, line["train_loss"]) | _ledger(part, self._tokens)
        if line["phase"] != "probe":
            found |= _named("mix/weight", part.groups, line["proportions"])


def _parsed(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} has a damaged line: {line[:60].decode(errors='replace')!r}")
    return found


def _count(tokens: dict[str, float], part: _Part, steps: int, drawn: Sequence[float]) -> None:
    """Add the tokens of `steps` in which `drawn` sequences of each group were trained."""
    total = sum(drawn)
    for name, count in zip(part.groups, drawn, strict=True):
        tokens[name] = tokens.get(name, 0.0) + (part.step_tokens * steps * count / total if total else 0.0)


def _ledger(part: _Part, tokens: Mapping[str, float]) -> dict[str, float]:
    """Tokens trained and passes over each group that has data."""
    found: dict[str, float] = {}
    for name, size in part.group_tokens.items():
        found[f"mix/tokens/{name}"] = trained = tokens.get(name, 0.0)
        if size:
            found[f"mix/epochs/{name}"] = trained / size
    return found


def _named(kind: str, names: Sequence[str], values: Sequence[float | None] | None) -> dict[str, float]:
    return _numbers(
        {f"{kind}/{name}": value for name, value in zip(names, values, strict=True)} if values else {}
    )


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Those that were measured."""
    return {name: float(value) for name, value in values.items() if value is not None}
