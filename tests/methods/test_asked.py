"""A recorded journal under another method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.journal import Journal
from aioli.methods import zoo
from aioli.methods.asked import asked_along
from aioli.mixer import Mixer
from aioli.protocol import Method
from aioli.testing.conformance import make_world
from aioli.testing.worlds import run


def record(method: Method[Any], path: Path, steps: int = 120) -> Journal:
    world = make_world(steps=steps)
    mixer = run(Mixer(method, world.problem, journal=path), world)
    mixer.close()
    return Journal.read(path)


@pytest.mark.parametrize(
    "method",
    [zoo.aioli(eta=1.0), zoo.odm(), zoo.matched(objective="mean_perplexity"), zoo.stratified()],
    ids=["aioli", "odm", "matched", "stratified"],
)
def test_the_recorded_method_asks_again_for_what_it_got(method: Method[Any], tmp_path: Path) -> None:
    journal = record(method, tmp_path / "j.jsonl")
    asked = [request for _, request in asked_along(method, journal)]
    done = [kept.request for kept in journal.records]
    for first, second in zip(asked, done, strict=False):
        assert first.steps == second.steps and first.phase == second.phase
        np.testing.assert_array_equal(first.proportions, second.proportions)
    assert len(asked) == len(done)


def test_another_method_decides_from_the_same_measurements(tmp_path: Path) -> None:
    journal = record(zoo.aioli(eta=1.0), tmp_path / "j.jsonl")
    other = [r for _, r in asked_along(zoo.aioli(eta=4.0), journal) if r.phase == "train" and r.steps]
    mine = [k.request for k in journal.records if k.request.phase == "train" and k.request.steps]
    uniform = np.full(3, 1 / 3)
    assert np.abs(other[0].proportions - uniform).max() > 2 * np.abs(mine[0].proportions - uniform).max() > 0


def test_segments_of_other_lengths_are_put_together(tmp_path: Path) -> None:
    """ODM measured every step; matched updates every 6."""
    journal = record(zoo.odm(), tmp_path / "j.jsonl")
    asked = list(asked_along(zoo.matched(objective="mean_perplexity", round_steps=6), journal))
    steps = [step for step, _ in asked]
    assert steps[:4] == [0, 6, 7, 13] and len(set(steps)) == len(steps)  # the warm-up has 7 steps
    assert not np.array_equal(asked[-1][1].proportions, asked[0][1].proportions)


def test_what_was_not_measured_is_named(tmp_path: Path) -> None:
    journal = record(zoo.odm(), tmp_path / "j.jsonl")
    with pytest.raises(InputError, match=r"step 7 the method asks for validation_loss, but .* train_loss"):
        list(asked_along(zoo.aioli(), journal))
    journal = record(zoo.stratified(), tmp_path / "k.jsonl")
    with pytest.raises(InputError, match=r"asks for train_loss, but .* no measurement"):
        list(asked_along(zoo.odm(), journal))
