"""What a peek at each signal costs: `python -m benchmarks.signals [--quick]`; one thread.

For the demo's model (2 layers, width 64, context 64, vocabulary 1024, batch 16; three groups that are the
targets), a peek takes turns with a training step in one process, and the ratio of their medians is taken.
The tokens are random: times do not depend on them. The reference model is as large as the trained one.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from aioli.data.loader import Batch, Loader
from aioli.measure.base import Context, FrozenModel
from aioli.measure.meter import Meter
from aioli.protocol import Problem, Signal
from aioli.training.compute import Forward
from aioli.training.model import GPT
from aioli.training.optimiser import make_optimiser, update
from aioli.training.settings import ModelSettings, TrainSettings

SETTINGS, VOCABULARY, BATCH, ROWS = ModelSettings(2, 64, 4, 64), 1024, 16, 400
PEEKS: dict[str, frozenset[str]] = {
    "validation_loss": frozenset({Signal.VALIDATION_LOSS}),
    "reference_loss": frozenset({Signal.REFERENCE_LOSS}),
    "excess_loss": frozenset({Signal.EXCESS_LOSS}),
    "gradient_norm": frozenset({Signal.GRADIENT_NORM}),
    "gradient_alignment and gradient_norm": frozenset({Signal.GRADIENT_ALIGNMENT, Signal.GRADIENT_NORM}),
    "gradient_variance": frozenset({Signal.GRADIENT_VARIANCE}),
    "directional": frozenset({Signal.DIRECTIONAL}),
}


class Bench:
    """A model with its loader and meter, outside any run."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        shape = (ROWS, SETTINGS.context + 1)
        data = {
            split: {g: generator.integers(0, VOCABULARY, shape).astype(np.uint16) for g in "abc"}
            for split in ("train", "held_out")
        }
        self.problem = Problem(
            ("a", "b", "c"), (ROWS * SETTINGS.context,) * 3, 1000, BATCH * SETTINGS.context
        )
        self.model, frozen = (GPT(SETTINGS, VOCABULARY, seed) for seed in (0, 1))
        self.optimiser = make_optimiser(self.model, TrainSettings())
        self.loader = Loader(data["train"], BATCH, seed=0)
        cpu = torch.device("cpu")
        self.forward, reference = (Forward(m, VOCABULARY, cpu, torch.float32) for m in (self.model, frozen))
        self.context = Context(
            self.problem,
            self.forward,
            data["held_out"],
            batch=BATCH,
            model=self.model,
            optimiser=self.optimiser,
            upcoming=self.loader.upcoming,
            reference=lambda: FrozenModel(reference.token_losses),
        )

    def step(self) -> None:
        batch = next(iter(self.loader.segment(self.problem.uniform, 1)))
        self.forward(batch.tokens).mean().backward()
        update(self.model, self.optimiser, 1e-3, 1.0)

    def peek(self, meter: Meter, observe: frozenset[str]) -> None:
        def losses(batch: Batch) -> torch.Tensor:
            return self.forward.token_losses(batch.tokens)

        meter.begin(observe)
        meter.peek(lambda: self.loader.peek(self.problem.uniform), losses)
        meter.finish()


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 repeats instead of 60")
    repeats = 10 if parser.parse_args(arguments).quick else 60
    torch.set_num_threads(1)
    bench = Bench()
    for _ in range(5):
        bench.step()
    ratios = {}
    for name, observe in PEEKS.items():
        meter = Meter(observe, bench.context)
        peeks, steps = [], []
        for _ in range(repeats):
            steps.append(seconds(bench.step))
            peeks.append(seconds(lambda m=meter, o=observe: bench.peek(m, o)))
        ratios[name] = round(statistics.median(peeks) / statistics.median(steps), 2)
    report = {
        "benchmark": "signals",
        "peek_over_step": ratios,
        "step_ms": round(1e3 * statistics.median(steps), 2),
    }
    print(json.dumps(report))
    return report


def seconds(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
