"""The comparison page of a directory whose runs may still go: finished ones compared, the others so far."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Hashable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.jobs.output import PLAN, Plan, diagnosis_files, read_diagnoses, results_content
from aioli.locks import LOCK
from aioli.report.live import Going, Live
from aioli.report.page import fill_page, page_parts

__all__ = ["LivePage", "progress"]

FILES = ("spec.json", "metrics.jsonl", "result.json")
RECENT = 20
"""Lines of metrics from which the pace of a run is taken."""


class LivePage:
    """What `aioli watch` shows of an output directory, or of one run in it.

    Raises:
        InputError: no such directory.
    """

    def __init__(self, source: Path | str) -> None:
        source = Path(source).absolute()
        if not source.is_dir():
            raise InputError(f"nothing to watch: {source} is not a directory")
        above = source.parent.parent
        single = not (source / PLAN).exists() and (above / PLAN).exists()
        self.out, self.only = (above, source.name) if single else (source, None)
        self._drawn_for: list[Any] = []
        self._parts: dict[str, Any] = {}

    def version(self) -> Hashable:
        """Sizes and times of the files that the page is made from, and which runs are at work."""
        seen: list[Hashable] = [_stamp(self.out / PLAN)]
        for directory in self._directories():
            seen += [_stamp(directory / name) for name in FILES]
            seen.append(_at_work(directory))
        seen += map(_stamp, diagnosis_files(self.out))
        return tuple(seen)

    def render(self) -> str:
        """The page as it is now.

        Raises:
            InputError: a damaged plan, or runs that cannot be compared.
        """
        if not (self.out / PLAN).exists():
            return fill_page(None, Live(self.out.name, 0, 0, (), ()))
        plan = Plan(self.out)
        groups = tuple(plan.config["data"]["groups"])
        results, going = [], []
        for run in self._runs(plan):
            found = _result(self.out / "runs" / run["id"])
            if found is None:
                going.append(self._going(run, groups, int(plan.config["train"]["steps"])))
            elif run["compared"]:
                results.append(found | {"label": run["label"]})
        title = str(plan.config.get("title") or self.out.name)
        live = Live(title, len(results) + len(going), len(results), groups, tuple(going))
        return fill_page(self._finished_parts(plan, results) if results else None, live)

    def _finished_parts(self, plan: Plan, results: list[dict[str, Any]]) -> dict[str, Any]:
        """What the page says of finished runs, drawn again only when there are others."""
        stamps = [_stamp(path) for path in diagnosis_files(self.out)]
        key = [plan.config, stamps, *((result["id"], result["label"]) for result in results)]
        if key != self._drawn_for:
            try:
                corpus = Corpus.open(plan.corpus)
            except InputError:
                corpus = None  # moved or deleted: the table of data is left empty
            content = results_content(self.out, plan.config, results, [], corpus)
            self._parts = page_parts(content, read_diagnoses(self.out))
            self._drawn_for = key
        return self._parts

    def _directories(self) -> list[Path]:
        return sorted(path for path in self.out.glob("runs/*") if self.only in (None, path.name))

    def _runs(self, plan: Plan) -> Iterator[dict[str, Any]]:
        """Those that were planned, and those that they need first."""
        planned = {run["id"] for run in plan.runs}
        for run in plan.runs:
            if self.only in (None, run["id"]):
                yield run | {"compared": True}
        for directory in self._directories():
            if directory.name not in planned:
                spec = _json(directory / "spec.json")
                label = spec.get("label") or spec.get("method") or directory.name
                yield {"id": directory.name, "label": label, "seed": spec.get("seed", 0), "compared": False}

    def _going(self, run: dict[str, Any], groups: tuple[str, ...], steps: int) -> Going:
        directory = self.out / "runs" / run["id"]
        spec = _json(directory / "spec.json")
        steps = int((spec.get("train") or {}).get("steps", steps))
        told = progress(directory / "metrics.jsonl", len(groups), steps)
        state = "running" if _at_work(directory) else "stopped" if told else "waiting"
        if state != "running":
            told |= {"eta": None}
        return Going(str(run["label"]), int(run["seed"]), state, steps, **told)


def progress(metrics: Path, groups: int, steps: int) -> dict[str, Any]:
    """How far a run's metrics are: step, loss, eta, law, proportions and curve; empty before the first line.

    Lines of a time with another number of groups are left out of the curves.
    """
    lines = [line for line in _lines(metrics) if "loss" in line]
    if not lines:
        return {}
    last, recent = lines[-1], lines[-RECENT:]
    walked, took = last["step"] - recent[0]["step"], last["seconds"] - recent[0]["seconds"]
    pace = took / walked if walked > 0 else last["seconds"] / last["step"]
    same = [line for line in lines if len(line["proportions"]) == groups]
    trained = [line for line in same if line["phase"] == "train"] or same
    return {
        "step": last["step"],
        "loss": last["loss"],
        "eta": max(pace, 0.0) * (steps - last["step"]),
        "law": last.get("law") or {},
        "proportions": {
            "step": [line["step"] for line in trained],
            "values": [line["proportions"] for line in trained],
        },
        "curve": {
            "step": [line["step"] for line in same],
            "train_loss": [line["train_loss"] for line in same],
        },
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines of a file that may be growing; none while it is not there."""
    with suppress(OSError):
        for text in path.read_bytes().split(b"\n")[:-1]:
            with suppress(ValueError):
                yield json.loads(text)


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _result(directory: Path) -> dict[str, Any] | None:
    found = _json(directory / "result.json")
    return found if found.get("version") == 1 and "test" in found else None


def _stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return path.as_posix(), seen.st_mtime_ns, seen.st_size


def _at_work(directory: Path) -> bool:
    """Whether a process has the run's directory to itself; asked without getting in its way."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)
