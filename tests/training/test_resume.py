"""Stopping and killing anywhere, and continuing to the identical result."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.loop import run_spec

MakeSpec = Callable[..., RunSpec]
METHODS = {
    "stratified": {},
    "matched": {"objective": "mean_perplexity", "round_steps": 3},
    "aioli": {"round_steps": 12, "sweeps": 2, "probe_steps": 1},
}


class Crash(Exception):
    """Stands for a kill: nothing is saved on the way out."""


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """A result without its times."""
    cost = {k: v for k, v in result["cost"].items() if k not in ("seconds", "joules", "split")}
    return result | {"cost": cost}


def stop_at(step: int, error: type[BaseException]) -> Callable[[dict[str, Any]], None]:
    def on_progress(state: dict[str, Any]) -> None:
        if state["step"] == step:
            raise error

    return on_progress


@pytest.fixture(autouse=True)
def progress_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)


@pytest.mark.parametrize("method", METHODS)
def test_stopped_and_crashed_runs_continue_bit_for_bit(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, method: str
) -> None:
    spec = make_spec(method, parameters=METHODS[method], checkpoint_every=7)
    whole = run_spec(spec, corpus, tmp_path / "whole")
    if method != "stratified":
        assert whole["proportions"]["values"][0] != whole["proportions"]["values"][-1]
    directory = tmp_path / "broken"
    stops = [(3, KeyboardInterrupt), (5, Crash), (8, Crash), (11, Crash), (13, KeyboardInterrupt)]
    stops += [
        (20, Crash),
        (22, KeyboardInterrupt),
        (23, KeyboardInterrupt),
        (39, Crash),
        (40, KeyboardInterrupt),
    ]
    for step, error in stops:
        with pytest.raises(error):
            run_spec(spec, corpus, directory, resume=True, on_progress=stop_at(step, error))
        assert not (directory / "result.json").exists()
    result = run_spec(spec, corpus, directory, resume=True)
    assert numbers(result) == numbers(whole)
    journals = [(d / "journal.jsonl").read_bytes() for d in (tmp_path / "whole", directory)]
    assert journals[0] == journals[1]
    lines = [
        [json.loads(line) | {"seconds": 0} for line in (d / "metrics.jsonl").read_text().splitlines()]
        for d in (tmp_path / "whole", directory)
    ]
    assert lines[0] == lines[1]


@pytest.mark.requires("cuda")
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_on_cuda_too_a_run_continues_bit_for_bit(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, dtype: str
) -> None:
    settings = {"device": "cuda", "dtype": dtype, "checkpoint_every": 7}
    spec = make_spec("aioli", parameters=METHODS["aioli"], **settings)
    wholes = [run_spec(spec, corpus, tmp_path / name) for name in ("whole", "again")]
    for step, error in ((5, KeyboardInterrupt), (9, Crash), (13, KeyboardInterrupt), (30, Crash)):
        with pytest.raises(error):
            run_spec(spec, corpus, tmp_path / "broken", resume=True, on_progress=stop_at(step, error))
    result = run_spec(spec, corpus, tmp_path / "broken", resume=True)
    assert numbers(result) == numbers(wholes[0]) == numbers(wholes[1])
    assert result["machine"]["device"] != "cpu"


def test_every_step_is_a_good_place_to_stop(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    parameters = {"round_steps": 8, "sweeps": 1, "probe_steps": 1}
    spec = make_spec("aioli", parameters=parameters, steps=21)
    whole = run_spec(spec, corpus, tmp_path / "whole")
    for step in range(1, 22):
        with pytest.raises(KeyboardInterrupt):
            stop = stop_at(step, KeyboardInterrupt)
            run_spec(spec, corpus, tmp_path / "broken", resume=True, on_progress=stop)
    assert numbers(run_spec(spec, corpus, tmp_path / "broken", resume=True)) == numbers(whole)


def test_the_same_spec_gives_the_same_numbers_and_another_seed_does_not(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    runs = [run_spec(make_spec(seed=seed), corpus, tmp_path / str(i)) for i, seed in enumerate((0, 0, 1))]
    assert numbers(runs[0]) == numbers(runs[1])
    assert runs[0]["weights_sha256"] != runs[2]["weights_sha256"]


def test_a_signal_stops_after_the_step_with_a_checkpoint(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec()
    before = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT):

        def send(state: dict[str, Any], number: int = number) -> None:
            if state["step"] in (10, 20):
                os.kill(os.getpid(), number)

        with pytest.raises(KeyboardInterrupt):
            run_spec(spec, corpus, tmp_path / "run", resume=True, on_progress=send)
    assert signal.getsignal(signal.SIGTERM) == before
    seen: list[int] = []
    result = run_spec(
        spec, corpus, tmp_path / "run", resume=True, on_progress=lambda state: seen.append(state["step"])
    )
    assert seen == list(range(21, 41))
    assert numbers(result) == numbers(run_spec(spec, corpus, tmp_path / "whole"))
    assert result["cost"]["seconds"] > 0


SCRIPT = """
import json, sys
from pathlib import Path
from aioli.data.shards import Corpus
from aioli.sweep.store import read_spec
from aioli.training.loop import run_spec
tokens, spec, out = map(Path, sys.argv[1:])
run_spec(read_spec(spec), Corpus.open(tokens), out, resume=True)
"""


def test_killed_with_signal_9(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("aioli", parameters=METHODS["aioli"], steps=300, checkpoint_every=20)
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "spec.json").write_text(json.dumps(spec.to_json()))
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(corpus.directory), str(tmp_path / "spec"), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (out / "checkpoint.pt").exists() and not (out / "result.json").exists()
    (out / ".checkpoint.pt.abc").write_text("as a kill while writing leaves it")
    result = run_spec(spec, corpus, out, resume=True)
    assert numbers(result) == numbers(run_spec(spec, corpus, tmp_path / "whole"))
    assert not list(out.glob(".checkpoint*"))


def test_a_full_disk_keeps_the_last_checkpoint(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("aioli", parameters=METHODS["aioli"], checkpoint_every=5)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(state: dict[str, Any]) -> None:
        if state["step"] == 12:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    try:
        with pytest.raises(InputError, match=r"no room left .* last checkpoint is intact; free some space"):
            run_spec(spec, corpus, tmp_path / "full", on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    seen: list[int] = []
    result = run_spec(
        spec, corpus, tmp_path / "full", resume=True, on_progress=lambda state: seen.append(state["step"])
    )
    assert seen[0] == 11
    assert numbers(result) == numbers(run_spec(spec, corpus, tmp_path / "whole"))


def test_a_used_directory_needs_resume(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(steps=6)
    result = run_spec(spec, corpus, tmp_path)
    with pytest.raises(InputError, match=r"already holds a run \(spec.json, .*continue it with --resume"):
        run_spec(spec, corpus, tmp_path)
    assert run_spec(spec, corpus, tmp_path, resume=True) == result
    with pytest.raises(InputError, match=r"seed was 0, is 1.*or give another directory"):
        run_spec(make_spec(steps=6, seed=1), corpus, tmp_path, resume=True)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"result\.json is damaged: delete it"):
        run_spec(spec, corpus, tmp_path, resume=True)
    (tmp_path / "result.json").unlink()
    assert numbers(run_spec(spec, corpus, tmp_path, resume=True)) == numbers(result)


def test_without_a_checkpoint_the_run_starts_over(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec("aioli", parameters=METHODS["aioli"])
    with pytest.raises(Crash):
        run_spec(spec, corpus, tmp_path / "run", on_progress=stop_at(20, Crash))
    assert (tmp_path / "run" / "journal.jsonl").exists()
    result = run_spec(spec, corpus, tmp_path / "run", resume=True)
    assert numbers(result) == numbers(run_spec(spec, corpus, tmp_path / "whole"))


def test_damaged_files_are_named(corpus: Corpus, make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("matched", parameters=METHODS["matched"])
    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, corpus, tmp_path, on_progress=stop_at(20, KeyboardInterrupt))
    journal, checkpoint = tmp_path / "journal.jsonl", tmp_path / "checkpoint.pt"
    good = journal.read_bytes(), checkpoint.read_bytes()
    for path, data, message in (
        (journal, good[0][:300], "truncated or belongs to another run"),
        (journal, good[0].replace(b"train_loss", b"train_lost", 1), "damaged"),
        (checkpoint, good[1][:-9], "truncated"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=message):
            run_spec(spec, corpus, tmp_path, resume=True)
        journal.write_bytes(good[0])
        checkpoint.write_bytes(good[1])
    (tmp_path / "metrics.jsonl").unlink()
    run_spec(spec, corpus, tmp_path, resume=True)
