"""The four trackers for real: a small run is followed, interrupted, continued, and read back."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from aioli.jobs.track import track
from aioli.methods import zoo
from aioli.mixer import Mixer
from aioli.protocol import Problem
from aioli.trackers.tracker import TrackerChoice

PROBLEM = Problem(
    groups=("law", "c++"), group_tokens=(4096, 8192), total_steps=30, step_tokens=512, targets=("exam",)
)
BLOCK = 32768
Series = dict[str, list[tuple[int, float]]]


def write_metrics(directory: Path, steps: range) -> None:
    with (directory / "metrics.jsonl").open("a") as file:
        for step in steps:
            line = {
                "step": step,
                "loss": 4.0 - step / 10,
                "gradient_norm": 1.5,
                "learning_rate": 0.001,
                "phase": "train",
                "proportions": [0.25, 0.75],
                "train_loss": [3.0, 2.0],
                "drawn": [1, 3],
                "seconds": step / 10,
            }
            file.write(json.dumps(line) + "\n")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's directory with 20 of 30 steps."""
    directory = tmp_path / "out" / "runs" / "abc"
    directory.mkdir(parents=True)
    spec = {"method": "aioli", "seed": 3, "label": "mine", "train": {"steps": 30}}
    (directory / "spec.json").write_text(json.dumps(spec))
    plan = {"config": {"title": "Fish"}, "runs": [{"id": "abc", "label": "mine", "seed": 3}]}
    (tmp_path / "out" / "plan.json").write_text(json.dumps(plan))
    mixer = Mixer(zoo.static([0.25, 0.75]), PROBLEM, directory / "journal.jsonl")
    mixer.state_dict()
    mixer.close()
    write_metrics(directory, range(1, 21))
    return directory


def followed(run: Path, text: str) -> None:
    """Follow the interrupted run, let it resume from step 15 and finish, and follow it again, twice."""
    choice = TrackerChoice.parse(text)
    assert track(run, [choice]) == 19
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:15]))
    write_metrics(run, range(16, 31))
    result = {
        "groups": ["law", "c++"],
        "targets": ["exam"],
        "test": {"loss": [2.5], "bits_per_byte": [1.25]},
        "mixture": {"mean": [0.25, 0.75]},
        "cost": {"seconds": 12.5},
    }
    (run / "result.json").write_text(json.dumps(result))
    assert track(run.parent.parent, [choice]) == 11
    assert track(run, [choice]) == 0


def check(series: Series, *, plus: str = "c++") -> None:
    """Every step once, in order, with its values."""
    assert [step for step, _ in series["loss/train"]] == list(range(1, 31))
    losses = [value for _, value in series["loss/train"]]
    np.testing.assert_allclose(losses, [4.0 - step / 10 for step in range(1, 31)], rtol=1e-6)
    assert series[f"mix/weight/{plus}"][-1] == (30, 0.75)
    assert series[f"mix/tokens/{plus}"][-1] == (30, 30 * 384.0)
    assert series["mix/epochs/law"][-1] == (30, 30 * 128 / 4096)
    assert len(series["train/gradient_norm"]) == len(series["mix/loss/law"]) == 30


def test_tensorboard(run: Path, tmp_path: Path) -> None:
    followed(run, "tensorboard")
    (directory,) = (tmp_path / "out" / "trackers" / "tensorboard").iterdir()
    assert directory.name == "mine-seed-3"
    events = EventAccumulator(str(directory), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    check(scalars)
    assert scalars["test/loss/exam"] == [(30, 2.5)]
    sessions = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"train.steps" in sessions


def test_wandb_offline(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody answers there
    followed(run, "wandb:mode=offline")
    files = sorted((tmp_path / "out" / "trackers" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2 and files[0].name == files[1].name  # two parts of one run
    series: Series = defaultdict(list)
    summary, configuration, project = {}, {}, ""
    for record in (record for path in files for record in records_of(path)):
        if record.HasField("history"):
            step = record.history.step.num
            for item in record.history.item:
                name = item.key or "/".join(item.nested_key)
                series[name].append((step, json.loads(item.value_json)))
        if record.HasField("summary"):
            for item in record.summary.update:
                summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        if record.HasField("run"):
            project = record.run.project
            configuration |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    check(series)
    assert summary["test/loss/exam"] == 2.5 and project == "Fish"
    assert configuration["train.steps"] == 30 and configuration["seed"] == 3


def records_of(path: Path) -> list[wandb_internal_pb2.Record]:
    """The package has no reader in Python any more; the file is a LevelDB log of records."""
    content, at, found, parts = path.read_bytes(), 7, [], b""
    assert content[:4] == b":W&B"
    while at + 7 <= len(content):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        if kind == 0:
            at += left
            continue
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def test_mlflow_files(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    followed(run, "mlflow")
    client = MlflowClient((tmp_path / "out" / "trackers" / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("Fish")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "mine seed 3" and found.info.status == "FINISHED"
    assert found.data.params["train.steps"] == "30" and found.data.params["method"] == "aioli"
    history = {
        name: [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, name)]
        for name in found.data.metrics
    }
    check(history, plus="c__")
    assert history["test/loss/exam"] == [(30, 2.5)]


READ_TRACKIO = """
import json
from trackio.sqlite_storage import SQLiteStorage
(record,) = SQLiteStorage.get_run_records("Fish")
name, run_id = record["name"], record["id"]
logs = SQLiteStorage.get_logs("Fish", name, run_id=run_id)
config = SQLiteStorage.get_run_config("Fish", name, run_id=run_id)
print("READ" + json.dumps({"name": name, "logs": logs, "config": config}, default=str))
"""


def test_trackio(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed(run, f"trackio:dir={tmp_path / 'store'}")
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "store")}
    ended = subprocess.run(
        [sys.executable, "-c", READ_TRACKIO], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(ended.stdout.rpartition("READ")[2])
    series: Series = defaultdict(list)
    for row in found["logs"]:
        for name, value in row.items():
            series[name].append((row["step"], value))
    check(series)
    assert series["test/loss/exam"] == [(30, 2.5)]
    assert found["name"].startswith("mine seed 3 ") and found["config"]["train.steps"] == 30
