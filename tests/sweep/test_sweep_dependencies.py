"""Runs that read others: their order, what fails with what, and what is run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aioli.sweep import local
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store
from aioli.training.settings import TrainSettings

REFERENCE = RunSpec("stratified", "f", train=TrainSettings(device="cpu"), label="reference")
PROXY = replace(REFERENCE, method="doremi", inputs={"reference": REFERENCE.id}, label="proxy")
FINAL = replace(REFERENCE, method="static", inputs={"mixture": PROXY.id}, label="final")
OTHER = replace(REFERENCE, method="proportional", label="other")
PLAN = [FINAL, PROXY, OTHER, REFERENCE]
"""Readers before what they read: the runner must put that right."""

WORKER = """#!/bin/sh
run=$(basename "$3")
echo "start $run" >> {notes}
sleep 0.05
if grep -q "$run" {broken}; then echo "it broke" >&2; exit 1; fi
echo "{{\\"version\\": 1, \\"id\\": \\"$run\\", \\"validation\\": {{}}}}" > "$3/result.json"
echo "end $run" >> {notes}
"""


class Machine:
    """A stand-in for the interpreter that finishes every run at once, but those in `broken`."""

    def __init__(self, directory: Path) -> None:
        self.notes, self.broken = directory / "notes", directory / "broken"
        self.path = directory / "python"
        self.path.write_text(WORKER.format(notes=self.notes, broken=self.broken))
        self.path.chmod(0o755)
        self.breaks()

    def breaks(self, *specs: RunSpec) -> None:
        self.notes.write_text("")
        self.broken.write_text("".join(f"{spec.id}\n" for spec in specs))

    @property
    def said(self) -> list[str]:
        """What happened, with the labels of the runs."""
        names = {spec.id: spec.label for spec in PLAN}
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return [f"{what} {names[run]}" for what, run in lines]


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr("sys.executable", str(machine.path))
    return machine


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_starts_when_what_it_reads_has_ended(tmp_path: Path, computer: Machine, workers: int) -> None:
    with Store(tmp_path / "o") as store:
        outcome = local.run(PLAN, tmp_path, store, workers=workers)
    assert outcome.failures == []
    assert [result["label"] for result in outcome.results] == [spec.label for spec in PLAN]
    said = computer.said
    for before, after in (("reference", "proxy"), ("proxy", "final")):
        assert said.index(f"end {before}") < said.index(f"start {after}")
    if workers > 1:  # nothing waits without need
        assert said.index("start other") < said.index("end reference") or said[0] == "start other"
        assert {said[0], said[1]} == {"start other", "start reference"}


def test_a_failed_run_fails_its_readers_once_each_and_nothing_else(tmp_path: Path, computer: Machine) -> None:
    computer.breaks(REFERENCE)
    events: list[tuple[str, str]] = []
    with Store(tmp_path / "o") as store:
        outcome = local.run(
            PLAN, tmp_path, store, workers=1, on_event=lambda e: events.append((e.kind, e.spec.label))
        )
    failed = {failure.spec.label: failure for failure in outcome.failures}
    assert set(failed) == {"reference", "proxy", "final"}
    assert failed["reference"].cause is None and "it broke" in failed["reference"].message
    for label in ("proxy", "final"):
        assert failed[label].message == "not started: reference seed 0, which it needs, failed"
        assert failed[label].cause is not None and failed[label].cause.spec is REFERENCE
    assert sorted(label for kind, label in events if kind == "failed") == ["final", "proxy", "reference"]
    assert ("finished", "other") in events
    assert computer.said == ["start other", "end other", "start reference"]


def test_what_is_finished_is_not_run_again(tmp_path: Path, computer: Machine) -> None:
    computer.breaks(FINAL)
    with Store(tmp_path / "o") as store:
        local.run(PLAN, tmp_path, store, workers=2)
        computer.breaks()
        outcome = local.run(PLAN, tmp_path, store, workers=2)
    assert outcome.failures == [] and len(outcome.results) == 4
    assert computer.said == ["start final", "end final"]


def test_a_result_without_the_validation_losses_asked_for_is_not_finished(
    tmp_path: Path, computer: Machine
) -> None:
    with Store(tmp_path / "o") as store:
        (store.prepare(REFERENCE) / "result.json").write_text(f'{{"version": 1, "id": "{REFERENCE.id}"}}')
        assert store.result(REFERENCE) is not None
        asking = replace(REFERENCE, validation=True)
        assert asking.id == REFERENCE.id
        assert store.result(asking) is None
        local.run([asking], tmp_path, store, workers=1)
        assert store.result(asking) is not None
    assert computer.said == ["start reference", "end reference"]


def test_the_id_says_where_parameters_come_from_and_older_ids_stay() -> None:
    assert RunSpec("aioli", "0123456789abcdef", seed=3, parameters={"eta": 0.5}).id == "5d241496499e4af6"
    ids = {spec.id for spec in (REFERENCE, PROXY, FINAL, replace(PROXY, inputs={}), OTHER)}
    assert len(ids) == 5
