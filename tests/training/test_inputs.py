"""Runs that read finished ones, and validation losses read beside a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aioli.errors import InputError
from aioli.measure.evaluate import PILOT, Evaluator
from aioli.training.compute import Forward
from aioli.training.loop import run_spec
from aioli.training.model import GPT
from aioli.training.result import read_validation
from aioli.training.settings import EvaluationSettings


def run(spec, corpus, store: Path, **options):
    return run_spec(spec, corpus, store / spec.id, **options)


def test_validation_losses_change_no_number_and_are_read_later_where_missing(corpus, make_spec, tmp_path):
    plain = make_spec("aioli", steps=60)
    asking = replace(plain, validation=True)
    without = run(plain, corpus, tmp_path / "a")
    at_once = run(asking, corpus, tmp_path / "b")
    later = run(asking, corpus, tmp_path / "a", resume=True)
    found = at_once["validation"]
    assert without["validation"] is None
    assert (
        found
        == later["validation"]
        == json.loads((tmp_path / "a" / plain.id / "result.json").read_text())["validation"]
    )
    for result in (at_once, later):
        for key in ("weights_sha256", "test", "curve", "proportions", "drawn", "evaluation_sequences"):
            assert result[key] == without[key]
    # 3 targets, 6 sequences of 16 tokens, twice
    assert found["tokens"] == 2 * 3 * 6 * 16
    assert all(end < start for start, end in zip(found["start"], found["end"], strict=True))
    assert (tmp_path / "a" / plain.id / "journal.jsonl").read_bytes() == (
        tmp_path / "b" / plain.id / "journal.jsonl"
    ).read_bytes()


def test_a_level_that_others_measure_is_read_on_the_text_that_they_begin_with(corpus, make_spec, tmp_path):
    settings = EvaluationSettings(max_sequences=PILOT + 8, test_sequences=12)
    spec = replace(make_spec(evaluation=settings), validation=True)
    found = run(spec, corpus, tmp_path)["validation"]
    held_out = {name: corpus.sequences(name, "validation", 17) for name in corpus.targets}
    assert min(map(len, held_out.values())) > PILOT
    model = GPT(spec.model, corpus.vocab_size, spec.seed)
    forward = Forward(model, corpus.vocab_size, torch.device("cpu"), torch.float32)
    losses, _ = Evaluator(forward, held_out, max_sequences=PILOT + 8, batch=6).measure(opening=True)
    before = read_validation(spec, corpus, forward, forward)
    assert before["end_pilot"] == pytest.approx(losses.tolist(), rel=1e-12)
    assert before["start"] == pytest.approx(found["start"], rel=1e-6)
    assert all(abs(a - b) > 1e-6 for a, b in zip(before["end_pilot"], before["end"], strict=True))
    fixed = replace(make_spec(), validation=True)
    every = run(fixed, corpus, tmp_path)["validation"]
    assert every["end_pilot"] == every["end"]


def test_a_static_run_takes_the_mixture_it_was_told_to_read(corpus, make_spec, tmp_path):
    proxy = make_spec("doge", steps=12)
    concluded = run(proxy, corpus, tmp_path)
    answer = concluded["mixture"]["answer"]
    assert sum(answer) == pytest.approx(1) and answer != concluded["mixture"]["mean"]
    spec = replace(make_spec("static"), inputs={"mixture": proxy.id})
    result = run(spec, corpus, tmp_path)
    names = dict(zip(corpus.groups, answer, strict=True))
    assert result["inputs"] == {"mixture": proxy.id}
    assert result["resolved"] == {"proportions": names} and result["parameters"] == {}
    assert result["mixture"]["final"] == pytest.approx(answer)
    given = run(make_spec("static", parameters={"proportions": names}), corpus, tmp_path)
    assert given["weights_sha256"] == result["weights_sha256"]


def test_the_mean_mixture_weighs_by_steps_and_leaves_probes_out(corpus, make_spec, tmp_path):
    result = run(make_spec("aioli", steps=60), corpus, tmp_path)
    assert result["mixture"]["answer"] is None
    lines = (tmp_path / result["id"] / "journal.jsonl").read_text().splitlines()[1:]
    asked = [json.loads(line)["request"] for line in lines]
    train = [each for each in asked if each["phase"] == "train" and each["steps"]]
    total = sum(each["steps"] for each in train)
    mean = [sum(each["steps"] * each["proportions"][j] for each in train) / total for j in range(3)]
    assert result["mixture"]["mean"] == pytest.approx(mean)
    assert result["mixture"]["final"] == train[-1]["proportions"]
    assert total < 60


def test_an_input_that_is_missing_or_damaged_is_named(corpus, make_spec, tmp_path):
    proxy = make_spec("doge", steps=12)
    spec = replace(make_spec("static"), inputs={"mixture": proxy.id})
    with pytest.raises(InputError, match=f"reads the mixture run {proxy.id}, which is not finished"):
        run(spec, corpus, tmp_path)
    path = tmp_path / proxy.id / "result.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(InputError, match=r"cannot be read: .*result\.json"):
        run(spec, corpus, tmp_path)
    path.write_text('{"id": "other"}')
    with pytest.raises(InputError, match=f"is not the result of run {proxy.id}"):
        run(spec, corpus, tmp_path)


def test_a_stopped_reader_goes_on_to_the_same_weights(corpus, make_spec, tmp_path):
    reference = replace(make_spec("stratified"), validation=True)
    run(reference, corpus, tmp_path)
    spec = replace(make_spec("sheared", steps=60), inputs={"reference": reference.id})
    whole = run(spec, corpus, tmp_path)
    (tmp_path / "again").mkdir()
    (tmp_path / reference.id).rename(tmp_path / "again" / reference.id)

    def stop(state):
        if state["step"] < 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec, corpus, tmp_path / "again", on_progress=stop)
    result = run(spec, corpus, tmp_path / "again", resume=True)
    assert result["weights_sha256"] == whole["weights_sha256"]
    ends = json.loads((tmp_path / "again" / reference.id / "result.json").read_text())["validation"]["end"]
    assert result["resolved"]["target_losses"] == dict(zip(corpus.groups, ends, strict=True))
