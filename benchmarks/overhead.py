"""What mixing costs: `python -m benchmarks.overhead [--quick]`; one thread, one process.

1. A stratified run through our mixer, meter, loader, journal, log and checkpoint against the same model
   trained by a bare loop on batches drawn beforehand. The two take turns of a few steps in one process;
   the ratio of their times is taken over a whole run, and the median over several runs. Both must end
   with the same weights.
2. Where the time of an aioli and of a matched run goes.
3. Tokens per second of our loader beside a bare `np.take` of the same numbers of rows from the same maps.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.demo_corpus import demo_corpus

from aioli.data.loader import Loader
from aioli.data.shards import Corpus
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.checkpoint import weights_sha256
from aioli.training.model import GPT
from aioli.training.optimiser import learning_rate, make_optimiser, update
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

SHARES = np.array([0.5, 0.2, 0.1, 0.07, 0.05, 0.05, 0.03])
BATCH = 32
BLOCK = 5
"""Steps that each loop makes before it is the other's turn."""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="short runs, 3 repeats, small maps")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    steps, repeats = (60, 3) if given.quick else (200, given.repeats)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        corpus = demo_corpus(work)
        report = {
            "benchmark": "overhead",
            "stratified": stratified(corpus, work, steps, repeats),
            "aioli": split(make_spec("aioli", corpus, 3 * steps), corpus, work),
            "matched": split(make_spec("matched", corpus, 3 * steps), corpus, work),
            "drawing": [
                drawing(work, length, 2**20 if given.quick else 2**24, repeats) for length in (512, 1024)
            ],
        }
    print(json.dumps(report))
    return report


