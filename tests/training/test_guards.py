"""What surrounds a run: torch's choice of algorithms, and the time of a step that forecasts use."""

from __future__ import annotations

import os

import pytest
import torch

from aioli.errors import InputError
from aioli.training import timing
from aioli.training.guards import WORKSPACE, deterministic
from aioli.training.settings import ModelSettings, TrainSettings

CUDA = torch.device("cuda")


def flags() -> tuple[bool, bool, bool, str | None]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        os.environ.get(WORKSPACE),
    )


@pytest.mark.parametrize("before", [None, ":0:0", ":16:8"])
def test_cuda_computes_with_deterministic_algorithms_inside_the_block_only(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv(WORKSPACE, raising=False)
    if before is not None:
        monkeypatch.setenv(WORKSPACE, before)
    outside = flags()
    with pytest.raises(KeyError), deterministic(CUDA):
        assert flags() == (True, False, False, ":16:8" if before == ":16:8" else ":4096:8")
        raise KeyError
    assert flags() == outside


def test_the_cpu_is_left_as_it_is() -> None:
    outside = flags()
    with deterministic(torch.device("cpu")):
        assert flags() == outside


def test_a_process_that_used_cuda_otherwise_before_is_told_what_to_do() -> None:
    advice = "set the environment variable CUBLAS_WORKSPACE_CONFIG=:4096:8"
    with pytest.raises(InputError, match=advice), deterministic(CUDA):
        raise RuntimeError(f"not deterministic: set {WORKSPACE} before")
    with pytest.raises(RuntimeError, match="other"), deterministic(CUDA):
        raise RuntimeError("other")


def test_a_step_is_timed_as_a_run_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.dtype, int, float]] = []

    class Spy(timing.Forward):
        def __call__(self, tokens):
            seen.append((self.dtype, torch.get_num_threads(), self.model.embedding.weight.abs().sum().item()))
            return super().__call__(tokens)

    monkeypatch.setattr(timing, "Forward", Spy)
    model = ModelSettings(layers=1, width=16, heads=2, context=8)
    train = TrainSettings(steps=5, batch=3, warmup=1, dtype="bfloat16", device="cpu", threads=2)
    before = torch.get_num_threads()
    assert 0 < timing.seconds_per_step(model, train, vocab_size=20) < 5
    assert torch.get_num_threads() == before
    assert [(dtype, threads) for dtype, threads, _ in seen] == [(torch.bfloat16, 2)] * timing.STEPS
    assert len({weights for *_, weights in seen}) == timing.STEPS


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_time_on_cuda_is_not_guessed_without_it() -> None:
    with pytest.raises(InputError, match="torch finds no CUDA device"):
        timing.seconds_per_step(ModelSettings(), TrainSettings(device="cuda"), 100)
