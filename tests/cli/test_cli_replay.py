"""`aioli replay`: what another method would have asked for, told what a recorded run measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aioli.methods import zoo
from aioli.mixer import Mixer
from aioli.testing.conformance import make_world
from aioli.testing.worlds import run


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


def test_what_cannot_be_replayed(recorded, cli):
    missing = cli("replay", "out", "--method", "odm")
    assert missing.code == 2 and "asks for train_loss" in missing.err
    assert "unknown method 'aoli'" in cli("replay", "out", "--method", "aoli").err
    (recorded.parent / "other").mkdir()
    (recorded.parent / "other" / "journal.jsonl").write_text("")
    two = cli("replay", "out", "--method", "odm")
    assert two.code == 2 and "expected one journal in out, found 2" in two.err
    assert "no journal at nowhere" in cli("replay", "nowhere", "--method", "odm").err
