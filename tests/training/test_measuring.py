"""Signals in real runs: they follow the batches, cost what is said, disturb nothing, and resume exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.journal import Journal
from aioli.methods.zoo import METHODS, Entry
from aioli.protocol import Array, Citation, Observation, Problem, Request, Signal
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.compute import Forward
from aioli.training.loop import run_spec
from aioli.training.settings import ModelSettings

MakeSpec = Callable[..., RunSpec]
EXCESS = (Signal.EXCESS_LOSS, Signal.REFERENCE_LOSS)
ALIGNMENT = (Signal.GRADIENT_ALIGNMENT, Signal.GRADIENT_NORM)
BATCHES = (*EXCESS, *ALIGNMENT, Signal.TRAIN_LOSS)
ALL = (*BATCHES, Signal.GRADIENT_VARIANCE, Signal.DIRECTIONAL, Signal.VALIDATION_LOSS)


class Crash(Exception):
    """Stands for a kill."""


class PeeksState(NamedTuple):
    step: int
    told: int
    weights: Array


@dataclass(frozen=True)
class Peeks:
    """Measures `signals` on the batch due next, then trains `steps` steps; what it saw steers the run.

    `use`: "loss" weights the loss, "data" moves the mixture, "no" only looks. `during`: also in segments.
    """

    signals: tuple[str, ...]
    use: str = "loss"
    steps: int = 1
    during: bool = False

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(self.signals)

    def init(self, problem: Problem) -> PeeksState:
        return PeeksState(0, 0, problem.uniform)

    def request(self, problem: Problem, state: PeeksState) -> Request:
        p = state.weights if self.use == "data" and state.told % 2 else problem.uniform
        if state.told % 2 == 0:
            return Request(p, 0, self.needs, "measure")
        steps = min(self.steps, problem.total_steps - state.step)
        weights = state.weights if self.use == "loss" else None
        return Request(p, steps, self.needs if self.during else frozenset(), loss_weights=weights)

    def update(self, problem: Problem, state: PeeksState, seen: Observation) -> PeeksState:
        logits = np.log(state.weights)
        for _, values in sorted(seen.values.items()):
            flat = np.nan_to_num(values.mean(axis=0) if values.ndim == 2 else values)
            logits = 0.9 * logits + 0.3 * flat / (np.abs(flat).max() + 1e-9)
        weights = np.exp(logits - logits.max())
        return PeeksState(seen.step, state.told + 1, weights / weights.sum())


@pytest.fixture(autouse=True)
def peeks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "peeks", Entry(Peeks, "looks ahead", Citation("a test")))
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)


@pytest.fixture(scope="module")
def store(corpus: Corpus, make_spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs side by side; the reference among them is wider than ours."""
    path = tmp_path_factory.mktemp("store")
    spec = reference(make_spec)
    run_spec(spec, corpus, path / spec.id)
    return path


def reference(make_spec: MakeSpec) -> RunSpec:
    return replace(make_spec(steps=60, seed=9), model=ModelSettings(1, 24, 2, 32))


def peek_spec(make_spec: MakeSpec, signals: tuple[str, ...], **settings: Any) -> RunSpec:
    parameters = {"signals": list(map(str, signals))} | settings.pop("parameters", {})
    spec = make_spec("peeks", parameters=parameters, **{"steps": 16} | settings)
    needed = set(EXCESS) & set(signals)
    return replace(spec, inputs={"reference": reference(make_spec).id}) if needed else spec


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    cost = {k: v for k, v in result["cost"].items() if k not in ("seconds", "joules", "split")}
    return result | {"cost": cost}


@pytest.mark.parametrize(
    ("signals", "parameters"),
    [
        (EXCESS[:1], {}),
        (EXCESS, {"use": "data"}),
        (ALIGNMENT, {}),
        ((Signal.GRADIENT_VARIANCE,), {"use": "data", "steps": 3}),
        ((Signal.DIRECTIONAL,), {"use": "data"}),
        (ALL, {"steps": 4, "during": True}),
    ],
)
def test_a_run_stopped_and_killed_anywhere_ends_with_the_same_bits(
    corpus: Corpus, make_spec: MakeSpec, store: Path, signals: tuple[str, ...], parameters: dict[str, Any]
) -> None:
    spec = peek_spec(make_spec, signals, parameters=parameters, checkpoint_every=5)
    directory = store / spec.id
    whole = run_spec(spec, corpus, directory)
    journal = (directory / "journal.jsonl").read_bytes()
    shutil.rmtree(directory)
    stops = [(1, KeyboardInterrupt), (3, Crash), (4, KeyboardInterrupt), (7, Crash), (8, KeyboardInterrupt)]
    stops += [(9, KeyboardInterrupt), (12, Crash), (15, KeyboardInterrupt), (16, KeyboardInterrupt)]
    for step, error in stops:

        def stop(state: dict[str, Any], at: int = step, error: type[BaseException] = error) -> None:
            if state["step"] == at:
                raise error

        with pytest.raises(error):
            run_spec(spec, corpus, directory, resume=True, on_progress=stop)
    assert numbers(run_spec(spec, corpus, directory, resume=True)) == numbers(whole)
    assert (directory / "journal.jsonl").read_bytes() == journal
    shutil.rmtree(directory)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_looking_changes_no_bit_of_training(
    corpus: Corpus, make_spec: MakeSpec, store: Path, dtype: str
) -> None:
    plain = run_spec(make_spec(steps=16, dtype=dtype), corpus, store / f"plain-{dtype}")
    spec = peek_spec(make_spec, ALL, parameters={"use": "no", "steps": 3, "during": True}, dtype=dtype)
    result = run_spec(spec, corpus, store / spec.id)
    assert result["weights_sha256"] == plain["weights_sha256"] and result["drawn"] == plain["drawn"]


