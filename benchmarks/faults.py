"""Kill a training run with signal 9 at random moments and resume it: `python -m benchmarks.faults`.

Every attempt is a process of its own that is killed after a random share of the time that the
uninterrupted run takes, wherever it is then: starting, training, measuring, writing a checkpoint. When a
run finishes before all kills are spent, another one begins. Each finished run must have the weights and
all numbers (times aside) of the uninterrupted one. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from benchmarks.demo_corpus import demo_corpus

from aioli.data.shards import Corpus
from aioli.sweep.spec import RunSpec
from aioli.training.loop import run_spec
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

METHODS: dict[str, dict[str, Any]] = {"aioli": {}, "matched": {"objective": "mean_perplexity"}}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each method's run")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--quick", action="store_true", help="one method, a smaller model, 6 kills")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # load what torch loads late, once for all processes
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as work:
        corpus = demo_corpus(Path(work))
        methods = ["aioli"] if given.quick else list(METHODS)
        studies = {}
        for method in methods:
            spec = make_spec(method, corpus, given.quick)
            directory = Path(work) / method
            studies[method] = study(spec, corpus, directory, 6 if given.quick else given.kills, rng)
    report = {"benchmark": "faults", "identical": all(s["identical"] for s in studies.values()), **studies}
    print(json.dumps(report))
    return report


def make_spec(method: str, corpus: Corpus, quick: bool) -> RunSpec:
    return RunSpec(
        method=method,
        data=corpus.fingerprint,
        parameters=METHODS[method],
        model=ModelSettings(1, 32, 2, 32) if quick else ModelSettings(2, 64, 4, 64),
        train=TrainSettings(steps=300, batch=16, warmup=30, learning_rate=4e-3, checkpoint_every=5),
        evaluation=EvaluationSettings(test_sequences=50),
    )


def study(spec: RunSpec, corpus: Corpus, directory: Path, kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill runs of one spec until all kills are spent, and compare what finishes."""
    start = time.perf_counter()
    finish(attempt(spec, corpus, directory / "whole"))
    seconds = time.perf_counter() - start
    expected = numbers(directory / "whole")
    steps, unfinished_files, results, resumes = [], 0, [], 0
    while len(steps) < kills or not results:
        out = directory / f"killed{len(results)}"
        while not (out / "result.json").exists():
            process = attempt(spec, corpus, out)
            if len(steps) < kills:
                process.join(rng.uniform(0, 0.3) * seconds)
                process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                steps.append(last_step(out))
                unfinished_files += len(list(out.glob(".checkpoint.pt.*")))
            else:
                finish(process)
            resumes += 1
        results.append(numbers(out))
        print(f"{spec.method}: run {len(results)} finished after {len(steps)} kills in all", flush=True)
    return {
        "identical": all(result == expected for result in results),
        "weights_sha256": expected["weights_sha256"],
        "kills": len(steps),
        "killed_after_step": steps,
        "killed_while_writing_a_checkpoint": unfinished_files,
        "runs_finished": len(results),
        "processes": resumes,
        "uninterrupted_seconds": round(seconds, 2),
        "steps": spec.train.steps,
    }


def attempt(spec: RunSpec, corpus: Corpus, directory: Path) -> BaseProcess:
    """Start a process that trains or continues the run; it forks, so that torch need not load again."""
    process = multiprocessing.get_context("fork").Process(
        target=run_spec, args=(spec, corpus, directory), kwargs={"resume": True}
    )
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the training process failed with exit code {process.exitcode}")


def numbers(directory: Path) -> dict[str, Any]:
    """A run's result without its times."""
    result = json.loads((directory / "result.json").read_text())
    for name in ("seconds", "joules", "split"):
        del result["cost"][name]
    return result


def last_step(directory: Path) -> int:
    """The step of the last complete line of metrics.jsonl."""
    path = directory / "metrics.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


if __name__ == "__main__":
    main()
