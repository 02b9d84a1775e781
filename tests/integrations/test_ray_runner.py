"""Runs on a local Ray cluster of two CPUs: the same bits, retried, stopped and resumed as on this machine."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize
from aioli.errors import InputError
from aioli.sweep import local
from aioli.sweep import ray as on_ray
from aioli.sweep.runner import Event
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

GROUPS = {"fish": "cod eel ray bass tuna carp pike shark", "birds": "owl tit jay crow swan lark heron kite"}
SAME = ("weights_sha256", "validation", "test", "drawn")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    place, pick = tmp_path_factory.mktemp("data"), random.Random(3)
    sources = {}
    for name, words in GROUPS.items():
        for number in range(40):
            (place / f"{name}{number}.txt").write_text(" ".join(pick.choices(words.split(), k=60)))
        sources[name] = TextSource((f"{name}*.txt",))
    settings = DataSettings(sources, tokenizer=TokenizerSettings(vocab_size=300))
    return tokenize(settings, place, place / "tokens", workers=1)


def spec(corpus: Corpus, share: float, steps: int = 20, **changed: object) -> RunSpec:
    made = RunSpec(
        method="static",
        data=corpus.fingerprint,
        parameters={"proportions": [share, 1 - share]},
        model=ModelSettings(layers=1, width=16, heads=2, context=16),
        train=TrainSettings(steps=steps, batch=4, warmup=2, device="cpu", checkpoint_every=10_000),
        evaluation=EvaluationSettings(sequences=4, test_sequences=8),
        validation=True,
        label=f"fish {share}",
    )
    return replace(made, **changed)


def told(result: dict[str, object]) -> dict[str, object]:
    return {key: result[key] for key in SAME}


def plan(corpus: Corpus) -> list[RunSpec]:
    reference = spec(corpus, 0.5)
    reader = replace(reference, method="doremi", parameters={}, inputs={"reference": reference.id}, label="p")
    return [reader, spec(corpus, 0.25), reference]


def test_the_same_bits_as_on_this_machine_and_readers_after_what_they_read(
    tmp_path: Path, corpus: Corpus
) -> None:
    with Store(tmp_path / "local") as store:
        here = local.run(plan(corpus), corpus.directory, store, workers=2)
    events: list[Event] = []
    with Store(tmp_path / "ray") as store:
        there = on_ray.run(plan(corpus), corpus.directory, store, on_event=events.append)
        again = on_ray.run(plan(corpus), corpus.directory, store, on_event=events.append)
    assert here.failures == there.failures == []
    assert [told(result) for result in there.results] == [told(result) for result in here.results]
    assert again.results == there.results
    kinds = [(event.kind, event.spec.label) for event in events if event.kind != "progress"]
    assert kinds.index(("finished", "fish 0.5")) < kinds.index(("started", "p"))
    assert kinds[-3:] == [("reused", one.label) for one in plan(corpus)]
    assert any(event.kind == "progress" for event in events)


def worker_of(run: str) -> int | None:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"aioli.sweep.worker" in line and any(run.encode() in part for part in line):
            return int(process.name)
    return None


def test_a_killed_worker_is_retried_and_a_stopped_one_resumes(tmp_path: Path, corpus: Corpus) -> None:
    wanted = spec(corpus, 0.75, steps=1000)
    with Store(tmp_path / "whole") as store:
        whole = local.run([wanted], corpus.directory, store)

    killed: list[int] = []
    events: list[Event] = []

    def kill_then_interrupt(event: Event) -> None:
        events.append(event)
        if event.kind != "progress":
            return
        if not killed and (process := worker_of(wanted.id)):
            killed.append(process)
            os.kill(process, signal.SIGKILL)
        if killed and worker_of(wanted.id) not in (None, *killed):
            raise KeyboardInterrupt

    with Store(tmp_path / "o") as store:
        with pytest.raises(KeyboardInterrupt):
            on_ray.run([wanted], corpus.directory, store, on_event=kill_then_interrupt)
        assert worker_of(wanted.id) is None and store.result(wanted) is None
        assert (store.directory(wanted) / "checkpoint.pt").exists()
        resumed = on_ray.run([wanted], corpus.directory, store)
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["started", "retried"] and len(killed) == 1
    assert told(resumed.results[0]) == told(whole.results[0])


def test_what_a_cluster_cannot_do_is_told(tmp_path: Path, corpus: Corpus) -> None:
    greedy = spec(corpus, 0.5)
    greedy = replace(greedy, train=replace(greedy.train, threads=64))
    with Store(tmp_path / "o") as store:
        with pytest.raises(
            InputError, match="a run needs 64 CPUs on one node, and no node of the Ray cluster"
        ):
            on_ray.run([greedy], corpus.directory, store)
        outcome = on_ray.run([spec(corpus, 0.5)], tmp_path / "elsewhere", store)
    assert "does not see" in outcome.failures[0].message
    assert "under the same path" in outcome.failures[0].message