def make_spec(method: str, corpus: Corpus, steps: int) -> RunSpec:
    """The size of the demo; its smaller batches would make overhead look larger, a GPU's smaller."""
    return RunSpec(
        method=method,
        data=corpus.fingerprint,
        parameters={"objective": "mean_perplexity"} if method == "matched" else {},
        model=ModelSettings(2, 64, 4, 64),
        train=TrainSettings(steps=steps, batch=BATCH, warmup=steps // 10, learning_rate=4e-3),
        evaluation=EvaluationSettings(test_sequences=20),
    )


class Bare:
    """The same steps on batches drawn beforehand, with nothing around them; timed block by block."""

    def __init__(self, spec: RunSpec, corpus: Corpus) -> None:
        length = spec.model.context + 1
        maps = {name: corpus.sequences(name, "train", length) for name in corpus.groups}
        uniform = np.full(len(maps), 1 / len(maps))
        drawn = Loader(maps, BATCH, seed=spec.seed).segment(uniform, spec.train.steps)
        self.batches = [torch.from_numpy(batch.tokens.astype(np.int64)) for batch in drawn]
        self.settings, self.step, self.seconds = spec.train, 0, 0.0
        self.model = GPT(spec.model, corpus.vocab_size, spec.seed)
        self.optimiser = make_optimiser(self.model, spec.train)

    def after(self, state: dict[str, Any]) -> None:
        """Our loop calls this after each of its steps; every `BLOCK` of them, make as many."""
        if state["step"] % BLOCK and state["step"] < state["steps"]:
            return
        start = time.perf_counter()
        for step in range(self.step, state["step"]):
            self.model(self.batches[step]).mean().backward()
            update(self.model, self.optimiser, learning_rate(self.settings, step), self.settings.clip)
        self.step = state["step"]
        self.seconds += time.perf_counter() - start


def stratified(corpus: Corpus, work: Path, steps: int, repeats: int) -> dict[str, Any]:
    """Ours over bare. The two take turns of a few steps, so that both meet the same machine."""
    spec = make_spec("stratified", corpus, steps)
    loop.PROGRESS_SECONDS = 0.0  # call back after every step
    ratios, outside, step_seconds = [], [], []
    for repeat in range(repeats):
        bare = Bare(spec, corpus)
        result = loop.run_spec(spec, corpus, work / f"stratified{repeat}", on_progress=bare.after)
        if result["weights_sha256"] != weights_sha256(bare.model):
            raise RuntimeError("our loop and the bare one ended with other weights")
        cost = result["cost"]
        ours = cost["seconds"] - bare.seconds
        ratios.append(ours / bare.seconds)
        outside.append((cost["split"]["drawing"] + cost["split"]["mixing"] + cost["split"]["writing"]) / ours)
        step_seconds.append(bare.seconds / steps)
    return {
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "drawing_mixing_writing": round(statistics.median(outside), 4),
        "steps": steps,
        "bare_step_milliseconds": round(1000 * statistics.median(step_seconds), 2),
        "identical_weights": True,
    }


def split(spec: RunSpec, corpus: Corpus, work: Path) -> dict[str, Any]:
    """Shares of a run's seconds."""
    cost = loop.run_spec(spec, corpus, work / spec.method)["cost"]
    return {
        "seconds": round(cost["seconds"], 2),
        "shares": {name: round(value / cost["seconds"], 4) for name, value in cost["split"].items()},
        "evaluation_tokens_by_train_tokens": round(cost["evaluation_tokens"] / cost["train_tokens"], 3),
        "probe_steps": cost["probe_steps"],
        "steps": spec.train.steps,
    }


def drawing(work: Path, length: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Million tokens per second, alternating; `tokens` in each group's map."""
    maps = {}
    for number in range(len(SHARES)):
        path = work / f"map{number}.bin"
        if not path.exists():
            np.random.default_rng(number).integers(0, 50_000, tokens, dtype=np.uint16).tofile(path)
        rows = tokens // length
        maps[f"group{number}"] = np.memmap(path, np.uint16, "r")[: rows * length].reshape(rows, length)
    steps = 400
    ours, bare = [], []
    for repeat in range(repeats + 1):
        loader = Loader(maps, BATCH, seed=repeat)
        plan = bare_plan(maps, steps, repeat)
        ours.append(rate(lambda loader=loader: list_nothing(loader.segment(SHARES, steps)), steps, length))
        bare.append(rate(lambda plan=plan: bare_gather(maps, plan, length), steps, length))
    ratios = [a / b for a, b in zip(ours[1:], bare[1:], strict=True)]
    return {
        "length": length,
        "loader": round(statistics.median(ours[1:]), 1),
        "take": round(statistics.median(bare[1:]), 1),
        "ratio": round(statistics.median(ratios), 3),
        "unit": "million tokens per second",
    }


def bare_plan(
    maps: dict[str, np.ndarray], steps: int, seed: int
) -> list[list[tuple[int, int, int, np.ndarray]]]:
    """For each step (group, first place, last place, rows): as our loader would draw, made beforehand."""
    rng = np.random.default_rng(seed)
    loader = Loader(maps, BATCH, seed=seed)
    plan = []
    for batch in loader.segment(SHARES, steps):
        ends = np.cumsum(batch.drawn).astype(int)
        parts = [(g, int(ends[g] - n), int(ends[g])) for g, n in enumerate(batch.drawn.astype(int)) if n]
        plan.append([(g, a, b, rng.integers(0, len(maps[f"group{g}"]), b - a)) for g, a, b in parts])
    return plan


def bare_gather(
    maps: dict[str, np.ndarray], plan: list[list[tuple[int, int, int, np.ndarray]]], length: int
) -> None:
    """What any mixing loader must do at least: gather each batch's rows into a fresh array."""
    arrays = [np.asarray(rows) for rows in maps.values()]
    for parts in plan:
        tokens = np.empty((BATCH, length), np.uint16)
        for group, first, last, rows in parts:
            arrays[group].take(rows, 0, tokens[first:last], "clip")


def list_nothing(items: Any) -> None:
    for _ in items:
        pass


def rate(run: Callable[[], None], steps: int, length: int) -> float:
    start = time.perf_counter()
    run()
    return steps * BATCH * (length - 1) / (time.perf_counter() - start) / 1e6


if __name__ == "__main__":
    main()
