"""run_spec: what it learns, writes, reports, and refuses before step 0."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aioli import locks
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.journal import Journal
from aioli.measure.evaluate import Evaluator
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.checkpoint import load_checkpoint, save_checkpoint
from aioli.training.compute import Forward
from aioli.training.loop import run_spec
from aioli.training.records import TrainingLog
from aioli.training.settings import EvaluationSettings, ModelSettings

MakeSpec = Callable[..., RunSpec]
AIOLI = {"round_steps": 12, "sweeps": 1, "probe_steps": 1}


def test_losses_fall_and_the_result_is_complete(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(steps=150)
    result = run_spec(spec, corpus, tmp_path)
    first, last = (np.array(result["curve"]["train_loss"][i]) for i in (0, -1))
    assert (first > 3.4).all() and (last < first - 0.2).all() and last[0] < 2.2
    assert result["test"]["loss"][0] < result["test"]["loss"][1] < result["test"]["loss"][2]
    assert json.loads((tmp_path / "result.json").read_bytes()) == result
    assert (
        result["id"] == spec.id and result["label"] == "stratified" and result["targets"] == [*corpus.groups]
    )
    assert result["drawn"] == [300, 300, 300] and result["deviation"] < 1
    assert result["epochs"] == pytest.approx([300 / 176] * 3, abs=1e-5)
    assert len(result["curve"]["step"]) == 50 and result["curve"]["step"][-1] == 150
    assert result["proportions"] == {"step": [0], "values": [[0.33333] * 3], "phase": ["train"]}
    assert result["matrices"] == [] and result["warnings"] == [] and result["evaluation_sequences"] is None
    files = {"spec.json", "journal.jsonl", "checkpoint.pt", "metrics.jsonl", "result.json", ".lock"}
    assert {path.name for path in tmp_path.iterdir()} == files


def test_bits_per_byte(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    test = run_spec(make_spec(steps=5), corpus, tmp_path)["test"]
    assert test["tokens"] == [12 * 16] * 3
    np.testing.assert_allclose(test["bits_per_byte"], np.array(test["loss"]) / math.log(2) / 2)


def test_costs_count_every_token(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    result = run_spec(make_spec("aioli", parameters=AIOLI), corpus, tmp_path)
    records = Journal.read(tmp_path / "journal.jsonl").records
    measurements = sum(bool(record.request.observe) for record in records)
    probes = sum(r.request.steps for r in records if r.request.phase == "probe")
    cost = result["cost"]
    assert measurements == 12 and probes == 9 == cost["probe_steps"]
    assert cost["train_tokens"] == 40 * 6 * 16 and cost["test_tokens"] == 3 * 12 * 16
    assert cost["evaluation_tokens"] == measurements * 3 * 6 * 16
    width, vocab, inner = 16, corpus.vocab_size, 48
    flops = 6 * (vocab * width + 4 * width**2 + 3 * width * inner) + 12 * width * 16
    assert cost["flops"] == flops * (cost["train_tokens"] + cost["evaluation_tokens"] / 3)
    assert set(cost["split"]) == {"training", "probing", "measuring", "drawing", "mixing", "writing"}
    assert all(seconds > 0 for seconds in cost["split"].values())
    assert 0.8 * cost["seconds"] < sum(cost["split"].values()) <= cost["seconds"]
    assert cost["joules"] == cost["seconds"] * 15


def test_aioli_reports_proportions_and_matrices(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    result = run_spec(make_spec("aioli", parameters=AIOLI), corpus, tmp_path)
    assert [matrix["step"] for matrix in result["matrices"]] == [7, 19, 31]
    assert np.array(result["matrices"][0]["values"]).shape == (3, 3)
    assert result["proportions"]["step"] == [7, 19, 31]
    np.testing.assert_allclose(np.sum(result["proportions"]["values"], axis=1), 1, atol=1e-4)
    assert result["evaluation_sequences"] == [6, 6, 6]


def test_targets_need_not_be_groups(corpus_with_target: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    evaluation = EvaluationSettings(max_sequences=20, test_sequences=5)
    parameters = {"round_steps": 12, "sweeps": 1, "probe_steps": 1}
    spec = make_spec("aioli", on=corpus_with_target, parameters=parameters, evaluation=evaluation)
    result = run_spec(spec, corpus_with_target, tmp_path)
    assert result["targets"] == ["news"] and len(result["test"]["loss"]) == 1
    assert 16 <= result["evaluation_sequences"][0] <= 20


def test_metrics_and_progress(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)
    states: list[dict[str, Any]] = []
    run_spec(make_spec(steps=410), corpus, tmp_path, on_progress=states.append)
    assert [state["step"] for state in states] == list(range(1, 411))
    assert states[-1]["eta"] == 0 and states[-1]["steps"] == 410 and json.dumps(states[-1])
    assert set(states[0]) == {"step", "steps", "loss", "proportions", "phase", "seconds", "eta", "law"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(3, 411, 3), 410]
    assert sum(sum(line["drawn"]) for line in lines) == 410 * 6
    assert lines[-1]["loss"] == states[-1]["loss"] < lines[0]["loss"]


def test_the_result_of_many_groups_stays_small(make_spec: MakeSpec, tmp_path: Path, request: Any) -> None:
    make_corpus = request.getfixturevalue("corpus_maker")
    corpus = make_corpus(tmp_path / "tokens", tuple(f"group{i}" for i in range(20)))
    parameters = {"round_steps": 40, "sweeps": 1, "probe_steps": 1}
    spec = make_spec("aioli", on=corpus, steps=250, parameters=parameters)
    run_spec(spec, corpus, tmp_path / "run")
    assert (tmp_path / "run" / "result.json").stat().st_size < 20_000


def test_warnings_reach_the_result(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    parameters = {"round_steps": 8, "sweeps": 1, "probe_steps": 1}
    result = run_spec(make_spec("aioli", parameters=parameters), corpus, tmp_path)
    assert len(result["warnings"]) == 1 and "probing takes 38% of every round" in result["warnings"][0]


def test_threads_are_as_before_afterwards(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert run_spec(make_spec(steps=5), corpus, tmp_path)["machine"]["threads"] == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_diverging_training_stops_with_advice_and_keeps_the_checkpoint(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(learning_rate=1e18, warmup=0, checkpoint_every=1)
    with pytest.raises(InputError, match=r"infinite or NaN by step \d+: lower train.learning_rate"):
        run_spec(spec, corpus, tmp_path)
    with pytest.raises(InputError, match="infinite or NaN"):
        run_spec(spec, corpus, tmp_path, resume=True)
    assert not (tmp_path / "result.json").exists()


def test_a_model_that_diverges_in_its_last_step_gives_no_result(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(steps=1, learning_rate=1e38, warmup=0)
    with pytest.raises(InputError, match=r"test loss of law, code, prose is infinite or NaN.*; lower train"):
        run_spec(spec, corpus, tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_waiting_for_the_device_is_charged_to_the_steps_it_works_on(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for CUDA: steps return at once, and whoever reads a number waits for all of them."""
    queue: list[float] = []
    waited = {"steps": 0.0, "reading": 0.0}

    def work(kind: str) -> None:
        seconds = sum(queue)
        queue.clear()
        waited[kind] += seconds
        time.sleep(seconds)

    def after(original: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any, **options: Any) -> Any:
            work("reading")
            return original(*args, **options)

        return read

    step = loop.update
    monkeypatch.setattr(loop, "update", lambda *args: (queue.append(0.01), step(*args))[1])
    monkeypatch.setattr(Forward, "synchronise", lambda self: work("steps"))
    for name in ("check", "loss", "state_dict"):
        monkeypatch.setattr(TrainingLog, name, after(getattr(TrainingLog, name)))
    monkeypatch.setattr(Evaluator, "measure", after(Evaluator.measure))
    spec = make_spec("aioli", parameters=AIOLI, checkpoint_every=7)
    split = run_spec(spec, corpus, tmp_path, on_progress=lambda state: None)["cost"]["split"]
    assert waited == {"steps": pytest.approx(0.4), "reading": 0.0}
    assert split["probing"] > 0.09 and split["training"] > 0.31


