"""A signal, its measure and a method that needs it, all from an installed package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from aioli import signals
from aioli.data.loader import Loader
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.journal import Journal
from aioli.methods import registry
from aioli.sweep.spec import RunSpec
from aioli.training.loop import run_spec

MakeSpec = Callable[..., RunSpec]
PACKAGE = '''
"""The mean token id of each group's sequences."""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.measure.base import Measure
from aioli.protocol import Request
from aioli.signals import SignalInfo

SIGNAL = SignalInfo("mean_id", ("group",), "their_signals:MeanId")
LOST = SignalInfo("lost", (), "their_signals:Absent")
ODD = SignalInfo("odd", (), "their_signals:SignalInfo")
OWN_LOOP = SignalInfo("own_loop", ("target",))


class MeanId(Measure):
    signals = frozenset({"mean_id"})

    def begin(self):
        self.sums, self.counts = np.zeros((2, self.context.problem.m))

    def add(self, due):
        np.add.at(self.sums, due.batch.group, due.batch.tokens.mean(axis=1))
        np.add.at(self.counts, due.batch.group, 1)
        self.read(due.batch.tokens, 0.5)

    def finish(self, steps):
        with np.errstate(invalid="ignore"):
            return {"mean_id": self.sums / self.counts}

    def state_dict(self):
        return super().state_dict() | {"sums": self.sums.tolist(), "counts": self.counts.tolist()}

    def load_state_dict(self, saved):
        super().load_state_dict(saved)
        self.sums, self.counts = np.array(saved["sums"]), np.array(saved["counts"])


class State(NamedTuple):
    told: int
    proportions: np.ndarray


@dataclass(frozen=True)
class LowIds:
    "Moves to the groups with low token ids; peeks at every fourth segment."

    signal: str = "mean_id"

    @property
    def needs(self):
        return frozenset({self.signal})

    def init(self, problem):
        return State(0, problem.uniform)

    def request(self, problem, state):
        return Request(state.proportions, 0 if state.told % 4 == 0 else 2, self.needs)

    def update(self, problem, state, seen):
        p = state.proportions * np.exp(-0.01 * np.nan_to_num(seen.values[self.signal]))
        return State(state.told + 1, p / p.sum())
'''
ENTRY_POINTS = """
[aioli.signals]
mean_id = their_signals:SIGNAL
lost = their_signals:LOST
odd = their_signals:ODD
own_loop = their_signals:OWN_LOOP

[aioli.methods]
low_ids = their_signals:LowIds
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = tmp_path / "site"
    (site / "their_signals-1.0.dist-info").mkdir(parents=True)
    (site / "their_signals.py").write_text(PACKAGE)
    (site / "their_signals-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: their-signals\nVersion: 1.0\n"
    )
    (site / "their_signals-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(site)
    caches = (signals._points, signals._loaded, registry._points, registry._loaded)
    for cache in caches:
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def test_it_is_measured_peeked_at_resumed_and_paid_for(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, installed: None
) -> None:
    spec = make_spec("low_ids", steps=30, checkpoint_every=3)
    whole = run_spec(spec, corpus, tmp_path / "whole")

    def stop(state: dict) -> None:
        if state["step"] == 17:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aioli.training.loop.PROGRESS_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            run_spec(spec, corpus, tmp_path / "broken", on_progress=stop)
    again = run_spec(spec, corpus, tmp_path / "broken", resume=True)
    assert again["weights_sha256"] == whole["weights_sha256"]
    journals = [Journal.read(tmp_path / name / "journal.jsonl").records for name in ("whole", "broken")]
    tokens = {name: corpus.sequences(name, "train", 17) for name in corpus.groups}
    loader, batches = Loader(tokens, spec.train.batch, seed=0), 0
    for record, other in zip(*journals, strict=True):
        request, values = record.request, record.observation.values["mean_id"]
        np.testing.assert_array_equal(values, other.observation.values["mean_id"])
        seen = list(loader.segment(request.proportions, request.steps)) or [loader.peek(request.proportions)]
        rows = np.concatenate([batch.tokens for batch in seen]).mean(axis=1)
        group = np.concatenate([batch.group for batch in seen])
        np.testing.assert_allclose(values, [rows[group == j].mean() for j in range(3)])
        batches += len(seen)
    cost = whole["cost"]
    assert batches > 30 and cost["evaluation_tokens"] == batches * 6 * 16
    per_token = 6 * (40 * 16 + 4 * 16**2 + 3 * 16 * 48) + 12 * 16 * 16
    assert cost["flops"] == pytest.approx(
        per_token * (cost["train_tokens"] + cost["evaluation_tokens"] / 6), rel=1e-12
    )


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ("lost", "measure their_signals:Absent cannot be loaded .*; mend or uninstall the package"),
        ("odd", "their_signals:SignalInfo must be a subclass of aioli.measure.base.Measure"),
        ("own_loop", "so own_loop cannot be had: own_loop comes with no measure"),
        ("mean_idd", "unknown signal 'mean_idd'; did you mean 'mean_id'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_step_0(
    corpus: Corpus, make_spec: MakeSpec, tmp_path: Path, installed: None, signal: str, message: str
) -> None:
    spec = make_spec("low_ids", parameters={"signal": signal})
    with pytest.raises(InputError, match=message):
        run_spec(spec, corpus, tmp_path / "run")
    assert not (tmp_path / "run" / "journal.jsonl").exists()
