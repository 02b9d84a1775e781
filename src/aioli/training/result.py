"""The result of a finished run: small, plain JSON, from the journal, the log and the test."""

from __future__ import annotations

import math
import platform
from typing import Any

import numpy as np
import torch

from aioli.data.shards import Corpus
from aioli.journal import Journal
from aioli.measure.evaluate import Losses, fixed_subset, sequence_losses
from aioli.mixer import replay
from aioli.protocol import Array, Method
from aioli.sweep.spec import RunSpec
from aioli.training.records import rounded

__all__ = ["CURVE_POINTS", "machine", "read_test", "told", "within"]

CURVE_POINTS = 50
PROPORTION_POINTS = 60
MATRIX_POINTS = 25
NUMBERS = {"curve": 600, "proportions": 700, "matrices": 1000}
"""Most numbers that each part of a result holds, beyond two points: many groups get fewer points."""


def within(part: str, points: int, size: int) -> int:
    """How many points of `size` numbers a part of the result may have, at most `points`."""
    return min(points, max(2, NUMBERS[part] // size))


def told(method: Method[Any], journal: Journal) -> dict[str, Any]:
    """What the method did, read from its journal: `proportions` of training segments, and `matrices`."""
    mixtures: list[tuple[int, Array, str]] = []
    matrices: list[tuple[int, Array]] = []
    for (request, seen), state in replay(method, journal):
        if request.phase == "train" and request.steps:
            mixtures.append((seen.step - request.steps, request.proportions, request.phase))
        matrix: Array = getattr(state, "matrix", np.array(np.nan))
        fresh = not (matrices and np.array_equal(matrix, matrices[-1][1]))
        if fresh and np.isfinite(matrix).all():
            matrices.append((seen.step, matrix))
    m, n = journal.problem.m, journal.problem.n
    mixtures = thinned(mixtures, within("proportions", PROPORTION_POINTS, m))
    matrices = thinned(matrices, within("matrices", MATRIX_POINTS, m * n))
    return {
        "proportions": {
            "step": [step for step, _, _ in mixtures],
            "values": [rounded(p) for _, p, _ in mixtures],
            "phase": [phase for _, _, phase in mixtures],
        },
        "matrices": [{"step": step, "values": [rounded(row, 4) for row in a]} for step, a in matrices],
    }


def thinned(items: list[Any], most: int) -> list[Any]:
    """At most `most` items, evenly spaced, the first and the last among them.

    >>> thinned(list(range(10)), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def read_test(spec: RunSpec, corpus: Corpus, losses: Losses) -> dict[str, list[Any]]:
    """Losses on fixed test sequences of every target, the same for all methods and seeds.

    Bits per byte = loss / ln 2 x tokens / bytes of the target's test split; None where bytes are unknown.
    """
    test: dict[str, list[Any]] = {"loss": [], "tokens": [], "bits_per_byte": []}
    for name in corpus.targets:
        rows = corpus.sequences(name, "test", spec.model.context + 1)
        tokens = fixed_subset(rows, spec.evaluation.test_sequences, 0, name)
        loss = float(sequence_losses(losses, tokens, spec.train.batch).mean())
        split = corpus.split(name, "test")
        test["loss"].append(loss)
        test["tokens"].append(len(tokens) * spec.model.context)
        test["bits_per_byte"].append(loss / math.log(2) * split.tokens / split.bytes if split.bytes else None)
    return test


def machine(device: torch.device) -> dict[str, Any]:
    """What the bits of a result depend on besides its RunSpec."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