def test_numbers_of_the_cpu_and_of_cuda_stay_apart(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec, path = make_spec(steps=6), tmp_path / "result.json"
    result = run_spec(spec, corpus, tmp_path)
    path.write_text(json.dumps(result | {"machine": result["machine"] | {"device": "NVIDIA H100"}}))
    with pytest.raises(InputError, match=r"result\.json was computed on NVIDIA H100, this process .* cpu"):
        run_spec(spec, corpus, tmp_path, resume=True)
    path.unlink()
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt", spec.id)
    plain = json.loads(checkpoint["plain"])
    checkpoint["plain"] = json.dumps(plain | {"machine": plain["machine"] | {"device": "NVIDIA H100"}})
    save_checkpoint(tmp_path / "checkpoint.pt", spec.id, checkpoint)
    with pytest.raises(InputError, match=r"checkpoint\.pt was computed on NVIDIA H100"):
        run_spec(spec, corpus, tmp_path, resume=True)


def test_another_torch_on_the_same_device_is_a_warning(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(steps=6)
    result = run_spec(spec, corpus, tmp_path)
    (tmp_path / "result.json").unlink()
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt", spec.id)
    plain = json.loads(checkpoint["plain"])
    machine = {"device": "cpu", "torch": "1.0"}  # an older checkpoint may say less
    save_checkpoint(
        tmp_path / "checkpoint.pt", spec.id, checkpoint | {"plain": json.dumps(plain | {"machine": machine})}
    )
    again = run_spec(spec, corpus, tmp_path, resume=True)
    assert again["weights_sha256"] == result["weights_sha256"]
    assert "with torch 1.0 -> " in again["warnings"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ModelSettings(1, 16, 2, 1000)}, "context of 1000 needs at least 1001 tokens"),
        ({"data": "0" * 16}, "for the corpus with fingerprint 0000000000000000"),
        ({"target_weights": {"law": 1.0, "cod": 1.0}}, "target_weights name 'cod'; did you mean 'code'"),
        ({"target_weights": {"law": 1.0}}, "missing: code, prose"),
        ({"method": "aiol"}, "unknown method 'aiol'; did you mean 'aioli'"),
        ({"method": "aioli", "parameters": {"round_steps": 3}}, "probing would take"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_spec(replace(make_spec(), **change), corpus, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="torch finds no CUDA device"):
        run_spec(make_spec(device="cuda"), corpus, tmp_path)


def test_a_token_outside_the_vocabulary_is_an_error(
    make_spec: MakeSpec, tmp_path: Path, request: Any
) -> None:
    corpus = request.getfixturevalue("corpus_maker")(tmp_path / "tokens", ("law", "code"))
    corpus.index["vocab_size"] = 20
    with pytest.raises(InputError, match="expected ids below the vocabulary's 20"):
        run_spec(make_spec(on=corpus), corpus, tmp_path / "run")


def test_bfloat16_on_the_cpu(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    plain = run_spec(make_spec(), corpus, tmp_path / "float32")
    rough = run_spec(make_spec(dtype="bfloat16"), corpus, tmp_path / "bfloat16")
    assert rough["weights_sha256"] != plain["weights_sha256"]
    np.testing.assert_allclose(rough["test"]["loss"], plain["test"]["loss"], atol=0.05)


def test_a_second_process_is_refused(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    with locks.DirectoryLock(tmp_path), pytest.raises(InputError, match="another process"):
        run_spec(make_spec(), corpus, tmp_path)
    run_spec(make_spec(steps=5), corpus, tmp_path)
