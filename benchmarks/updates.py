"""Time of a method's own arithmetic: `python -m benchmarks.updates [--quick]`; one thread.

Every method of the registry drives a closed-form run of 7, 100 and 1000 groups, measured exactly at no
cost, and its `request` and `update` are timed apart. Their sum over the run, divided by the run's steps, is
compared with a training step of the demo's model on one core, timed in the same process. What a method
measures (evaluation passes, gradients) is not in it: `benchmarks.overhead` times a whole run.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any

import numpy as np
import torch

from aioli.errors import InputError, MixingWarning
from aioli.methods import registry
from aioli.mixer import Mixer
from aioli.testing.conformance import make_world
from aioli.testing.worlds import World
from aioli.training.model import GPT
from aioli.training.optimiser import make_optimiser, update
from aioli.training.settings import ModelSettings, TrainSettings

SIZES = (7, 100, 1000)
STEPS = 1500
BATCH = 16
AIM = 0.01
"""Most of a training step that a method's arithmetic may take up to 100 groups."""


class Timed:
    """A method whose `request` and `update` are timed."""

    def __init__(self, method: Any) -> None:
        self.method, self.request_seconds, self.update_seconds = method, [], []
        self.needs = method.needs

    def init(self, problem: Any) -> Any:
        return self.method.init(problem)

    def request(self, problem: Any, state: Any) -> Any:
        start = time.perf_counter()
        asked = self.method.request(problem, state)
        self.request_seconds.append(time.perf_counter() - start)
        return asked

    def update(self, problem: Any, state: Any, seen: Any) -> Any:
        start = time.perf_counter()
        state = self.method.update(problem, state, seen)
        self.update_seconds.append(time.perf_counter() - start)
        return state


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="7 and 100 groups, 300 steps")
    parser.add_argument("--methods", nargs="*", default=None, help="these only")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sizes, steps = (SIZES[:2], 300) if given.quick else (SIZES, STEPS)
    step_seconds = training_step()
    rows = []
    for name in given.methods or registry.names():
        for groups in sizes:
            row = {"method": name, "groups": groups} | measured(name, groups, steps, step_seconds)
            rows.append(row)
            print(json.dumps(row), flush=True)
    over = [f"{r['method']} ({r['groups']})" for r in rows if r.get("share", 0) > AIM and r["groups"] <= 100]
    report = {
        "benchmark": "updates",
        "training_step_ms": round(1e3 * step_seconds, 3),
        "steps": steps,
        "over_aim_up_to_100_groups": over,
        "methods": rows,
    }
    print(json.dumps(report))
    return report


def training_step() -> float:
    """Median seconds of a step of the demo's model on one core."""
    settings = TrainSettings(steps=100, batch=BATCH, warmup=10)
    model = GPT(ModelSettings(2, 64, 4, 64), 1024, seed=0)
    optimiser = make_optimiser(model, settings)
    tokens = torch.randint(0, 1024, (BATCH, 65), generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(40):
        start = time.perf_counter()
        model(tokens).mean().backward()
        update(model, optimiser, 1e-3, 1.0)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[10:])


def measured(name: str, groups: int, steps: int, step_seconds: float) -> dict[str, Any]:
    """Microseconds of a call, and the share of the run's training time that all calls take.

    A method that refuses the run because it is too short for so many groups gets one ten times as long.
    """
    world = make_world(groups=groups, steps=steps)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MixingWarning)
            timed = Timed(registry.example(name, world.problem))
            drive(Mixer(timed, world.problem), world)
    except InputError as error:
        longer = {} if steps > STEPS else measured(name, groups, 10 * STEPS, step_seconds)
        return {"refused": str(error)} | longer
    total = sum(timed.request_seconds) + sum(timed.update_seconds)
    return {
        "steps": steps,
        "request_us": round(1e6 * statistics.fmean(timed.request_seconds), 1),
        "update_us": round(1e6 * statistics.fmean(timed.update_seconds), 1),
        "updates": len(timed.update_seconds),
        "share": round(total / (steps * step_seconds), 5),
    }


def drive(mixer: Mixer, world: World) -> None:
    """The run, with whole segments drawn at once: only the method's own time counts."""
    while not mixer.done:
        request = mixer.request
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions, request.loss_weights))
        values = world.measure(request.observe, mixer.segment_drawn, request.proportions)
        mixer.tell(values, world.learning_rate)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
