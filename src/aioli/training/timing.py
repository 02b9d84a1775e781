"""How long a step takes on this machine, measured on a few steps of the real model."""

from __future__ import annotations

import time

import torch

from aioli.training.model import GPT
from aioli.training.settings import ModelSettings, TrainSettings

__all__ = ["seconds_per_step"]

STEPS = 5


def seconds_per_step(model: ModelSettings, train: TrainSettings, vocab_size: int) -> float:
    """Median seconds of one optimiser step on random tokens, with the threads and device of a run."""
    before = torch.get_num_threads()
    torch.set_num_threads(train.threads)
    try:
        return _measure(model, train, vocab_size)
    finally:
        torch.set_num_threads(before)


def _measure(model: ModelSettings, train: TrainSettings, vocab_size: int) -> float:
    gpu = train.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    network = GPT(model, vocab_size, seed=0).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    tokens = torch.randint(vocab_size, (train.batch, model.context + 1), device=device)
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=gpu and train.dtype != "float32"):
            loss = network(tokens).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), train.clip)
        optimiser.step()
        optimiser.zero_grad()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[len(seconds) // 2]
