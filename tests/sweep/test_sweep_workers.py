"""How many workers, on which device, and which results may come together."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from aioli.errors import InputError
from aioli.sweep import gpus, local
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store
from aioli.training.settings import TrainSettings

SPECS = [RunSpec("aioli", "0123456789abcdef", seed=seed) for seed in range(4)]
ON_CPU = [replace(spec, train=TrainSettings(device="cpu")) for spec in SPECS]


def script(path: Path, text: str) -> str:
    """A stand-in for the interpreter, to see how it is started."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "visible_gpus", lambda: ("0", "GPU-7"))


def test_one_worker_for_each_gpu_unless_runs_ask_for_the_cpu(two_gpus: None) -> None:
    assert local.default_workers(SPECS) == 2
    assert local.default_workers(SPECS[:1]) == 1
    assert local.default_workers(ON_CPU) == min(len(os.sched_getaffinity(0)), 4)


@pytest.mark.parametrize(("specs", "workers"), [(SPECS, None), (SPECS, 4), (ON_CPU, 1)])
def test_runs_are_dealt_out_to_the_gpus(
    two_gpus: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    specs: list[RunSpec],
    workers: int | None,
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "as before")
    seen = tmp_path / "seen"
    told = script(tmp_path / "python", f'echo "$CUDA_VISIBLE_DEVICES" >> {seen}; sleep 0.3; exit 3')
    monkeypatch.setattr("sys.executable", told)
    with Store(tmp_path / "o") as store:
        outcome = local.run(specs, tmp_path, store, workers=workers)
    assert len(outcome.failures) == 4
    expected = ["as before"] * 4 if specs is ON_CPU else ["0", "0", "GPU-7", "GPU-7"]
    assert sorted(seen.read_text().splitlines()) == sorted(expected)


@pytest.mark.parametrize(("named", "found"), [(None, ("0", "1")), ("3, GPU-7", ("3", "GPU-7"))])
def test_torch_is_asked_how_many_gpus_it_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, found: tuple[str, ...]
) -> None:
    monkeypatch.setattr(gpus, "DRIVERS", (str(tmp_path),))
    if named is None:
        monkeypatch.delenv(gpus.VISIBLE, raising=False)
    else:
        monkeypatch.setenv(gpus.VISIBLE, named)
    for answer, expected in (("echo 2", found), ("echo 0", ()), ("exit 1", ()), ("echo", ())):
        monkeypatch.setattr("sys.executable", script(tmp_path / "python", answer))
        assert gpus.visible_gpus() == expected
    monkeypatch.setattr("sys.executable", str(tmp_path / "absent"))
    assert gpus.visible_gpus() == ()


def test_without_a_driver_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVERS", (str(tmp_path / "absent"),))
    monkeypatch.setattr("sys.executable", script(tmp_path / "python", "echo 2"))
    assert gpus.visible_gpus() == ()


@pytest.mark.parametrize(("before", "now"), [("NVIDIA H100", ()), ("cpu", ("0",))])
def test_results_of_the_cpu_and_of_cuda_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, now: tuple[str, ...]
) -> None:
    monkeypatch.setattr(gpus, "visible_gpus", lambda: now)
    with Store(tmp_path / "o") as store:
        for spec in SPECS[:2]:
            result = {"version": 1, "id": spec.id, "label": "", "machine": {"device": before}}
            (store.prepare(spec) / "result.json").write_text(json.dumps(result))
        assert len(local.run(SPECS[:2], tmp_path, store).results) == 2
        with pytest.raises(InputError, match=f"was computed on {before}, the 2 that are left would run on"):
            local.run(SPECS, tmp_path, store)
        assert all(store.directory(spec).is_dir() == (spec in SPECS[:2]) for spec in SPECS)
