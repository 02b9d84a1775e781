"""Files as a run writes them, and a tracker that remembers what it was told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aioli.methods import zoo
from aioli.mixer import Mixer
from aioli.protocol import Problem

PROBLEM = Problem(
    groups=("law", "code"), group_tokens=(4096, 8192), total_steps=40, step_tokens=512, targets=("exam",)
)


class Recorder:
    """A tracker in memory."""

    def __init__(self, run: str = "r1") -> None:
        self.run = run
        self.points: list[tuple[int, dict[str, float]]] = []
        self.summary: dict[str, float] = {}
        self.closed: list[bool] = []

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.points]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.points.append((step, dict(values)))

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        self.summary = dict(values)

    def close(self, finished: bool) -> None:
        self.closed.append(finished)


class FakeRun:
    """A run's directory, written as the training loop does: metrics every 2 steps, a record every 5."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        spec = {"method": "aioli", "seed": 3, "label": "aioli", "train": {"steps": 40}, "inputs": {}}
        (directory / "spec.json").write_text(json.dumps(spec))
        self.metrics, self.journal = directory / "metrics.jsonl", directory / "journal.jsonl"
        self.step = 0
        self.header()

    def header(self) -> None:
        mixer = Mixer(zoo.stratified(), PROBLEM, self.journal)
        mixer.state_dict()
        mixer.close()

    def train(self, until: int) -> None:
        while self.step < until:
            self.step += 1
            if self.step % 2 == 0:
                self.add(self.metrics, metrics_line(self.step))
            if self.step % 5 == 0:
                self.add(self.journal, record(self.step))

    def add(self, path: Path, line: dict[str, Any]) -> None:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """As a run does that resumes from its checkpoint at `step`."""
        for path, key in ((self.metrics, lambda line: line["step"]), (self.journal, record_step)):
            lines = path.read_text().splitlines(keepends=True)
            path.unlink()
            path.write_text("".join(line for line in lines if key(json.loads(line)) <= step))
        self.step = step

    def finish(self) -> None:
        result = {
            "groups": ["law", "code"],
            "targets": ["exam"],
            "test": {"loss": [2.5], "bits_per_byte": [None]},
            "mixture": {"mean": [0.4, 0.6]},
            "cost": {"seconds": 12.5, "flops": 1e9},
        }
        (self.directory / "result.json").write_text(json.dumps(result))


def record_step(line: dict[str, Any]) -> int:
    return line["seen"]["step"] if "seen" in line else 0


def metrics_line(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "loss": 4.0 - step / 100,
        "gradient_norm": 1.5,
        "learning_rate": 0.001,
        "phase": "probe" if step % 4 == 0 else "train",
        "proportions": [0.25, 0.75],
        "train_loss": [3.0, None],
        "drawn": [1, 3],
        "seconds": step / 10,
    } | ({"law": {"r2": 0.5, "r2_trend": -0.1, "coverage": None}} if step >= 6 else {})


def record(step: int) -> dict[str, Any]:
    request = {"proportions": [0.3, 0.7], "steps": 5, "observe": [], "phase": "train", "loss_weights": None}
    values = {"validation_loss": [5.0 - step / 10], "train_loss": [3.0, 4.0]}
    seen = {"step": step, "drawn": [6.0, 14.0], "values": values, "learning_rate": 0.002}
    return {"request": request, "seen": seen, "crc": "0"}


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(tmp_path / "out" / "runs" / "abc")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
