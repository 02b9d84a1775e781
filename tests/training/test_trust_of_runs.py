"""The law's score in results, in progress, and for runs that were stopped and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioli.data.shards import Corpus
from aioli.journal import Journal
from aioli.methods import registry
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.loop import run_spec
from aioli.training.result import read_trust
from aioli.training.settings import EvaluationSettings

MakeSpec = Callable[..., RunSpec]
AIOLI = {"round_steps": 24, "sweeps": 2, "probe_steps": 1}
ROUNDS, SPANS = 4, 2 * 3 + 1


@pytest.fixture
def spec(make_spec: MakeSpec) -> RunSpec:
    return make_spec("aioli", parameters=AIOLI, steps=100)


def test_result_holds_what_was_predicted_and_what_came(corpus: Corpus, spec: RunSpec, tmp_path: Path) -> None:
    result = run_spec(spec, corpus, tmp_path)
    trust = result["trust"]
    assert trust["scored"] == (ROUNDS - 1) * SPANS and len(trust["rounds"]) == 18
    assert trust["r2"] <= 1 and trust["r2_trend"] < trust["r2"] and 0 <= trust["coverage"] <= 1
    first, last = trust["rounds"][0], trust["rounds"][-1]
    assert (first["step"], first["steps"], first["phase"]) == (4 + 24, 24 - 6, "train")
    assert last["phase"] == "probe" and all(
        len(last[key]) == 3 for key in ("before", "predicted", "realised")
    )
    measured = [
        [float(f"{loss:.6g}") for loss in record.observation.values["validation_loss"]]
        for record in Journal.read(tmp_path / "journal.jsonl").records
        if "validation_loss" in record.observation.values
    ]
    assert all(each["realised"] in measured and each["before"] in measured for each in trust["rounds"])


def test_the_journal_alone_gives_it(corpus: Corpus, spec: RunSpec, tmp_path: Path) -> None:
    """So runs of before have it, too."""
    result = run_spec(spec, corpus, tmp_path)
    method = registry.build(spec.method, spec.parameters)
    assert read_trust([method], Journal.read(tmp_path / "journal.jsonl"), True) == result["trust"]


def test_automatic_sizes_leave_out_what_reads_other_sequences(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    evaluation = EvaluationSettings(sequences="auto", test_sequences=12)
    result = run_spec(
        make_spec("aioli", parameters=AIOLI, steps=100, evaluation=evaluation), corpus, tmp_path
    )
    assert result["trust"]["scored"] == (ROUNDS - 1) * (SPANS - 1)
    assert {each["phase"] for each in result["trust"]["rounds"]} == {"probe"}


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [("stratified", {}, None), ("doge", {}, 0), ("aioli", AIOLI | {"rounds": 1}, 0)],
)
def test_without_a_law_or_without_measurements(
    method: str,
    parameters: dict[str, Any],
    expected: int | None,
    corpus: Corpus,
    make_spec: MakeSpec,
    tmp_path: Path,
) -> None:
    trust = run_spec(make_spec(method, parameters=parameters), corpus, tmp_path)["trust"]
    if expected is None:
        assert trust is None
    else:
        assert trust == {"rounds": [], "r2": None, "r2_trend": None, "coverage": None, "scored": expected}


def test_progress_says_it_and_resuming_does_not_change_it(
    corpus: Corpus, spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0.0)
    told: dict[int, dict[str, float | None]] = {}
    whole = run_spec(
        spec, corpus, tmp_path / "whole", on_progress=lambda p: told.update({p["step"]: p["law"]})
    )
    assert set(told[20].values()) == {None} and told[30]["r2"] is not None and len(told) == 100
    lines = [json.loads(each) for each in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert {each["step"]: each.get("law", told[20]) for each in lines} == told
    assert told[100]["coverage"] == pytest.approx(whole["trust"]["coverage"], abs=1e-4)

    def stop(progress: dict[str, Any]) -> None:
        if progress["step"] == 45:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, corpus, tmp_path / "cut", on_progress=stop)
    again: dict[int, dict[str, float | None]] = {}
    result = run_spec(
        spec,
        corpus,
        tmp_path / "cut",
        resume=True,
        on_progress=lambda p: again.update({p["step"]: p["law"]}),
    )
    assert result["trust"] == whole["trust"]
    assert again == {step: r2 for step, r2 in told.items() if step > 45}
    assert json.dumps(result["trust"])
