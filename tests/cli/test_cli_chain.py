"""The whole way on tiny text: design, sweep, fit, solve, and a run on the solution."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

QUICK = ("--set", "train.steps=8", "--quiet")


def test_from_a_design_to_a_run_on_the_solution(project, cli):
    def ok(*arguments: str) -> str:
        ended = cli(*arguments)
        assert ended.code == 0, ended.err
        return ended.out

    ok("sweep", "design", "mix.yaml", "--runs", "3", "--out", "runs.yaml")
    ok("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s", *QUICK)
    told = ok("fit", "s", "--law", "log_linear", "--replicates", "10", "--out", "fit.json")
    assert "3 runs" in told
    content = json.loads(
        ok("solve", "fit.json", "--config", "mix.yaml", "--floor", "0.2", "--out", "solution.json", "--json")
    )
    shares = content["proportions"]
    assert set(shares) == {"fish", "birds"} and min(shares.values()) >= 0.2 - 1e-9
    assert content["wishes"]["train_tokens"] == 20 * 4 * 16 and content["by_group"]["fish"]["epochs"] > 0

    train = ("train", "mix.yaml", "--method", "static", "--proportions", "solution.json", *QUICK)
    ok(*train, "--out", "t")
    result = json.loads(next(Path("t").glob("runs/*/result.json")).read_text())
    assert result["mixture"]["mean"] == pytest.approx([shares["fish"], shares["birds"]], abs=0.05)
    assert json.loads(ok("export", "solution.json", "--format", "json")) == pytest.approx(shares, abs=1e-6)

    told = json.loads(ok("predict", "fit.json", *table_of("t", result), "--json"))
    assert told["runs"] == 1


def table_of(out: str, result: dict) -> tuple[str, ...]:
    """The run as a table of its own, to be predicted."""
    path = Path(out) / "mixture.csv"
    groups = result["groups"]
    mean = np.array(result["mixture"]["mean"])
    path.write_text(
        ",".join(["index", *groups]) + "\n" + ",".join(["0", *map(str, mean / mean.sum())]) + "\n"
    )
    return ("--mixtures", str(path), "--out", f"{out}/predicted.csv")


def test_a_sweep_that_has_not_ended_is_no_table(project, cli):
    ended = cli("fit", "fish", "--out", "fit.json")
    assert ended.code == 2 and "no table of a sweep in fish" in ended.err
