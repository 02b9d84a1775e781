"""The journal: an append-only file of (request, observation) records, one JSON object a line.

A method's state is a fold of its pure `update` over the journal, so the journal alone reproduces every
decision of a run. When a run's groups change, a line says what they were before and what they are now; the
records after it are those of the new problem. Each line carries a checksum chained to the line before. A
last line cut short by a kill is dropped when reading; damage anywhere else is an error.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array, Constraints, Observation, Problem, Request
from aioli.regroup import Regroup
from aioli.state import checksum

__all__ = ["Change", "Journal", "JournalWriter", "Record"]

VERSION = 1


REMEDY = "to start that run again from its first step, delete the checkpoint and the journal"


class Record(NamedTuple):
    """One finished segment."""

    request: Request
    observation: Observation


class Change(NamedTuple):
    """A change of groups.

    Attributes:
        after: number of records before it. regroup: the two problems and how they are related.
        method: a text that names the method from then on.
        cut: the segment that it cut short, with the steps trained and nothing measured; None if it had none.
    """

    after: int
    regroup: Regroup
    method: str
    cut: Record | None


def _numbers(values: Array | None) -> list[Any] | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    plain = array.astype(object)
    plain[np.isnan(array)] = None
    return plain.tolist()


def _array(values: list[Any] | None) -> Array | None:
    return None if values is None else np.array(values, np.float64)  # None reads as NaN


def to_json(record: Record) -> dict[str, Any]:
    request, seen = record
    return {
        "request": {
            "proportions": _numbers(request.proportions),
            "steps": request.steps,
            "observe": sorted(request.observe),
            "phase": request.phase,
            "loss_weights": _numbers(request.loss_weights),
        },
        "seen": {
            "step": seen.step,
            "drawn": _numbers(seen.drawn),
            "values": {signal: _numbers(seen.values[signal]) for signal in sorted(seen.values)},
            "learning_rate": None if seen.learning_rate != seen.learning_rate else seen.learning_rate,
        },
    }


def from_json(line: dict[str, Any]) -> Record:
    request, seen = line["request"], line["seen"]
    rate = seen["learning_rate"]
    proportions, drawn = _array(request["proportions"]), _array(seen["drawn"])
    assert proportions is not None and drawn is not None
    values = {name: _array(v) for name, v in seen["values"].items()}
    return Record(
        Request(
            proportions,
            request["steps"],
            frozenset(request["observe"]),
            request["phase"],
            _array(request["loss_weights"]),
        ),
        Observation(seen["step"], drawn, values, float("nan") if rate is None else rate),  # type: ignore[arg-type]
    )


def _change_to_json(regroup: Regroup, method: str, cut: Record | None) -> dict[str, Any]:
    return {
        "regroup": {
            "step": regroup.step,
            "problem": asdict(regroup.new),
            "parents": {name: list(parents) for name, parents in regroup.parents.items()},
            "method": method,
            "cut": None if cut is None else to_json(cut),
        }
    }


def _change_from_json(line: dict[str, Any], old: Problem, after: int) -> Change:
    saved = line["regroup"]
    parents = {name: tuple(given) for name, given in saved["parents"].items()}
    regroup = Regroup(old, _problem(saved["problem"]), saved["step"], parents)
    return Change(after, regroup, saved["method"], None if saved["cut"] is None else from_json(saved["cut"]))


def _problem(saved: dict[str, Any]) -> Problem:
    constraints = Constraints(**saved.pop("constraints", {}))
    return Problem(**saved, constraints=constraints)


@dataclass(frozen=True)
class Journal:
    """A journal read back.

    Attributes:
        problem: the run as it began. method: a text that names the method.
        records: finished segments in order. changes: of the groups, in order.
    """

    problem: Problem
    method: str
    records: tuple[Record, ...]
    changes: tuple[Change, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The run as it began, and after every change."""
        return (self.problem, *(change.regroup.new for change in self.changes))

    @property
    def trained(self) -> tuple[tuple[Problem, Record], ...]:
        """Every segment with the problem it belongs to; those that a change cut short are among them."""
        found: list[tuple[Problem, Record]] = []
        cuts = [*(change.cut for change in self.changes), None]
        for problem, records, cut in zip(self.problems, self.parts, cuts, strict=True):
            found += [(problem, record) for record in records]
            found += [(problem, cut)] if cut is not None else []
        return tuple(found)

    @property
    def groups(self) -> tuple[str, ...]:
        """Present groups, then those of before that are no more."""
        return tuple(dict.fromkeys(name for problem in reversed(self.problems) for name in problem.groups))

    @property
    def parts(self) -> tuple[tuple[Record, ...], ...]:
        """The records of each of `problems`."""
        bounds = [0, *(change.after for change in self.changes), len(self.records)]
        return tuple(self.records[start:end] for start, end in pairwise(bounds))

    @classmethod
    def read(cls, path: Path | str) -> Journal:
        """Read a journal file.

        Raises:
            InputError: no such file, another format, or a damaged line (its number is named).
        """
        path = Path(path)
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            raise InputError(f"no journal at {path}") from None
        complete, rest = lines[:-1], lines[-1]
        del rest  # a line without its newline was being written when the process was killed
        header, problem, crc = None, None, ""
        records: list[Record] = []
        changes: list[Change] = []
        for number, text in enumerate(complete, start=1):
            line, crc = _parse(path, number, text, crc)
            if header is None or problem is None:
                header, problem = line, _problem(line["problem"])
            elif "regroup" in line:
                before = changes[-1].regroup.new if changes else problem
                changes.append(_change_from_json(line, before, len(records)))
            else:
                records.append(from_json(line))
        if header is None or problem is None:
            raise InputError(f"the journal {path} is empty; nothing was recorded")
        return cls(problem, header["method"], tuple(records), tuple(changes))


