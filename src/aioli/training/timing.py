"""How long a step takes on this machine, measured on a few steps of the real model."""

from __future__ import annotations

import time

import numpy as np

from aioli.training.compute import Forward, choose_device, choose_dtype
from aioli.training.guards import deterministic, torch_threads
from aioli.training.model import GPT
from aioli.training.optimiser import make_optimiser, update
from aioli.training.settings import ModelSettings, TrainSettings

__all__ = ["seconds_per_step"]

STEPS = 5
ENOUGH_SECONDS = 5.0
"""After so long no further step is begun; one step is enough."""


def seconds_per_step(model: ModelSettings, train: TrainSettings, vocab_size: int) -> float:
    """Median seconds of one optimiser step on random tokens, with a run's device, precision and threads.

    Raises:
        InputError: CUDA asked for where there is none.
    """
    device = choose_device(train)
    with torch_threads(train.threads), deterministic(device):
        network = GPT(model, vocab_size, seed=0).to(device)
        forward = Forward(network, vocab_size, device, choose_dtype(train, device))
        optimiser = make_optimiser(network, train)
        tokens = np.random.default_rng(0).integers(vocab_size, size=(train.batch, model.context + 1))
        seconds = []
        for _ in range(STEPS):
            start = time.perf_counter()
            forward(tokens).mean().backward()
            update(network, optimiser, train.learning_rate, train.clip)
            forward.synchronise()
            seconds.append(time.perf_counter() - start)
            if sum(seconds) >= ENOUGH_SECONDS:
                break
    return sorted(seconds)[len(seconds) // 2]
