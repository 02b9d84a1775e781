"""Whole directories into trackers: continuing, finishing, trackers that fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aioli.errors import InputError
from aioli.trackers.session import Session
from aioli.trackers.tracker import Run, TrackerChoice, check_installed, read_choices

from .conftest import FakeRun, Recorder

WANDB, MLFLOW = TrackerChoice("wandb"), TrackerChoice("mlflow", {"experiment": "e"})


class Backend:
    """Opens recorders and remembers what for."""

    def __init__(self) -> None:
        self.opened: list[tuple[TrackerChoice, Run]] = []
        self.trackers: list[Recorder] = []

    def __call__(self, choice: TrackerChoice, run: Run) -> Recorder:
        self.opened.append((choice, run))
        self.trackers.append(Recorder(run.known or f"{choice.name}-{len(self.trackers)}"))
        return self.trackers[-1]


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def said() -> list[str]:
    return []


def plan(out: Path) -> None:
    content = {"config": {"title": "Fish"}, "runs": [{"id": "abc", "label": "mine", "seed": 3}]}
    (out / "plan.json").write_text(json.dumps(content))


def test_a_finished_directory_once(run: FakeRun, backend, said):
    out = run.directory.parent.parent
    plan(out)
    run.train(40)
    run.finish()
    for _ in range(2):
        with Session(out, [WANDB], said.append, backend) as session:
            session.poll(last=True)
    assert len(backend.opened) == 1 and said == []
    told, opened = backend.trackers[0], backend.opened[0][1]
    assert (opened.name, opened.project, opened.known) == ("mine seed 3", "Fish", None)
    assert opened.configuration == {"method": "aioli", "seed": 3, "label": "aioli", "train.steps": 40}
    assert told.steps[-1] == 40 and told.closed == [True]
    assert told.summary == {
        "test/loss/exam": 2.5,
        "test/loss_mean": 2.5,
        "mix/mean_weight/law": 0.4,
        "mix/mean_weight/code": 0.6,
        "cost/seconds": 12.5,
        "cost/flops": 1e9,
    }


def test_a_resumed_run_continues_the_same_tracker_run(run: FakeRun, backend, said):
    run.train(20)
    with Session(run.directory, [WANDB], said.append, backend) as session:
        session.poll(last=True)
    run.rewind(10)
    run.train(30)
    with Session(run.directory, [WANDB], said.append, backend) as session:
        session.poll()
        run.train(40)
        run.finish()
        session.poll()
    first, second = backend.trackers
    assert backend.opened[1][1].known == first.run == second.run
    assert first.closed == [False] and second.closed == [True]
    assert first.steps + second.steps == sorted({*range(2, 41, 2), *range(5, 41, 5)})


def test_a_run_of_an_output_directory_shares_its_state(run: FakeRun, backend, said):
    out = run.directory.parent.parent
    plan(out)
    run.train(40)
    run.finish()
    other = FakeRun(out / "runs" / "other")
    other.train(6)
    with Session(run.directory, [WANDB], said.append, backend) as session:
        session.poll()
    with Session(out, [WANDB], said.append, backend) as session:
        session.poll()
    assert [opened.name for _, opened in backend.opened] == ["mine seed 3", "aioli seed 3"]
    assert sorted(path.name for path in (out / "trackers" / "state").iterdir()) == [
        "abc.wandb.json",
        "other.wandb.json",
    ]


def test_other_options_are_another_place(run: FakeRun, backend, said):
    run.train(40)
    run.finish()
    for options in ({}, {"project": "a"}, {"project": "b"}, {"project": "a"}):
        with Session(run.directory, [TrackerChoice("wandb", options)], said.append, backend) as session:
            session.poll()
    assert len(backend.opened) == 3


def test_a_tracker_that_fails_is_left_alone_and_the_others_go_on(run: FakeRun, backend, said):
    class Full(Recorder):
        def log(self, step, values):
            if step > 4:
                raise OSError(28, "No space left on device")
            super().log(step, values)

    full = Full()

    def open(choice: TrackerChoice, told: Run) -> Recorder:
        return full if choice == WANDB else backend(choice, told)

    run.train(10)
    with Session(run.directory, [WANDB, MLFLOW], said.append, open) as session:
        session.poll()
        run.train(40)
        run.finish()
        session.poll()
    assert len(said) == 1 and "tracking with wandb has stopped (OSError" in said[0]
    assert f"aioli track {run.directory} --to wandb" in said[0]
    assert full.steps == [2, 4]
    assert backend.trackers[0].steps[-1] == 40 and backend.trackers[0].closed == [True]
    with Session(run.directory, [WANDB], said.append, backend) as session:
        session.poll()
    assert backend.trackers[1].steps[-1] == 40


def test_a_damaged_run_does_not_stop_the_others(run: FakeRun, backend, said):
    out = run.directory.parent.parent
    run.train(4)
    run.metrics.write_text("{\n")
    FakeRun(out / "runs" / "good").train(8)
    with Session(out, [WANDB], said.append, backend) as session:
        session.poll()
        session.poll()
    assert len(said) == 1 and "damaged line" in said[0] and said[0].startswith("aioli seed 3 is not tracked")
    assert backend.trackers[0].steps == [2, 4, 5, 6]


def test_one_session_at_a_time(run: FakeRun, backend, said, monkeypatch):
    monkeypatch.setattr("aioli.locks.PATIENCE", 0.1)
    with (
        Session(run.directory, [WANDB], said.append, backend),
        pytest.raises(InputError, match=r"another process .* is working in .*trackers"),
    ):
        Session(run.directory, [WANDB], said.append, backend)


def test_nothing_to_follow(tmp_path, backend, said):
    with pytest.raises(InputError, match=r"nothing to follow in .*: expected an output directory"):
        Session(tmp_path, [WANDB], said.append, backend)


def test_choices():
    assert TrackerChoice.parse("wandb:project=a,mode=offline").options == {"project": "a", "mode": "offline"}
    assert TrackerChoice.parse("mlflow:uri=http://x:5000").options == {"uri": "http://x:5000"}
    assert read_choices(["mlflow", {"wandb": {"project": "p"}}, {"trackio": None}])[1].to_entry() == {
        "wandb": {"project": "p"}
    }
    for text, told in (
        ("wandbb", "did you mean 'wandb'"),
        ("wandb:projekt=x", "no option 'projekt'; did you mean 'project'"),
        ("wandb:", "NAME:option=value"),
        ("wandb:project", "NAME:option=value"),
    ):
        with pytest.raises(InputError, match=told):
            TrackerChoice.parse(text)
    with pytest.raises(InputError, match="named twice"):
        read_choices(["mlflow", "mlflow"])


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'aioli\[wandb\]'"):
        check_installed([WANDB])
