"""`aioli diagnose`: branches off a run, the law there, the methods' own beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def trained(project: Any, cli: Any) -> Path:
    done = cli(
        "train", "mix.yaml", "--method", "stratified", "--out", "r", "--set", "train.steps=60", "--quiet"
    )
    assert done.code == 0, done.err
    return Path("r")


BRANCHES = ("--at", "20", "--horizon", "4", "--horizon", "16", "--sequences", "8", "--quiet")


def test_the_law_at_a_checkpoint_by_horizon(trained: Path, cli: Any) -> None:
    done = cli("diagnose", "r", *BRANCHES, "--fidelity", "aioli: {sweeps: 1, probe_steps: 2}")
    assert done.code == 0, done.err
    assert "step 20 of 60" in done.out and "Similarity" in done.out
    content = json.loads((trained / "diagnosis" / "diagnosis.json").read_text())
    assert content["groups"] == ["fish", "birds"]
    (point,) = content["points"]
    assert [law["horizon"] for law in point["laws"]] == [4, 16]
    law = point["laws"][1]
    assert law["branches"] == 5
    matrix = np.array(law["matrix"])
    assert matrix.shape == (2, 2) and np.isfinite(matrix).all()
    np.testing.assert_allclose(law["sums"], matrix.sum(axis=0), rtol=1e-9)
    # groups of different text: training on a group helps its own target most
    assert (np.diag(np.array(law["contrasts"])) > 0).all()
    rows = point["fidelity"]
    assert {row["horizon"] for row in rows} == {4, 16}
    assert rows[0]["cost"]["probe_steps"] > 0 and -1 <= rows[0]["centred"]["similarity"] <= 1


def test_it_is_continued_and_refused_where_used(trained: Path, cli: Any) -> None:
    first = cli("diagnose", "r", *BRANCHES)
    assert first.code == 0, first.err
    path = trained / "diagnosis" / "diagnosis.json"
    before = json.loads(path.read_text())
    assert "continue it with --resume" in cli("diagnose", "r", *BRANCHES).err
    path.unlink()
    again = cli("diagnose", "r", *BRANCHES, "--resume", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == before == json.loads(path.read_text())


def test_many_groups_are_screened_by_halves(trained: Path, cli: Any) -> None:
    done = cli("diagnose", "r", *BRANCHES, "--branches", "4", "--out", "d")
    assert done.code == 0, done.err
    (point,) = json.loads(Path("d/diagnosis.json").read_text())["points"]
    assert point["laws"][0]["branches"] == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--at", "58"), "no branch of 4 steps, the shortest horizon, fits after step 58"),
        (("--at", "0"), "at needs whole numbers of steps, at least 1"),
        (("--focus", "1"), "focus must be between 0 and 1"),
        (("--branches", "2"), "at least 3 branches"),
        (("--fidelity", "aoli"), "aioli"),
        (("--method", "odm"), "has no run of 'odm'"),
    ],
)
def test_what_cannot_be_branched_is_told(trained: Path, cli: Any, arguments: Any, told: str) -> None:
    done = cli("diagnose", "r", "--horizon", "4", *arguments)
    assert done.code == 2 and told in done.err
