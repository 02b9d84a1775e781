"""A run's proportions over its steps, as a few stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aioli.errors import InputError
from aioli.export.blend import Stage
from aioli.journal import Journal
from aioli.protocol import Array

__all__ = ["Merged", "merge", "schedule_of", "stretch"]


@dataclass(frozen=True, eq=False)
class Merged:
    """A schedule made shorter.

    Attributes:
        stages: at most as many as asked for. mean: [m] proportions over all steps; merging keeps them.
        mean_error, largest_error: share of the tokens of a step that are of another group than in the
            schedule (total variation), in the mean over the steps and at most.
    """

    stages: tuple[Stage, ...]
    mean: Array
    mean_error: float
    largest_error: float


def schedule_of(journal: Journal) -> tuple[tuple[str, ...], tuple[Stage, ...], int]:
    """Groups [m], stages and steps of a recorded run: a stage for each of its segments with steps.

    Probes are part of it: they were trained on. Groups that a change removed or added have 0 elsewhere.

    Raises:
        InputError: nothing was trained.
    """
    groups = journal.groups
    stages: list[Stage] = []
    done = 0
    for problem, record in journal.trained:
        if record.observation.step == done:
            continue
        shares = dict(zip(problem.groups, record.request.proportions.tolist(), strict=True))
        proportions = np.array([shares.get(group, 0.0) for group in groups])
        if not stages or not np.array_equal(stages[-1].proportions, proportions):
            stages.append(Stage(done, proportions))
        done = record.observation.step
    if not stages:
        raise InputError("the run's journal holds no trained steps")
    return groups, tuple(stages), done


def merge(stages: Sequence[Stage], steps: int, most: int) -> Merged:
    """At most `most` stages nearest to `stages` in the squared distance summed over the steps.

    The best split is found by dynamic programming over the S stages, O(S^2 (m + most)); a merged stage has
    the mean of its steps, so the mean over the run is kept.

    >>> found = merge([Stage(0, np.array([1.0, 0])), Stage(9, np.array([0.0, 1]))], 10, 1)
    >>> found.stages[0].proportions, found.mean_error
    (array([0.9, 0.1]), 0.18)

    Raises:
        InputError: fewer than one stage asked for.
    """
    if most < 1:
        raise InputError(f"a schedule needs at least one stage, got {most}")
    starts = np.array([stage.step for stage in stages])
    lengths = np.diff([*starts, steps]).astype(np.float64)
    values = np.array([stage.proportions for stage in stages])
    bounds = _best_bounds(lengths, values, min(most, len(stages)))
    means = [np.average(values[a:b], axis=0, weights=lengths[a:b]) for a, b in pairwise(bounds)]
    merged = tuple(Stage(int(starts[a]), mean) for a, mean in zip(bounds, means, strict=False))
    fitted = np.repeat(means, np.diff(bounds), axis=0)
    errors = np.abs(values - fitted).sum(axis=1) / 2
    mean_error = float(np.average(errors, weights=lengths))
    return Merged(merged, np.average(values, axis=0, weights=lengths), mean_error, float(errors.max()))


def _best_bounds(lengths: Array, values: Array, most: int) -> list[int]:
    """Places [K + 1] where the best K <= most parts of S stages begin and end, the fewest of equal cost."""
    count = len(lengths)
    weight = np.concatenate([[0.0], np.cumsum(lengths)])
    first = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(lengths[:, None] * values, axis=0)])
    second = np.concatenate([[0.0], np.cumsum(lengths * (values**2).sum(axis=1))])
    best = np.full((most + 1, count + 1), np.inf)
    origin = np.zeros((most + 1, count + 1), dtype=np.int64)
    best[0, 0] = 0.0
    for end in range(1, count + 1):
        spread = ((first[end] - first[:end]) ** 2).sum(axis=1) / (weight[end] - weight[:end])
        cost = np.maximum(second[end] - second[:end] - spread, 0.0)  # of one part from each place to `end`
        for parts in range(1, most + 1):
            total = best[parts - 1, :end] + cost
            origin[parts, end] = int(np.argmin(total))
            best[parts, end] = total[origin[parts, end]]
    parts = int(np.argmin(best[1:, count] > best[1:, count].min() + 1e-12)) + 1
    bounds = [count]
    for left in range(parts, 0, -1):
        bounds.append(int(origin[left, bounds[-1]]))
    return bounds[::-1]


def stretch(stages: Sequence[Stage], steps: int, wanted: int) -> tuple[Stage, ...]:
    """The stages of `steps` steps over `wanted` steps; those that would have none are left out.

    >>> [stage.step for stage in stretch([Stage(0, np.ones(1)), Stage(5, np.ones(1))], 10, 1000)]
    [0, 500]
    """
    found: dict[int, Stage] = {}
    for stage in stages:
        step = round(stage.step * wanted / steps)
        if step < wanted:
            found[step] = Stage(step, stage.proportions)
    return tuple(found.values())
