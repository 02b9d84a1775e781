"""The score of a law along a recorded run: that of the run itself, whatever loss weights were in effect."""

from __future__ import annotations

import pytest

from aioli.journal import Journal
from aioli.methods import zoo
from aioli.methods.asked import asked_along
from aioli.methods.scored import scored_along
from aioli.mixer import Mixer
from aioli.testing.conformance import make_world
from aioli.testing.worlds import run

AIOLI = zoo.aioli(eta=1.0, round_steps=30, sweeps=2, probe_steps=1)


@pytest.mark.parametrize("method", [AIOLI, zoo.reweighted(AIOLI), zoo.directional(round_steps=10)])
def test_it_is_what_the_run_showed(method, tmp_path) -> None:
    world = make_world()
    mixer = Mixer(method, world.problem, journal=tmp_path / "journal.jsonl")
    mixer.trust()
    run(mixer, world)
    shown = mixer.trust()
    mixer.close()
    journal = Journal.read(tmp_path / "journal.jsonl")
    asked, score = scored_along(method, journal)
    assert score == shown and score.laws
    assert [step for step, _, _ in asked] == [step for step, _ in asked_along(method, journal)]
    counts = [before.spans for _, _, before in asked]
    assert counts == sorted(counts)
