"""`aioli compare` with a rule for adding seeds: a real run, small."""

import json

RULE = ("--set", "stopping.margin=100", "--set", "seeds=[3,1,0,2,5,4]", "--set", "train.steps=4")


def test_seeds_are_added_until_decided(project, cli):
    planned = cli("compare", "mix.yaml", "--out", "o", "--dry-run", *RULE)
    assert "at most 12 runs of 4 steps" in planned.out
    assert "each method gets seeds until it is decided: 4 at least, 6 at most" in planned.out

    ended = cli("compare", "mix.yaml", "--out", "o", *RULE)
    assert ended.code == 0, ended.err
    assert "8 of 8 finished" in ended.err or "8 of 12 finished" in ended.err
    assert "quarter: " in ended.err and "decided after 4 seeds" in ended.err
    assert "anytime-valid interval" in " ".join(ended.out.split())
    results = json.loads((project / "o" / "results.json").read_text())
    assert len(list((project / "o").glob("runs/*/result.json"))) == 8
    assert [m["seeds"] for m in results["methods"]] == [[0, 1, 2, 3]] * 2
    assert results["methods"][1]["decided"]["pairs"] == 4
    page = (project / "o" / "report.html").read_text()
    assert "after 4 seeds" in page and "decided after 4 seeds" in page

    again = cli("compare", "mix.yaml", "--out", "o", "--resume", *RULE)
    assert again.code == 0 and again.err.count("finished before") == 8
    before = results | {"created": ""}
    assert json.loads((project / "o" / "results.json").read_text()) | {"created": ""} == before
    assert cli("report", "o").code == 0
    assert json.loads((project / "o" / "results.json").read_text()) | {"created": ""} == before

    refused = cli("compare", "mix.yaml", "--out", "o", "--resume", *RULE, "--set", "stopping.margin=9")
    assert refused.code == 2 and "stopping.margin was 100" in refused.err
    single = cli("train", "mix.yaml", "--out", "p", "--method", "quarter", "--dry-run", *RULE)
    assert single.code == 0 and "stopping: null" in single.out
