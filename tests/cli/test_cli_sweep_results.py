"""`aioli sweep run` and `import`: a table of runs, what is told about it, and what failures leave."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.jobs.sweep import read_sweep
from aioli.jobs.sweep_results import describe, write_sweep
from aioli.sweep.runner import Failure, Outcome
from aioli.table_files import read_table

REGMIX = Path(__file__).parents[2] / "benchmarks" / "regmix"
DESIGN = "runs: [{fish: 1, birds: 0}, {fish: .3, birds: .7}]\n"
SWEEP = ("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s")
QUICK = ("--set", "train.steps=5", "--quiet")


def test_a_sweep_comes_to_a_table_of_its_runs_and_repetitions(project, cli):
    Path("runs.yaml").write_text(DESIGN)
    ended = cli(*SWEEP, "--seed", "0", "--seed", "3", *QUICK)
    assert ended.code == 0, ended.err
    runs = {}
    for path in Path("s").glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        runs[f"{result['label']} seed {result['seed']}"] = result
    table = read_sweep(Path("s"))
    assert table.names == ("only fish seed 0", "run 2 seed 0", "only fish seed 3", "run 2 seed 3")
    assert (table.groups, table.targets) == (("fish", "birds"), ("fish", "birds"))
    for row, name in enumerate(table.names):
        result = runs[name]
        assert table.losses[row].tolist() == result["validation"]["end"]
        np.testing.assert_allclose(table.mixtures[row], np.array(result["drawn"]) / 20, atol=1e-15)
        assert table.tokens[row] == 5 * 4 * 16 == 16 * sum(result["drawn"])
        assert table.size[row] == result["parameters_count"]
    summary = json.loads(Path("s/sweep.json").read_text())
    seconds = sum(result["cost"]["seconds"] for result in runs.values())
    assert summary["cost"]["seconds"] == pytest.approx(seconds) and summary["failures"] == []
    assert "4 runs on 2 mixtures, 2 of them repetitions" in ended.out and "1,280 tokens trained" in ended.out
    assert "test losses stay in runs/*/result.json" in ended.out
    best = table.names[int(table.losses[:, 0].argmin())]
    assert summary["targets"]["fish"]["lowest_run"] == best and best in ended.out
    assert not list(Path("s").glob("report.html")) and not list(Path("s").glob("results.*"))

    again = cli(*SWEEP, "--seed", "0", "--seed", "3", "--resume", "--json", *QUICK)
    assert again.code == 0 and json.loads(again.out) == summary
    assert "seed 3, which this one leaves out" in cli(*SWEEP, "--seed", "0", "--resume", *QUICK).err
    assert (
        "seeds must be whole numbers >= 0, each once, got [1, 1]"
        in cli(*SWEEP[:-1], "t", *2 * ("--seed", "1")).err
    )
    assert not Path("t").exists()


def test_failed_runs_are_named_and_the_others_are_in_the_table(project, cli, monkeypatch):
    Path("runs.yaml").write_text(DESIGN)
    with monkeypatch.context() as patched:
        patched.setattr("aioli.cli.sweep.named_runner", lambda name: half_failing)
        ended = cli(*SWEEP, "--quiet")
    assert ended.code == 2
    assert "1 of 2 runs failed (the others are kept; --resume tries again):" in ended.err
    assert "\n  run 2 seed 0: it broke" in ended.err and "1 run on 1 mixture" in ended.out
    assert "the table has 1 of 2 planned runs" in ended.out
    assert read_sweep(Path("s")).names == ("only fish",)
    failures = json.loads(Path("s/sweep.json").read_text())["failures"]
    assert failures == [{"label": "run 2", "seed": 0, "message": "it broke"}]
    unknown = cli(*SWEEP, "--runner", "slurm", "--resume")
    assert unknown.code == 2 and "the runner is local, ray or ray://HOST:PORT, got 'slurm'" in unknown.err
    with pytest.raises(InputError, match=r"no table of a sweep in fish: .* \(continue it with --resume\)"):
        read_sweep(Path("fish"))


def half_failing(specs, corpus, store, **options):
    """A runner without training: the first run has a result, the others broke."""
    result = made_up("", [3, 1], 2.0) | {"version": 1, "id": specs[0].id}
    (store.prepare(specs[0]) / "result.json").write_text(json.dumps(result))
    return Outcome(store.finished(specs), [Failure(spec, "it broke") for spec in specs[1:]])


def test_a_sweep_whose_process_is_killed_resumes_with_what_was_finished(project, shell, cli):
    mixtures = [{"fish": share, "birds": 1 - share} for share in (0.25, 0.5, 0.75)]
    Path("runs.yaml").write_text(json.dumps({"runs": mixtures}))
    with shell(*SWEEP, "--workers", "1", "--quiet") as process:
        deadline = time.monotonic() + 60
        while not (finished := list(Path("s").glob("runs/*/result.json"))):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in finished}
    assert 1 <= len(before) < 3 and not Path("s/sweep.csv").exists()
    ended = cli(*SWEEP, "--workers", "1", "--resume")
    assert ended.code == 0, ended.err
    assert f"{len(before)} of 3 finished before" in ended.err
    assert all((path.stat().st_mtime_ns, path.read_bytes()) == was for path, was in before.items())
    assert len(read_sweep(Path("s"))) == 3


def made_up(label: str, drawn: list[int], loss: float) -> dict:
    cost = dict.fromkeys(("train_tokens", "evaluation_tokens", "flops", "joules", "seconds"), 4)
    return {
        **{"id": label, "label": label, "seed": 0, "groups": ["a", "b"], "targets": ["t"], "drawn": drawn},
        **{"validation": {"end": [loss]}, "parameters_count": 10, "cost": cost, "warnings": []},
    }


def test_runs_that_drew_the_very_same_are_one(tmp_path):
    results = [made_up("x", [1, 3], 2.0), made_up("y", [1, 3], 2.0), made_up("z", [1, 3], 2.5)]
    content = write_sweep(tmp_path, {"seeds": [0], "methods": [{}] * 3}, results, [], None)
    table = read_sweep(tmp_path)
    assert table.names == ("x", "z")
    assert content["notes"] == ["y drew the same sequences as x, with the same losses: left out of sweep.csv"]
    assert content["mixtures"] == 1
    assert content["targets"]["t"]["noise"] == pytest.approx(np.std([2.0, 2.5], ddof=1))
    assert describe(replace(table.rows([0])))["targets"]["t"]["noise"] is None


def test_losses_measured_elsewhere_become_a_checked_table(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixtures, losses = str(REGMIX / "test_mixture_1B.csv"), str(REGMIX / "test_pile_loss_1B.csv")
    ended = cli("sweep", "import", "--mixtures", mixtures, "--losses", losses, "--out", "t.parquet")
    assert ended.code == 0, ended.err
    assert "64 runs on 64 mixtures\nsize: not recorded\ntokens: not recorded\n" in ended.out
    assert "metric/the_pile_arxiv_val_loss" in ended.out and "table: t.parquet" in ended.out
    before, table = read_table(Path(mixtures), Path(losses)), read_table(Path("t.parquet"))
    assert np.array_equal(before.losses, table.losses) and before.names == table.names
    told = cli("sweep", "import", "--mixtures", "t.parquet", "--out", "t.csv", "--json")
    assert json.loads(told.out) == describe(table)
    for arguments, said in (
        (("--mixtures", mixtures, "--out", "u.csv"), "expected columns mixture/NAME"),
        (("--mixtures", mixtures, "--losses", losses, "--out", "u.xls"), "cannot write a table to u.xls"),
        (("--mixtures", mixtures, "--losses", "none.csv", "--out", "u.csv"), "cannot read none.csv"),
    ):
        failed = cli("sweep", "import", *arguments)
        assert failed.code == 2 and said in failed.err and failed.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]