def test_a_peek_sees_the_batch_that_is_trained_next(corpus: Corpus, make_spec: MakeSpec, store: Path) -> None:
    """What the peek measured is what the next segment of one step measures on its own batch.

    The held-out sequences change from one measurement to the next, so alignment itself does not repeat.
    """
    signals = (*EXCESS, Signal.GRADIENT_NORM, Signal.TRAIN_LOSS)
    spec = peek_spec(make_spec, signals, parameters={"use": "no", "during": True}, batch=4)
    run_spec(spec, corpus, store / spec.id)
    records = Journal.read(store / spec.id / "journal.jsonl").records
    assert len(records) == 32
    for peek, step in zip(records[::2], records[1::2], strict=True):
        assert peek.request.steps == 0 and step.request.steps == 1
        for signal in signals:
            np.testing.assert_array_equal(peek.observation.values[signal], step.observation.values[signal])
    excess, loss, frozen = (
        np.array([record.observation.values[signal] for record in records])
        for signal in (Signal.EXCESS_LOSS, Signal.TRAIN_LOSS, Signal.REFERENCE_LOSS)
    )
    assert (excess > loss - frozen - 1e-6).all() and (excess >= 0).all() and (frozen < loss).mean() > 0.9


def test_the_step_uses_the_forward_pass_of_its_peek_and_costs_are_counted(
    corpus: Corpus, make_spec: MakeSpec, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    original = Forward.token_losses

    def counted(self: Forward, tokens: np.ndarray) -> Any:
        calls.append(self.model.settings.width)
        return original(self, tokens)

    monkeypatch.setattr(Forward, "token_losses", counted)
    spec = peek_spec(make_spec, EXCESS[:1])
    result = run_spec(spec, corpus, store / spec.id)
    cost = result["cost"]
    assert (calls.count(16), calls.count(24)) == (16, 16)
    ours, theirs = (
        6 * (40 * w + 4 * w**2 + 3 * w * inner) + 12 * w * context
        for w, inner, context in ((16, 48, 16), (24, 64, 32))
    )
    tokens = 16 * 6 * 16
    assert cost["evaluation_tokens"] == cost["train_tokens"] == tokens
    assert cost["flops"] == pytest.approx(ours * tokens + theirs * tokens / 3, rel=1e-12)

    calls.clear()
    spec = peek_spec(make_spec, EXCESS[:1], parameters={"use": "data"})
    cost = run_spec(spec, corpus, store / spec.id)["cost"]
    again = calls.count(16) - 16  # peeks at a batch that was not trained next
    assert 8 < again <= 16 and cost["evaluation_tokens"] == tokens + again * 6 * 16
    assert cost["flops"] == pytest.approx(ours * (tokens + again * 32) + theirs * tokens / 3, rel=1e-12)


def test_a_reference_must_be_finished_of_the_same_data_and_long_enough(
    corpus: Corpus, make_spec: MakeSpec, store: Path, corpus_maker: Callable[..., Corpus], tmp_path: Path
) -> None:
    def refused(spec: RunSpec, message: str) -> None:
        with pytest.raises(InputError, match=message):
            run_spec(spec, corpus, tmp_path / "store" / "run")
        assert not (tmp_path / "store" / "run" / "journal.jsonl").exists()

    spec = peek_spec(make_spec, EXCESS)
    refused(
        replace(spec, inputs={}),
        r"needs excess_loss, reference_loss; this loop measures .*train_loss.*, so excess_loss, "
        r"reference_loss cannot be had: name a finished run of the same data as the input 'reference'",
    )
    refused(spec, "not finished")
    old = reference(make_spec)
    place = tmp_path / "store" / old.id
    shutil.copytree(store / old.id, place)
    (place / "checkpoint.pt").unlink()
    refused(spec, "reference run .* checkpoint.pt is missing")
    short = replace(make_spec(steps=5), model=ModelSettings(1, 16, 2, 8))
    run_spec(short, corpus, tmp_path / "store" / short.id)
    refused(replace(spec, inputs={"reference": short.id}), "context of 8 tokens, this run one of 16")
    other = corpus_maker(tmp_path / "tokens", corpus.groups)
    other.index["fingerprint"] = "0" * 16
    foreign = make_spec(on=other, steps=5)
    run_spec(foreign, other, tmp_path / "store" / foreign.id)
    refused(
        replace(spec, inputs={"reference": foreign.id}),
        f"fingerprint {other.fingerprint}, this run's has {corpus.fingerprint}",
    )
