"""Which failures get another attempt, how many, and what is said about them."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from aioli.errors import InputError
from aioli.sweep import local
from aioli.sweep.runner import Event, Outcome
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store
from aioli.sweep.worker import explain
from aioli.training.settings import TrainSettings

SPEC = RunSpec("stratified", "f", train=TrainSettings(device="cpu"), label="one")
OTHER = replace(SPEC, seed=1, label="two")
RESULT = 'echo "{\\"version\\": 1, \\"id\\": \\"$(basename "$3")\\"}" > "$3/result.json"'


class Machine:
    """A stand-in for the interpreter: seed 0 ends as `ends` says in its first attempts, then well."""

    def __init__(self, directory: Path, ends: str, bad: int) -> None:
        self.counted, self.events = directory / "counted", [Event("none", SPEC)]
        path = directory / "python"
        path.write_text(
            f'#!/bin/sh\ncase "$3" in *{SPEC.id}) ;; *) {RESULT}; exit 0;; esac\n'
            f"echo x >> {self.counted}\n"
            f"if [ $(wc -l < {self.counted}) -le {bad} ]; then {ends}; fi\n{RESULT}\n"
        )
        path.chmod(0o755)
        self.path = path

    def run(self, directory: Path, **options: int) -> Outcome:
        with Store(directory / "o") as store:
            return local.run(
                [SPEC, OTHER], directory, store, workers=1, on_event=self.events.append, **options
            )

    @property
    def attempts(self) -> int:
        return len(self.counted.read_text().split())

    def said(self, kind: str) -> list[str]:
        return [event.message for event in self.events if event.kind == kind]


def say(text: str, kind: str) -> str:
    return f"""echo '{{"error": "{text}", "kind": "{kind}"}}'; exit 2"""


WORTH = {
    "kill -9 $$": "the worker was killed by signal 9",
    "exit 130": "the worker was asked to stop by somebody else",
    say("the disk or network failed: Stale file handle", "transient"): "the disk or network failed",
}
IN_VAIN = {
    say("the model diverged", "input"): "the model diverged",
    say("out of memory (CUDA)", "memory"): r"out of memory (CUDA)",
    "exit 1": "the worker failed (exit code 1)",
    "kill -11 $$": "the worker failed (killed by signal 11)",
    "exit 0": "the worker ended without a result",
    "echo 'CUDA error: out of memory' >&2; exit 1": "out of memory",
}


@pytest.mark.parametrize("ends", WORTH)
def test_what_may_pass_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    machine = Machine(tmp_path, ends, bad=2)
    monkeypatch.setattr("sys.executable", str(machine.path))
    failed = machine.run(tmp_path)
    assert [failure.message.startswith(WORTH[ends]) for failure in failed.failures] == [True]
    assert len(failed.results) == 1 and machine.attempts == 2
    assert [text.endswith("; attempt 2 of 2, from its checkpoint") for text in machine.said("retried")] == [
        True
    ]

    machine.counted.unlink()
    with Store(tmp_path / "more") as store:
        done = local.run([SPEC], tmp_path, store, attempts=3)
    assert done.failures == [] and machine.attempts == 3


@pytest.mark.parametrize("ends", IN_VAIN)
def test_what_would_happen_again_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    machine = Machine(tmp_path, ends, bad=9)
    monkeypatch.setattr("sys.executable", str(machine.path))
    outcome = machine.run(tmp_path, attempts=5)
    assert [failure.spec for failure in outcome.failures] == [SPEC]
    assert outcome.failures[0].message.startswith(IN_VAIN[ends])
    assert machine.attempts == 1 and len(outcome.results) == 1 and not machine.said("retried")


@pytest.mark.parametrize(("workers", "attempts"), [(0, 1), (1, 0)])
def test_counts_are_at_least_one(tmp_path: Path, workers: int, attempts: int) -> None:
    with Store(tmp_path / "o") as store, pytest.raises(InputError, match="must be at least 1, got 0"):
        local.run([SPEC], tmp_path, store, workers=workers, attempts=attempts)


def test_the_worker_tells_what_may_pass_from_what_will_not() -> None:
    assert explain(OSError(errno.ESTALE, "Stale file handle", "/data/x.bin")) == (
        "transient",
        "the disk or network failed: Stale file handle (/data/x.bin)",
    )
    assert explain(OSError(errno.ENOSPC, "No space left on device")) is None
    assert explain(InputError("diverged")) == ("input", "diverged")
    memory = explain(RuntimeError("CUDA out of memory. Tried to allocate"))
    assert memory is not None and memory[0] == "memory"
    assert explain(KeyError("x")) is None
