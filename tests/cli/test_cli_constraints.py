"""Constraints from the command line to the result, and in directories made before there were any."""

from __future__ import annotations

import json

QUICK = ("--quiet", "--workers", "1", "--set", "seeds=[0]")


def test_a_cap_holds_in_every_run_and_the_objective_knows_its_references(project, cli):
    ended = cli(
        "compare", "mix.yaml", "--out", "o", *QUICK,
        "--set", "train.steps=400",
        "--set", "constraints={max_repeats: {fish: 1}, floors: 0.05}",
        "--set", "objective=worst_excess", "--set", "reference_losses={fish: 1, birds: 2}",
        "--set", "methods=[{matched: {round_steps: 5}}]",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (run,) = (project / "o" / "runs").iterdir()
    spec, result = (json.loads((run / name).read_text()) for name in ("spec.json", "result.json"))
    assert spec["constraints"] == {"max_repeats": {"fish": 1.0}, "floors": 0.05}
    rows = round(result["drawn"][0] / result["epochs"][0])
    assert rows - 5 <= result["drawn"][0] <= rows + 3
    assert result["epochs"][1] > 1


def test_what_the_data_cannot_give_is_refused_before_any_run(project, cli):
    for command in (
        ("compare", "mix.yaml", "--out", "o"),
        ("compare", "mix.yaml", "--out", "o", "--dry-run"),
    ):
        ended = cli(
            *command, *QUICK, "--resume", "--set", "train.steps=9000", "--set", "constraints.max_repeats=2"
        )
        assert ended.code == 2
        assert "constraints.max_repeats leaves" in ended.err and "repeats of every group" in ended.err
    assert not (project / "o" / "runs").exists()


def test_a_directory_from_before_constraints_goes_on(project, cli):
    first = (
        "compare",
        "mix.yaml",
        "--out",
        "o",
        *QUICK,
        "--set",
        "train.steps=6",
        "--set",
        "methods=[stratified]",
    )
    assert cli(*first).code == 0
    plan = json.loads((project / "o" / "plan.json").read_text())
    for key in ("constraints", "reference_losses"):
        del plan["config"][key]
    (project / "o" / "plan.json").write_text(json.dumps(plan))
    for path in (project / "o" / "runs").glob("*/spec.json"):
        spec = json.loads(path.read_text())
        path.write_text(
            json.dumps({k: v for k, v in spec.items() if k not in ("constraints", "reference_losses")})
        )
    before = {path: path.read_bytes() for path in (project / "o" / "runs").glob("*/result.json")}
    ended = cli(*first, "--resume")
    assert ended.code == 0, ended.err
    assert before == {path: path.read_bytes() for path in (project / "o" / "runs").glob("*/result.json")}
    ended = cli(*first, "--resume", "--set", "constraints.floors=0.1")
    assert ended.code == 2 and "constraints.floors was None, is 0.1" in ended.err