def _parse(path: Path, number: int, text: bytes, crc: str) -> tuple[dict[str, Any], str]:
    """Decode one line, check its chained checksum, return it with the new checksum."""
    try:
        line = json.loads(text)
        found = line.pop("crc")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{path}, line {number}: not a journal line; {REMEDY}") from None
    if number == 1 and line.get("version") != VERSION:
        raise InputError(f"{path} has journal version {line.get('version')!r}; this Aioli reads {VERSION}")
    expected = checksum(line, crc)
    if found != expected:
        raise InputError(f"{path}, line {number} is damaged (checksum {found}, not {expected}); {REMEDY}")
    return line, expected


class JournalWriter:
    """Appends records; `position` is what a checkpoint keeps, `rewind` returns the file to it."""

    def __init__(self, path: Path | str, problem: Problem, method: str) -> None:
        self._path = Path(path)
        self._header = {"version": VERSION, "problem": asdict(problem), "method": method}
        self._file: Any = None
        self._bytes, self._crc = 0, ""

    def _open(self) -> None:
        if self._file is None and self._bytes:  # closed by us: go on
            self._file = self._path.open("ab", buffering=0)
        elif self._file is None:
            if self._path.exists() and self._path.stat().st_size > 0:
                raise InputError(
                    f"the journal {self._path} already has records: resume from its checkpoint, "
                    "or give another path"
                )
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._append(self._header)

    def _append(self, line: dict[str, Any]) -> None:
        """Write one line whole, or leave the file as it was."""
        crc = checksum(line, self._crc)
        data = json.dumps(line | {"crc": crc}, separators=(",", ":")).encode() + b"\n"
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(self._bytes)
            raise
        self._bytes, self._crc = self._bytes + len(data), crc

    def write(self, record: Record) -> None:
        """Append one record and hand it to the operating system."""
        self._open()
        self._append(to_json(record))

    def write_change(self, regroup: Regroup, method: str, cut: Record | None) -> None:
        """Append a change of groups, with the segment that it cuts short."""
        self._open()
        self._append(_change_to_json(regroup, method, cut))

    def position(self) -> dict[str, Any]:
        """Bytes and checksum so far, after making sure that they are on the disk."""
        self._open()
        os.fsync(self._file.fileno())
        return {"bytes": self._bytes, "crc": self._crc}

    def rewind(self, position: dict[str, Any]) -> None:
        """Cut the file back to a saved position (records after a checkpoint will be made again).

        Raises:
            InputError: a file shorter than the position, or with other content before it.
        """
        self.close()
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < position["bytes"]:
            raise InputError(
                f"the journal {self._path} has {size} bytes, the checkpoint was made at "
                f"{position['bytes']}: it was truncated or belongs to another run; {REMEDY}"
            )
        head = self._path.read_bytes()[: position["bytes"]]
        crc = ""
        for number, text in enumerate(head.split(b"\n")[:-1], start=1):
            crc = _parse(self._path, number, text, crc)[1]
        if crc != position["crc"]:
            raise InputError(
                f"the journal {self._path} is not the one its checkpoint was made with; {REMEDY}"
            )
        self._file = self._path.open("ab", buffering=0)
        self._file.truncate(position["bytes"])
        self._bytes, self._crc = position["bytes"], crc

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
