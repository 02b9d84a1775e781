"""What is passed on: every step once, in order, complete, whatever happens to the files."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.methods import zoo
from aioli.mixer import Mixer
from aioli.trackers.follower import Follower
from aioli.trackers.tail import Tail

from .conftest import PROBLEM, FakeRun, Recorder, metrics_line


def follow(run: FakeRun, recorder: Recorder, after: int = -1) -> Follower:
    return Follower(run.journal, lambda: recorder, metrics=run.metrics, after=after)


def test_lines_are_read_once_and_halves_later(tmp_path):
    tail = Tail(tmp_path / "f")
    assert tail.read() == ([], False)
    (tmp_path / "f").write_bytes(b"one\ntw")
    assert tail.read() == ([b"one"], False)
    with (tmp_path / "f").open("ab") as file:
        file.write(b"o\n\nfour")
    assert tail.read() == ([b"two", b""], False)
    assert tail.read() == ([], False)
    (tmp_path / "f").write_bytes(b"one\nTWO\n\nmore\n")
    assert tail.read().lines == [b"more"]  # the line read last still stands where it stood
    (tmp_path / "f").write_bytes(b"one\n")
    assert tail.read() == ([b"one"], True)
    (tmp_path / "f").unlink()
    assert tail.read() == ([], True)


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.binary(max_size=6), max_size=30))
def test_any_pieces_give_the_same_lines(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("tail") / "f"
    tail, lines, whole = Tail(path), [], b"".join(pieces)
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece)
        news = tail.read()
        assert not news.again
        lines += news.lines
    assert lines == whole.split(b"\n")[:-1]


def test_steps_come_complete_and_in_order(run, recorder):
    follower = follow(run, recorder)
    rng = random.Random(1)
    while run.step < 40:
        run.train(min(40, run.step + rng.randint(1, 7)))
        follower.poll()
        assert recorder.steps == sorted(set(recorder.steps))
    assert recorder.steps[-1] == 38  # of step 40 more could come
    follower.poll(everything=True)
    expected = sorted({*range(2, 41, 2), *range(5, 41, 5)})
    assert recorder.steps == expected
    values = dict(recorder.points)
    assert values[10]["loss/validation/exam"] == 4.0
    assert values[10]["loss/train"] == 3.9
    assert values[5] == {"loss/validation/exam": 4.5, "mix/weight/law": 0.3, "mix/weight/code": 0.7}


def test_values_and_their_names(run, recorder):
    run.train(6)
    follow(run, recorder).poll(everything=True)
    values = dict(recorder.points)
    assert values[2] == {
        "loss/train": 3.98,
        "train/learning_rate": 0.001,
        "train/gradient_norm": 1.5,
        "mix/loss/law": 3.0,
        "mix/tokens/law": 256.0,
        "mix/tokens/code": 768.0,
        "mix/epochs/law": 256 / 4096,
        "mix/epochs/code": 768 / 8192,
        "mix/weight/law": 0.25,
        "mix/weight/code": 0.75,
    }
    assert "mix/weight/law" not in values[4]  # a probe's mixture is not the method's
    assert values[6]["mix/tokens/code"] == 3 * 768.0
    assert {name: value for name, value in values[6].items() if name.startswith("law/")} == {
        "law/r2": 0.5,
        "law/r2_trend": -0.1,
    }


def test_a_run_that_resumes_is_not_told_twice(run, recorder):
    follower = follow(run, recorder)
    run.train(17)
    follower.poll()
    told = list(recorder.steps)
    run.rewind(10)
    follower.poll()
    assert recorder.steps == told
    run.train(40)
    follower.poll(everything=True)
    assert recorder.steps == sorted({*range(2, 41, 2), *range(5, 41, 5)})
    tokens = [values["mix/tokens/law"] for _, values in recorder.points if "mix/tokens/law" in values]
    assert tokens == [256.0 * k for k in range(1, 21)]  # counted anew from the file's beginning


def test_another_follower_goes_on_where_one_ended(run, recorder):
    run.train(20)
    first = follow(run, recorder)
    first.poll()
    run.train(40)
    follow(run, recorder, after=first.step).poll(everything=True)
    assert recorder.steps == sorted({*range(2, 41, 2), *range(5, 41, 5)})
    assert dict(recorder.points)[40]["mix/tokens/law"] == 20 * 256.0


def test_a_restart_from_the_first_step(run, recorder):
    follower = follow(run, recorder)
    run.train(8)
    follower.poll()
    run.journal.unlink()
    run.metrics.unlink()
    follower.poll()
    run.step = 0
    run.header()
    run.train(12)
    follower.poll(everything=True)
    assert recorder.steps == [2, 4, 5, 6, 8, 10, 12]


def test_nothing_is_opened_before_there_is_something_to_tell(run, recorder):
    opened = []
    follower = Follower(run.journal, lambda: opened.append(1) or recorder, metrics=run.metrics)
    assert follower.poll() == 0 and opened == []
    run.train(4)
    assert follower.poll() == 1 and opened == [1]


def test_a_damaged_line_is_named(run, recorder):
    run.train(2)
    with run.metrics.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(InputError, match=r"metrics.jsonl has a damaged line: '\{broken'"):
        follow(run, recorder).poll()


def test_the_journal_of_a_loop_of_ones_own(tmp_path, recorder):
    mixer = Mixer(zoo.aioli(rounds=2, sweeps=1, probe_steps=1), PROBLEM, tmp_path / "mixing.jsonl")
    follower = Follower(tmp_path / "mixing.jsonl", lambda: recorder)
    while not mixer.done:
        request = mixer.request
        law = round(20 * request.proportions[0])
        for _ in range(request.steps):
            mixer.advance([law, 20 - law])
        values = {s: np.full(1 if "validation" in s else 2, 2.0) for s in request.observe}
        mixer.tell(values, 0.01)
        follower.poll()
    follower.poll(everything=True)
    mixer.close()
    trained = 512 * mixer.drawn / 20
    assert follower.reader.over and recorder.steps == sorted(set(recorder.steps))
    last = recorder.points[-1][1]
    assert recorder.steps[-1] == 40
    assert last["mix/tokens/code"] == pytest.approx(trained[1])
    assert last["mix/epochs/law"] == pytest.approx(trained[0] / 4096)
    assert any("loss/validation/exam" in values for _, values in recorder.points)


def test_groups_that_change_on_the_way(run, recorder):
    run.train(10)
    problem = {
        "groups": ["law", "maths"],
        "group_tokens": [4096, 1024],
        "targets": ["exam"],
        "step_tokens": 512,
        "total_steps": 40,
    }
    change = {"step": 11, "problem": problem, "parents": {}, "method": "m", "cut": None}
    run.add(run.journal, {"regroup": change, "crc": "0"})
    run.add(run.metrics, {"step": 11, "groups": ["law", "maths"]})
    run.add(run.metrics, metrics_line(12))
    follow(run, recorder).poll(everything=True)
    values = dict(recorder.points)
    assert values[10]["mix/tokens/code"] == 5 * 768.0
    assert values[12]["mix/tokens/maths"] == 384.0 and "mix/tokens/code" not in values[12]
    # up to the change as the journal counted: two records of 5 steps, 6 of 20 sequences each
    assert values[12]["mix/tokens/law"] == 2 * 5 * 512 * 0.3 + 128
