"""Run results sorted by method and seed, and checked: can they be compared at all?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aioli.analysis.extra import total_cost
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["METRICS", "Runs", "by_label", "check_comparable", "label_of", "target_values"]

METRICS = ("loss", "perplexity", "bits_per_byte")
LARGEST_LOSS = 300.0
"""Nats per token; a loss beyond it only says that training diverged, and its perplexity overflows sums."""
Result = Mapping[str, Any]


@dataclass
class Runs:
    """The runs of one label by seed: `finished` ones, and why the others count as failed."""

    label: str
    method: str
    parameters: dict[str, Any]
    finished: dict[int, Result] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def values(self, seeds: Sequence[int], metric: str) -> Array:
        """[seeds, n] values of a metric; [0, 0] without seeds."""
        if not seeds:
            return np.empty((0, 0))
        return np.array([target_values(self.finished[seed], metric) for seed in seeds])

    def costs(self, seeds: Sequence[int]) -> list[Mapping[str, Any]]:
        return [self.finished[seed].get("cost") or {} for seed in seeds]

    def totals(self, seeds: Sequence[int]) -> list[Mapping[str, Any]]:
        """The same with the extra runs of each."""
        return [total_cost(self.finished[seed]) for seed in seeds]

    def extra_runs(self) -> int:
        """How many other runs one run needed; the most of any seed."""
        found = [result.get("extra") or {} for result in self.finished.values()]
        return max((len(extra.get("runs", ())) for extra in found), default=0)


def target_values(result: Result, metric: str) -> Array:
    """[n] values of a metric on each target; NaN where the run has none.

    Perplexity is exp(loss in nats per token).
    """
    key = "loss" if metric == "perplexity" else metric
    given = result["test"].get(key) or [None] * len(result["targets"])
    values = np.array([math.nan if value is None else float(value) for value in given])
    with np.errstate(over="ignore"):
        return np.exp(values) if metric == "perplexity" else values


def check_comparable(results: Sequence[Result]) -> None:
    """Refuse to compare runs that differ in more than method, parameters and seed.

    Raises:
        InputError: no runs; other groups, targets, steps, model size, or numbers of test tokens.
    """
    if not results:
        raise InputError("expected at least one finished run to compare, got none")
    first = results[0]
    for result in results[1:]:
        for key in ("groups", "targets", "steps", "parameters_count"):
            if result.get(key) != first.get(key):
                raise InputError(
                    f"runs can only be compared on the same {key}: run {first['id']} has {first.get(key)}, "
                    f"run {result['id']} has {result.get(key)}; compare them separately"
                )
        if result["test"].get("tokens") != first["test"].get("tokens"):
            raise InputError(
                f"runs {first['id']} and {result['id']} were tested on different numbers of tokens: "
                f"{first['test'].get('tokens')} and {result['test'].get('tokens')}; use the same "
                "corpus and evaluation.test_sequences for both"
            )


def label_of(result: Result) -> str:
    """What a run is called: its label, or the method's name where it has none."""
    return str(result.get("label") or result["method"])


def by_label(results: Sequence[Result]) -> dict[str, Runs]:
    """Runs by label (the method's name where a run has no label), in order of first appearance.

    Raises:
        InputError: one label for two methods or two parameter sets, or one seed twice.
    """
    found: dict[str, Runs] = {}
    for result in results:
        label, seed = label_of(result), int(result["seed"])
        method, parameters = result["method"], dict(result.get("parameters") or {})
        runs = found.setdefault(label, Runs(label, method, parameters))
        if (runs.method, runs.parameters) != (method, parameters):
            raise InputError(
                f"two different methods are both labelled {label!r}: {runs.method} {runs.parameters} and "
                f"{method} {parameters}; give each a label of its own"
            )
        if seed in runs.finished or seed in runs.failed:
            raise InputError(f"method {label!r} has two runs of seed {seed}; keep one of them")
        problem = _unusable(result)
        if problem:
            runs.failed[seed] = problem
        else:
            runs.finished[seed] = result
    return found


def _unusable(result: Result) -> str:
    """Why a run's test losses cannot be compared; empty when they can."""
    losses = zip(result["targets"], target_values(result, "loss").tolist(), strict=True)
    bad = [f"{loss:g} on {target}" for target, loss in losses if not abs(loss) <= LARGEST_LOSS]
    return f"its test loss is not a usable number: {', '.join(bad)}; training diverged" if bad else ""
