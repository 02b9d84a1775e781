"""`aioli sweep`: a design, its runs, and the graph that follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aioli.config import load
from aioli.config.yaml_text import parse_yaml

QUICK = ("--set", "train.steps=8", "--quiet")


def test_from_a_one_hot_design_to_a_graph_that_skill_it_reads(project, cli):
    made = cli("sweep", "design", "mix.yaml", "--kind", "one-hot", "--out", "runs.yaml")
    assert made.code == 0, made.err
    text = Path("runs.yaml").read_text()
    assert parse_yaml(text, "")["runs"] == [{"fish": 1.0, "birds": 0.0}, {"fish": 0.0, "birds": 1.0}]
    assert cli("sweep", "design", "mix.yaml", "--kind", "one-hot").out == text

    floors = ("--set", "constraints.floors=0.2")  # of the solution, not of the sweep
    ended = cli("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s", *QUICK, *floors)
    assert ended.code == 0, ended.err
    runs = {path: json.loads(path.read_text()) for path in Path("s").glob("runs/*/result.json")}
    assert sorted(result["label"] for result in runs.values()) == ["only birds", "only fish"]
    assert all(0 in result["drawn"] for result in runs.values())

    assert cli("sweep", "graph", "s", "--out", "graph.json").code == 0
    found = json.loads(Path("graph.json").read_text())
    assert (found["groups"], found["targets"]) == (["fish", "birds"], ["fish", "birds"])
    for column, group in enumerate(found["groups"]):
        read = next(r for r in runs.values() if r["label"] == f"only {group}")["validation"]
        falls = [(a - b) / a for a, b in zip(read["start"], read["end"], strict=True)]
        assert [row[column] for row in found["graph"]] == pytest.approx(falls)

    swapped = {"groups": ["birds", "fish"], "targets": ["birds", "fish"], "graph": [[4, 3], [2, 1]]}
    Path("swapped.json").write_text(json.dumps(swapped))
    for name, expected in (("graph.json", found["graph"]), ("swapped.json", [[1, 2], [3, 4]])):
        config = load("mix.yaml", [f"methods=[{{skill_it: {{graph: {name}}}}}]"])
        assert config.methods[0].parameters == {"graph": expected}
        assert config.methods[0].label == f"skill_it(graph={name})"

    path = next(iter(runs))
    path.unlink()
    assert "is not finished: continue it with --resume" in cli("sweep", "graph", "s").err
    again = cli("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s", "--resume", *QUICK)
    assert again.code == 0 and json.loads(path.read_text())["weights_sha256"] == runs[path]["weights_sha256"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("runs: []", "expected `runs`, a list of mixtures"),
        ("fish: 1", "expected `runs`, a list of mixtures"),
        ("runs: [{fish: 1}]", "run 1: proportions need every group; missing: birds"),
        ("runs: [{fish: 0.5, birds: 0.5}, {fish: 0.5, birds: 0.2}]", "run 2: proportions must sum to 1"),
        ("runs: [[0.5, 0.5], {fish: 0.5, birds: 0.5}]", "runs 1 and 2 have the same mixture"),
        ("runs: [", "not valid YAML"),
    ],
)
def test_designs_that_cannot_be_run(project, cli, content, said):
    Path("runs.yaml").write_text(content)
    ended = cli("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s")
    assert ended.code == 2 and said in ended.err
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[1, 2], [3, 4], [5, 6]]", "the graph has 3 rows and 2 columns; the run has 2 targets"),
        ("[[1, 2], [3]]", "rows of equal length"),
        ('{"groups": ["fish"], "targets": ["fish"], "graph": [[1]]}', "other targets; missing: birds"),
        ('{"groups": ["fish", "bird"], "targets": ["fish", "birds"], "graph": [[1, 2], [3, 4]]}', "'bird'"),
        (
            '{"groups": ["fish", "birds"], "targets": ["fish", "birds"], "graph": [[1, 2]]}',
            "one row for each",
        ),
        ("{", "is not valid"),
        (None, "cannot read graph from"),
    ],
)
def test_graphs_that_do_not_fit(project, cli, content, said):
    if content is not None:
        Path("graph.json").write_text(content)
    ended = cli("compare", "mix.yaml", "--out", "o", "--set", "methods=[{skill_it: {graph: graph.json}}]")
    assert ended.code == 2 and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and not Path("o").exists()


def test_what_is_no_sweep_has_no_graph(project, cli):
    assert "no results in fish" in cli("sweep", "graph", "fish").err
