"""A tiny GPT with its optimiser and data, as measures see a run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from aioli.data.loader import Loader
from aioli.measure.base import Context
from aioli.protocol import Problem
from aioli.training.compute import Forward
from aioli.training.model import GPT
from aioli.training.optimiser import make_optimiser, update
from aioli.training.settings import ModelSettings, TrainSettings

VOCAB, LENGTH = 24, 9


def text(seed: int, rows: int) -> np.ndarray:
    """Every group has its own few frequent tokens."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCAB, size=(rows, LENGTH))
    frequent = rng.integers(0, VOCAB, size=3)
    tokens = np.where(rng.random(tokens.shape) < 0.6, rng.choice(frequent, tokens.shape), tokens)
    return tokens.astype(np.uint16)


@dataclass
class TinyRun:
    context: Context
    model: GPT
    loader: Loader
    optimiser: torch.optim.Optimizer

    def train(self, steps: int) -> None:
        for batch in self.loader.segment(self.context.problem.uniform, steps):
            self.context.losses(batch.tokens).mean().backward()
            update(self.model, self.optimiser, 1e-2, 1.0)

    def gradient(self, tokens: np.ndarray) -> np.ndarray:
        """Of the mean loss, flat, on a copy of the model."""
        model = copy.deepcopy(self.model)
        model(torch.from_numpy(tokens.astype(np.int64))).mean().backward()
        return np.concatenate([w.grad.flatten().double().numpy() for w in model.parameters()])

    def bits(self) -> list[Any]:
        """Everything that measuring must leave as it is."""
        weights = [w.detach().clone() for w in self.model.parameters()]
        return [weights, [w.data_ptr() for w in self.model.parameters()], torch.get_rng_state()]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_run() -> Callable[..., TinyRun]:
    def make(
        rows: tuple[int, ...] = (50, 40, 30),
        targets: int = 2,
        dtype: torch.dtype = torch.float64,
        **fields: Any,
    ) -> TinyRun:
        groups = tuple(f"group{j}" for j in range(len(rows)))
        names = tuple(f"target{i}" for i in range(targets))
        weights = tuple(range(1, targets + 1))
        problem = Problem(groups, tuple(8 * n for n in rows), 100, 64, names, target_weights=weights, seed=5)
        model = GPT(ModelSettings(layers=2, width=16, heads=2, context=8), VOCAB, seed=0).to(dtype)
        sequences = {name: text(j, count) for j, (name, count) in enumerate(zip(groups, rows, strict=True))}
        loader = Loader(sequences, 12, seed=0)
        optimiser = make_optimiser(model, TrainSettings())
        context = Context(
            problem,
            Forward(model, VOCAB, torch.device("cpu"), torch.float32),
            {name: text(100 + i, 11 + i) for i, name in enumerate(names)},
            batch=12,
            model=model,
            optimiser=optimiser,
            upcoming=loader.upcoming,
        )
        return TinyRun(replace(context, **fields), model, loader, optimiser)

    return make
