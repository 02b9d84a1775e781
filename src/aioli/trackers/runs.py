"""The runs that can be followed: those of an output directory, one of them, or a Mixer's journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aioli.errors import InputError
from aioli.trackers.tracker import Plain

__all__ = ["HOME", "Followed", "RunFiles", "find"]

HOME = "trackers"
"""Directory with what trackers write, and how far each got."""
KINDS = ("spec.json", "journal.jsonl", "metrics.jsonl")
COSTS = ("train_tokens", "evaluation_tokens", "probe_steps", "flops", "seconds", "joules")


@dataclass(frozen=True)
class RunFiles:
    """One run.

    Attributes:
        key: names it among those of its directory. name: for people.
        journal: its journal. metrics: its metrics, None for a loop that writes none.
        directory: of spec.json and result.json; None for a journal alone.
    """

    key: str
    name: str
    journal: Path
    metrics: Path | None = None
    directory: Path | None = None

    @property
    def finished(self) -> bool:
        return self.directory is not None and (self.directory / "result.json").exists()

    @property
    def begun(self) -> bool:
        """Whether there is anything to tell."""
        return any(path is not None and path.exists() for path in (self.journal, self.metrics))

    def configuration(self) -> dict[str, Plain]:
        """Settings of the run, flat: `train.steps` and so on."""
        if self.directory is not None:
            return flat(_json(self.directory / "spec.json"))
        try:
            with self.journal.open("rb") as file:
                header = json.loads(file.readline())
        except (OSError, ValueError):
            return {}
        return flat({"method": header["method"], **header["problem"]})

    def summary(self) -> dict[str, float]:
        """Results of a finished run: test losses, the mixture and costs; empty without any."""
        result = _json(self.directory / "result.json") if self.directory else {}
        if not result:
            return {}
        test, found = result["test"], {}
        for key in ("loss", "bits_per_byte"):
            for target, value in zip(result["targets"], test.get(key) or [], strict=False):
                found[f"test/{key}/{target}"] = value
        losses = test["loss"]
        found["test/loss_mean"] = sum(losses) / len(losses)
        for name, value in zip(
            result["groups"], (result.get("mixture") or {}).get("mean") or [], strict=False
        ):
            found[f"mix/mean_weight/{name}"] = value
        found |= {f"cost/{key}": (result.get("cost") or {}).get(key) for key in COSTS}
        return {name: float(value) for name, value in found.items() if value is not None}


class Followed(NamedTuple):
    """Runs that belong together, what they are called, and where trackers keep their files."""

    runs: list[RunFiles]
    project: str
    home: Path


def find(source: Path) -> Followed:
    """What there is to follow in an output directory, a run's directory, or a journal; it may grow later.

    Raises:
        InputError: a directory that is none of these.
    """
    source = source.absolute()
    if not source.is_dir():
        return Followed(
            [RunFiles(source.name, source.stem, source)], source.parent.name, source.parent / HOME
        )
    if (source / "plan.json").exists() or (source / "runs").is_dir():
        return _output(source)
    if not any((source / name).exists() for name in KINDS):
        raise InputError(
            f"nothing to follow in {source}: expected an output directory of `aioli train` or `compare`, "
            "the directory of one run, or a Mixer's journal"
        )
    out = source.parent.parent
    if (out / "plan.json").exists():
        every = _output(out)
        return every._replace(runs=[run for run in every.runs if run.directory == source])
    return Followed([_run(source, {})], source.name, source / HOME)


def _output(out: Path) -> Followed:
    plan = _json(out / "plan.json")
    labels = {run["id"]: str(run["label"]) for run in plan.get("runs", [])}
    found = sorted(path.parent for path in out.glob("runs/*/spec.json"))
    project = (plan.get("config") or {}).get("title") or out.name
    return Followed([_run(directory, labels) for directory in found], str(project), out / HOME)


def _run(directory: Path, labels: Mapping[str, str]) -> RunFiles:
    spec = _json(directory / "spec.json")
    label = labels.get(directory.name) or spec.get("label") or spec.get("method") or directory.name
    name = f"{label} seed {spec['seed']}" if "seed" in spec else str(label)
    return RunFiles(directory.name, name, directory / "journal.jsonl", directory / "metrics.jsonl", directory)


def _json(path: Path) -> dict[str, Any]:
    """The content of a file; empty when it cannot be read (yet)."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Plain]:
    """Nested settings under dotted names; lists as JSON texts, what is not set left out.

    >>> flat({"train": {"steps": 5, "clip": None}, "inputs": {}, "seeds": [0, 1]})
    {'train.steps': 5, 'seeds': '[0, 1]'}
    """
    found: dict[str, Plain] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{key}.")
        elif isinstance(value, str | int | float):
            found[above + key] = value
        elif value:
            found[above + key] = json.dumps(value)
    return found
