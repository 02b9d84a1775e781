"""`aioli sweep design` and the repetition of the data in `aioli sweep run`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from aioli.config.yaml_text import parse_yaml

QUICK = ("--set", "train.steps=8", "--quiet")


def table(path: str) -> np.ndarray:
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "fish", "birds"]
    assert [row["index"] for row in rows] == [str(number + 1) for number in range(len(rows))]
    return np.array([[float(row["fish"]), float(row["birds"])] for row in rows])


@pytest.mark.parametrize("kind", ["dirichlet", "space", "smoothed", "grid", "optimal"])
def test_every_kind_keeps_to_the_constraints_and_can_be_run(project, cli, kind):
    bounds = ("--set", "constraints.floors=0.1", "--set", "constraints.max_repeats={fish: 0.25}")
    made = cli("sweep", "design", "mix.yaml", "--kind", kind, "--out", "d.csv", *bounds)
    assert made.code == 0, made.err
    mixtures = table("d.csv")
    assert len(mixtures) == (2 if kind == "smoothed" else len(mixtures)) and len(mixtures) >= 2
    assert np.abs(mixtures.sum(axis=1) - 1).max() < 1e-12 and mixtures.min() >= 0.1
    told = {line.split()[0]: line.split() for line in made.err.splitlines() if line.strip()}
    epochs = float(told["fish"][-1])
    assert epochs <= 0.2501 and told["fish"][3] == f"{mixtures[:, 0].max():.2%}"
    assert (
        "the two nearest mixtures differ in" in made.err and f"{len(mixtures)} runs on 2 groups" in made.err
    )
    again = cli("sweep", "design", "mix.yaml", "--kind", kind, *bounds)
    listed = parse_yaml(again.out, "")["runs"]
    assert [list(run.values()) for run in listed] == mixtures.tolist()


def test_dirichlet_around_centres_of_every_kind(project, cli):
    assert cli("tokenize", "mix.yaml", "--quiet").code == 0
    Path("centre.yaml").write_text("fish: 0.9\nbirds: 0.1\n")
    means = {}
    for centre in ("natural", "uniform", "centre.yaml"):
        options = ("--centre", centre, "--strength", "40", "--runs", "200", "--out", "d.csv")
        made = cli("sweep", "design", "mix.yaml", *options)
        assert made.code == 0 and "estimated" not in made.err, made.err
        means[centre] = table("d.csv").mean(axis=0)
    assert means["uniform"] == pytest.approx([0.5, 0.5], abs=0.03)
    assert means["centre.yaml"] == pytest.approx([0.9, 0.1], abs=0.03)
    index = json.loads(Path("runs/mix/data/index.json").read_text())["splits"]
    counts = np.array([index[name]["train"]["tokens"] for name in ("fish", "birds")])
    assert means["natural"] == pytest.approx(counts / counts.sum(), abs=0.03)


def test_a_design_is_augmented_and_its_earlier_runs_are_found_again(project, cli):
    assert cli("sweep", "design", "mix.yaml", "--kind", "one-hot", "--out", "a.yaml").code == 0
    more = ("--kind", "space", "--runs", "1", "--augment", "a.yaml", "--out", "b.csv")
    assert cli("sweep", "design", "mix.yaml", *more).code == 0
    mixtures = table("b.csv")
    assert mixtures[:2].tolist() == [[1, 0], [0, 1]] and len(mixtures) == 3
    assert cli("sweep", "run", "mix.yaml", "--design", "a.yaml", "--out", "s", *QUICK).code == 0
    before = {path: path.read_bytes() for path in Path("s").glob("runs/*/result.json")}
    ended = cli("sweep", "run", "mix.yaml", "--design", "b.csv", "--out", "s", "--resume", *QUICK)
    assert ended.code == 0, ended.err
    assert len(before) == 2 and len(list(Path("s").glob("runs/*/result.json"))) == 3
    assert all(path.read_bytes() == content for path, content in before.items())
    again = cli("sweep", "design", "mix.yaml", "--kind", "one-hot", "--augment", "a.yaml")
    assert "are in the one to augment" in again.err


def test_runs_repeat_their_data_as_often_as_their_target(project, cli):
    Path("d.yaml").write_text("runs: [{fish: 0.25, birds: 0.75}]")
    run = ("sweep", "run", "mix.yaml", "--design", "d.yaml", *QUICK)
    assert cli(*run, "--out", "plain").code == 0
    matched = cli(*run, "--out", "matched", "--target-tokens", "5.12e3")  # ten times 8 x 4 x 16
    assert matched.code == 0, matched.err
    epochs = {}
    for out in ("plain", "matched"):
        results = [json.loads(path.read_text()) for path in Path(out).glob("runs/*/result.json")]
        epochs[out] = {result["label"]: np.array(result["epochs"]) for result in results}
    assert len(epochs["matched"]) == 1
    for label, each in epochs["matched"].items():
        assert each == pytest.approx(10 * epochs["plain"][label], rel=0.05)
    resumed = cli(*run, "--out", "matched", "--resume")
    assert resumed.code == 2 and "target tokens were 5120, now not given" in resumed.err
    refused = cli(*run, "--out", "other", "--target-tokens", "1e6")
    assert refused.code == 2 and "train at least" in refused.err
    assert not list(Path("other").glob("runs/*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "sobol"), "no design 'sobol'"),
        (("--kind", "one-hot", "--runs", "3"), "not given for one-hot, which has one run a group, got 3"),
        (("--runs", "0"), "must be at least 1, got 0"),
        (("--strength", "-1"), "strengths must be positive"),
        (("--temperature", "0"), "temperature must be positive, got 0"),
        (("--centre", "nowhere.yaml"), "cannot read the centre of the design"),
        (("--kind", "optimal", "--law", "quadratic"), "no optimal design for the law 'quadratic'"),
        (("--kind", "optimal", "--criterion", "G"), "is D or A, got 'G'"),
        (("--kind", "space", "--min-weight", "0.6"), "leave 2 different mixtures"),
        (("--kind", "grid", "--runs", "1"), "a grid over 2 free groups has at least 2 mixtures, got 1 runs"),
        (("--out", "d.txt"), "cannot write a table to d.txt"),
        (("--set", "constraints.max_repeats=0.05"), "constraints.max_repeats leaves"),
        (("--set", "constraints.floors=0.7"), "sum to 1.4"),
    ],
)
def test_designs_that_cannot_be_made(project, cli, options, said):
    ended = cli("sweep", "design", "mix.yaml", *options)
    assert ended.code == 2 and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and not ended.out
