"""Runs that stand for a longer one: their data, their ids, and stopping anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import read_spec
from aioli.training import loop
from aioli.training.loop import run_spec
from aioli.training.prepare import make_problem

MakeSpec = Callable[..., RunSpec]
MIXTURE = {"proportions": {"law": 0.5, "code": 0.3, "prose": 0.2}}
TARGET = 40 * 6 * 16 * 8  # tokens: eight times the run


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    cost = {k: v for k, v in result["cost"].items() if k not in ("seconds", "joules", "split")}
    return result | {"cost": cost}


def test_ids_without_a_target_are_what_they_were(make_spec: MakeSpec) -> None:
    plain = RunSpec("stratified", "0123456789abcdef")
    assert plain.id == "f308b0b42dc5fa98"
    assert replace(plain, target_tokens=1000).id not in (plain.id, replace(plain, target_tokens=1001).id)


def test_epochs_are_those_of_the_long_run(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = replace(make_spec("static", parameters=MIXTURE), target_tokens=TARGET)
    problem = make_problem(spec, corpus)
    rows = np.array([len(corpus.sequences(name, "train", 17)) for name in corpus.groups])
    assert problem.group_tokens == tuple(-(-rows // 8) * 16)
    result = run_spec(spec, corpus, tmp_path / "run")
    promised = np.array([0.5, 0.3, 0.2]) * TARGET / (rows * 16)
    assert np.allclose(result["epochs"], promised, rtol=1 / (rows.min() / 8) + 0.01)
    assert read_spec(tmp_path / "run") == spec
    plain = run_spec(replace(spec, target_tokens=None), corpus, tmp_path / "plain")
    assert np.allclose(result["epochs"], 8 * np.array(plain["epochs"]), rtol=0.06)
    assert result["weights_sha256"] != plain["weights_sha256"]


def test_stopped_runs_continue_bit_for_bit(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)
    spec = replace(make_spec("static", parameters=MIXTURE, checkpoint_every=7), target_tokens=TARGET)
    whole = run_spec(spec, corpus, tmp_path / "whole")
    for step in (3, 11, 25):

        def stop(state: dict[str, Any], step: int = step) -> None:
            if state["step"] == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_spec(spec, corpus, tmp_path / "broken", resume=True, on_progress=stop)
    assert numbers(run_spec(spec, corpus, tmp_path / "broken", resume=True)) == numbers(whole)
    with pytest.raises(InputError, match="target_tokens was 30720, is None"):
        run_spec(replace(spec, target_tokens=None), corpus, tmp_path / "broken", resume=True)
    assert json.loads((tmp_path / "broken" / "spec.json").read_text())["target_tokens"] == TARGET


def test_a_run_too_short_for_its_target(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = replace(make_spec("static", parameters=MIXTURE), target_tokens=10**7)
    with pytest.raises(InputError, match=r"of the 176 sequences of 'code': train at least 56,819 tokens"):
        run_spec(spec, corpus, tmp_path / "run")
