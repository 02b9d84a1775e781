"""docs/outputs.md names every key of the files that a comparison writes, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.planted import write_world

from aioli.journal import Journal

PAGE = Path(__file__).parents[2] / "docs" / "outputs.md"


def documented(heading: str) -> list[set[str]]:
    """The keys in the first column of each table under a heading."""
    part = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = [block for block in part.strip().split("\n\n") if block.startswith("| key ")]
    rows = [[row.split("|")[1] for row in table.splitlines()[2:]] for table in tables]
    return [{key for cell in cells for key in re.findall(r"`(\w+)`", cell)} for cells in rows]


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def keys(records: Iterable[dict[str, Any]]) -> set[str]:
    return {key for record in records for key in record}


@pytest.fixture
def compared(project: Path, cli) -> Path:
    """A finished comparison with a method that has a law and one that reads nothing."""
    text = (project / "mix.yaml").read_text().replace("[stratified, ", "[stratified, aioli, ")
    (project / "mix.yaml").write_text(text.replace("steps: 20", "steps: 60"))
    ended = cli("compare", "mix.yaml", "--out", "o", "--quiet")
    assert ended.code == 0, ended.err
    return project / "o"


def test_every_key_that_a_comparison_writes_is_documented(compared: Path) -> None:
    results = read(compared / "results.json")
    of_results, of_methods = documented("results.json")
    assert of_results == set(results)
    assert of_methods == keys(results["methods"])
    runs = [path.parent for path in compared.glob("runs/*/result.json")]
    (of_run,) = documented("runs/ID/result.json")
    assert of_run == keys(read(run / "result.json") for run in runs)
    (of_line,) = documented("runs/ID/journal.jsonl")
    for run in runs:
        lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
        assert of_line == keys(lines[1:])
        assert Journal.read(run / "journal.jsonl").records
        assert {"spec.json", "metrics.jsonl", "log.txt", "checkpoint.pt"} <= {
            each.name for each in run.iterdir()
        }


def test_every_key_of_a_diagnosis_is_documented(compared: Path, cli) -> None:
    asked = ("--method", "stratified", "--seed", "0", "--at", "20", "--horizon", "2", "--sequences", "4")
    ended = cli("diagnose", "o", *asked, "--fidelity", "directional", "--quiet")
    assert ended.code == 0, ended.err
    content = read(compared / "diagnosis" / "diagnosis.json")
    of_diagnosis, of_points = documented("diagnosis.json")
    assert of_diagnosis == set(content)
    assert of_points == keys(content["points"])


def test_every_key_of_a_solution_is_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli) -> None:
    monkeypatch.chdir(tmp_path)
    write_world(count=16)
    tables = ("--mixtures", "m.csv", "--losses", "l.csv", "--law", "log_linear", "--replicates", "4")
    for command in (("fit", *tables, "--out", "f.json"), ("solve", "f.json", "--out", "s.json")):
        ended = cli(*command, *(("--reference", "uniform") if command[0] == "solve" else ()))
        assert ended.code == 0, ended.err
    (of_solution,) = documented("solution.json")
    assert of_solution == set(read(tmp_path / "s.json"))


def test_every_file_that_a_comparison_writes_is_documented(compared: Path) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `aioli train`"))
    for path in compared.iterdir():
        if path.is_file() and not path.name.startswith("."):
            assert f"`{path.name}`" in row
