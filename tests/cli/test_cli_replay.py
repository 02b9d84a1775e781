"""`aioli replay`: what another method would have asked for, told what a recorded run measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aioli.journal import Journal
from aioli.methods import zoo
from aioli.mixer import Mixer
from aioli.testing.conformance import make_world
from aioli.testing.worlds import run
from aioli.trust import trust_along


@pytest.fixture
def recorded(project) -> Path:
    """An output directory of one run, whose journal is aioli's in a closed-form world."""
    directory = Path("out/runs/abc")
    directory.mkdir(parents=True)
    world = make_world()
    mixer = run(Mixer(zoo.aioli(eta=1.0), world.problem, journal=directory / "journal.jsonl"), world)
    mixer.close()
    return directory


def test_table_and_json(recorded, cli):
    shown = cli("replay", "out", "--method", "aioli: {eta: 4}")
    assert shown.code == 0, shown.err
    assert "recorded: Lmo(" in shown.out and "group-2" in shown.out and " probe " in shown.out
    told = json.loads(cli("replay", str(recorded), "--method", "aioli", "--json").out)
    assert told["groups"] == ["group-0", "group-1", "group-2"]
    assert sum(line["steps"] for line in told["asked"]) == 120
    assert all(abs(sum(line["proportions"]) - 1) < 1e-5 for line in told["asked"])


def test_the_score_of_the_law_is_that_of_the_run_itself(recorded, cli):
    method, journal = zoo.aioli(eta=1.0), Journal.read(recorded / "journal.jsonl")
    score = trust_along([method], journal)[0].score
    assert score.spans > 3 and score.r2 is not None
    told = json.loads(cli("replay", "out", "--method", "aioli: {eta: 1.0}", "--json").out)
    assert told["trust"] == {
        "r2": score.r2, "r2_trend": score.r2_trend, "coverage": score.coverage, "scored": score.spans,
    }  # fmt: skip
    running = [line["law"]["r2"] for line in told["asked"]]
    assert running[0] is None and len({r2 for r2 in running if r2 is not None}) > 3
    shown = cli("replay", "out", "--method", "aioli: {eta: 1.0}").out.splitlines()
    assert (
        f"R2 against no change {score.r2:.2f}, against the targets' trends {score.r2_trend:.2f}" in shown[-1]
    )
    assert shown[-1].endswith(f"over {score.spans} predictions") and "law R2 " in shown[-3]


def test_measurements_that_read_other_sequences_are_not_compared(recorded, cli):
    spec = {"evaluation": {"sequences": "auto"}}
    (recorded / "spec.json").write_text(json.dumps(spec))
    told = json.loads(cli("replay", "out", "--method", "aioli: {eta: 1.0}", "--json").out)
    journal = Journal.read(recorded / "journal.jsonl")
    loose = trust_along([zoo.aioli(eta=1.0)], journal, paired=False)[0].score
    assert told["trust"]["scored"] == loose.spans


def test_a_method_without_a_law_has_no_score(recorded, cli):
    told = json.loads(cli("replay", "out", "--method", "stratified", "--json").out)
    assert told["trust"] is None and told["asked"][0]["law"]["r2"] is None
    assert (
        "law"
        not in cli("replay", "out", "--method", "stratified").out.split("recorded:")[1].split("\n", 1)[1]
    )


def test_what_cannot_be_replayed(recorded, cli):
    missing = cli("replay", "out", "--method", "odm")
    assert missing.code == 2 and "asks for train_loss" in missing.err
    assert "unknown method 'aoli'" in cli("replay", "out", "--method", "aoli").err
    (recorded.parent / "other").mkdir()
    (recorded.parent / "other" / "journal.jsonl").write_text("")
    two = cli("replay", "out", "--method", "odm")
    assert two.code == 2 and "expected one journal in out, found 2" in two.err
    assert "no journal at nowhere" in cli("replay", "nowhere", "--method", "odm").err
