"""A whole comparison, small but real: results, resuming, workers that die, interruptions."""

import csv
import errno
import json
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

import aioli
from aioli.config import load
from aioli.errors import InputError
from aioli.jobs.planning import plan_runs
from aioli.jobs.run import report as aioli_report
from aioli.jobs.runs import RunsFailed
from aioli.jobs.watch import Watch
from aioli.sweep import local
from aioli.sweep.runner import Event

LONG = ("--set", "train.steps=300", "--set", "train.checkpoint_every=50")


def results_of(out: Path) -> dict:
    """results.json without its date and the cost, which has times in it."""
    content = json.loads((out / "results.json").read_text())
    for run in content["runs"].values():
        del run["cost"]
    return {key: content[key] for key in ("runs", "groups", "targets", "baseline", "config")}


def weights_of(out: Path) -> dict[str, str]:
    found = [json.loads(path.read_text()) for path in out.glob("runs/*/result.json")]
    return {result["id"]: result["weights_sha256"] for result in found}


def workers_of(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def test_compare_then_resume_report_and_repair(project, cli, monkeypatch):
    ended = cli("compare", "mix.yaml", "--out", "o")
    assert ended.code == 0, ended.err
    assert "illustration, not a claim" in " ".join(ended.out.split())
    assert "o/report.html" in ended.out
    assert "4 of 4 finished" in ended.err
    out = project / "o"
    results = json.loads((out / "results.json").read_text())
    assert [m["label"] for m in results["methods"]] == ["stratified", "quarter"]
    assert results["baseline"] == "stratified"
    assert results["methods"][1]["of"] == 2
    assert results["failures"] == []
    assumed = results["assumptions"]
    assert "6N FLOPs for each training token" in assumed["flops"] and "test at the end" in assumed["flops"]
    assert assumed["energy"].startswith("Assumed, not measured: 15 W for as long as the run lasts")
    page = (out / "report.html").read_text()
    assert f"<dd>{assumed['flops']}</dd>" in page and f"<dd>{assumed['energy']}</dd>" in page
    with (out / "results.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"0", "1", ""}
    assert "<html" in (out / "report.html").read_text()
    assert "steps: 20" in (out / "config.resolved.yaml").read_text()

    refused = cli("compare", "mix.yaml", "--out", "o")
    assert (refused.code, refused.out) == (2, "")
    assert "--resume" in refused.err

    before = results_of(out)
    broken = next(out.glob("runs/*/result.json"))
    broken.write_text('{"version": 1')
    for name in ("results.json", "results.csv", "report.html"):
        (out / name).unlink()
    resumed = cli("compare", "mix.yaml", "--out", "o", "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert "redone" in resumed.err
    assert resumed.err.count("finished before") == 3
    assert json.loads(resumed.out) == json.loads((out / "results.json").read_text())
    assert results_of(out) == before
    assert broken.with_name("result.json.unusable").exists()

    renamed = "methods=[{stratified: {}, label: even}, {static: {proportions: [0.25, 0.75]}}]"
    ended = cli("compare", "mix.yaml", "--out", "o", "--resume", "--quiet", "--set", renamed)
    assert (ended.code, ended.err) == (0, "")
    labels = [m["label"] for m in json.loads((out / "results.json").read_text())["methods"]]
    assert labels == ["even", "static(proportions=[0.25, 0.75])"]
    assert cli("compare", "mix.yaml", "--out", "o", "--resume", "--quiet").code == 0

    (out / "report.html").unlink()
    again = cli("report", "o")
    assert again.code == 0
    assert results_of(out) == before
    assert (out / "report.html").exists()

    def too_large(*_: object) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr("aioli.jobs.output.write_csv", too_large)
    full = cli("report", "o")
    assert (full.code, full.out) == (2, "")
    assert "no room left while writing to o (File too large)" in full.err
    assert "run `aioli report` again" in full.err and "--resume" not in full.err


def test_train_once_from_python(project):
    messages: list[str] = []
    results = aioli.train(
        "mix.yaml", method="aioli", seed=5, out="o", watch=Watch(message=messages.append),
        overrides=["train.steps=60"],
    )  # fmt: skip
    assert [method["label"] for method in results["methods"]] == ["aioli"]
    assert results["methods"][0]["seeds"] == [5]
    assert results == json.loads(Path("o/results.json").read_text())
    assert Path("o/report.html").exists()
    with pytest.raises(InputError, match="--resume"):
        aioli.train("mix.yaml", method="aioli", out="o")
    assert aioli.tokenize("mix.yaml", out="o", resume=True).groups == ("fish", "birds")


def test_a_worker_killed_once_is_retried_and_twice_is_reported(project):
    config = load("mix.yaml", ["train.steps=600", "train.checkpoint_every=50", "seeds=[0]"])
    aioli.train(config, method="quarter", out="whole")
    limits = {"stratified": 2, "quarter": 1}
    killed: list[str] = []
    events: list[Event] = []

    def kill(event: Event) -> None:
        events.append(event)
        label = event.spec.label
        retried = [e.spec.label for e in events if e.kind == "retried"].count(label)
        due = killed.count(label) < limits[label] and killed.count(label) == retried
        if event.kind == "progress" and event.progress["step"] >= 50 and due:
            for pid in workers_of(os.getpid()):
                if event.spec.id in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(label)

    with pytest.raises(RunsFailed) as failed:
        aioli.compare(config, out="o", watch=Watch(run=kill))
    said = str(failed.value)
    assert "1 of 2 runs failed" in said
    assert "stratified seed 0: the worker was killed by signal 9, most likely for want of memory" in said
    kinds = [(event.kind, event.spec.label) for event in events if event.kind in ("retried", "failed")]
    assert sorted(kinds) == [("failed", "stratified"), ("retried", "quarter"), ("retried", "stratified")]
    results = json.loads(Path("o/results.json").read_text())
    assert failed.value.results == results
    assert results["failures"][0]["label"] == "stratified"
    assert "stratified has no finished run" in results["reading"]
    assert "stratified, seed 0 did not finish: the worker was killed" in Path("o/report.html").read_text()
    again = aioli_report("o")
    assert [(f["label"], f["message"]) for f in again["failures"]] == [("stratified", "no result yet")]
    assert "stratified has no finished run" in again["reading"]
    assert [method["label"] for method in results["methods"]] == ["quarter"]
    assert weights_of(Path("o")) == weights_of(Path("whole"))


def test_interrupted_and_killed_then_resumed_gives_the_same_weights(project, shell, cli):
    arguments = ["train", "mix.yaml", "--method", "aioli", *LONG]
    assert cli(*arguments, "--out", "whole", "--quiet").code == 0

    with shell(*arguments, "--out", "o") as process:
        wait_for(lambda: list((project / "o").glob("runs/*/checkpoint.pt")))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "aioli train mix.yaml --method aioli" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("--resume")
    checkpoint = next((project / "o").glob("runs/*/checkpoint.pt")).read_bytes()

    with shell(*arguments, "--out", "o", "--resume") as process:
        worker = wait_for(lambda: workers_of(process.pid))[0]
        path = next((project / "o").glob("runs/*/checkpoint.pt"))
        wait_for(lambda: path.read_bytes() != checkpoint)
        process.kill()
        process.communicate()
    wait_for(lambda: not alive(worker), seconds=5)
    assert weights_of(project / "o") == {}

    assert cli(*arguments, "--out", "o", "--resume").code == 0
    assert weights_of(project / "o") == weights_of(project / "whole")


def test_a_second_process_is_refused_and_a_damaged_checkpoint_named(project, shell, cli, monkeypatch):
    monkeypatch.setattr("aioli.locks.PATIENCE", 0.2)
    endless = (*LONG, "--set", "train.steps=20000")
    arguments = ("train", "mix.yaml", "--method", "stratified", *endless, "--out", "o")
    with shell(*arguments) as process:
        wait_for(lambda: (project / "o" / "plan.json").exists())
        second = cli("compare", "mix.yaml", "--out", "o", "--resume")
        checkpoint = wait_for(lambda: list((project / "o").glob("runs/*/checkpoint.pt")))[0]
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert second.code == 2
    assert f"another process (id {process.pid}) is working in o" in second.err

    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    ended = cli(*arguments, "--resume")
    assert ended.code == 2
    assert "1 of 1 run failed (--resume tries again)" in ended.err
    assert ended.err.count("checkpoint.pt is truncated") == 1
    assert "resume=True" not in ended.err
    assert "Traceback" not in ended.err


def test_out_of_memory_in_a_worker(project, shell):
    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    huge = ("--set", "model.width=65536")
    with shell("train", "mix.yaml", "--method", "stratified", *huge, preexec_fn=little_memory) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert err.count("out of memory (") == 1
    assert "use fewer --workers, or a smaller model.width" in err
    assert "Traceback" not in err


def test_a_full_disk_while_training_keeps_what_was_there(project, shell, cli):
    out = ("--out", "o", "--set", "model.width=64")
    assert cli("tokenize", "mix.yaml", "--out", "o", "--quiet").code == 0

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with shell("train", "mix.yaml", "--method", "stratified", *out, preexec_fn=small_files) as process:
        _, err = process.communicate(timeout=180)
    assert process.returncode == 2, err
    assert "no room left" in err
    assert "Traceback" not in err
    assert cli("train", "mix.yaml", "--method", "stratified", *out, "--resume").code == 0


def test_workers_are_counted_by_cores_and_threads():
    config = load({"data": {"groups": {"a": {"paths": ["x"]}}}})
    specs = plan_runs(config, "f").ordered()
    assert [(spec.seed, spec.label) for spec in specs[:4]] == [
        (0, "stratified"), (0, "matched"), (0, "aioli"), (1, "stratified"),
    ]  # fmt: skip
    cores = len(os.sched_getaffinity(0))
    assert local.default_workers(specs) == min(cores, 15)
    wide = [replace(spec, train=replace(spec.train, threads=64)) for spec in specs]
    assert local.default_workers(wide) == 1
    assert local.default_workers([]) == 1
