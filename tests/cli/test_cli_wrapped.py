"""`aioli compare` of a method inside another that needs a run first: planned, charged for, found again."""

from __future__ import annotations

import json

QUICK = ("--set", "train.steps=12", "--set", "seeds=[3]", "--quiet")
METHODS = "methods=[{guarded: {method: sheared, block_steps: 2}, label: kept}]"


def test_compared_with_what_the_method_inside_needs(project, cli):
    arguments = ("compare", "mix.yaml", "--out", "o", *QUICK, "--set", METHODS)
    plan = json.loads(cli(*arguments, "--dry-run", "--json").out)
    assert (plan["runs"], plan["extra_runs"]) == (2, 1)
    ended = cli(*arguments)
    assert ended.code == 0, ended.err
    (kept,) = json.loads((project / "o" / "results.json").read_text())["methods"]
    assert kept["extra_runs"] == 1
    result = json.loads((project / "o" / "runs" / kept["runs"][0] / "result.json").read_text())
    assert set(result["resolved"]["method"]["sheared"]["target_losses"]) == {"fish", "birds"}
    journals = sorted((project / "o").glob("runs/*/journal.jsonl"))
    assert {path.parent.name for path in journals} == {kept["runs"][0], *result["inputs"].values()}
    written = [path.stat().st_mtime_ns for path in journals]
    assert cli(*arguments, "--resume").code == 0
    assert [path.stat().st_mtime_ns for path in journals] == written
