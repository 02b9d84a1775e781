"""What the plots draw, taken from results: curves over seeds, and the groups that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.protocol import Array

__all__ = [
    "MANY",
    "Selection",
    "Series",
    "curves",
    "gather",
    "matrices",
    "over_seeds",
    "proportions",
    "select",
]

MANY = 12
Results = Mapping[str, Any]
Summary = Mapping[str, Any]


class Series(NamedTuple):
    """Values of one method over time: mean, low and high over seeds [k, ...] at steps [k]."""

    steps: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array
    seeds: tuple[int, ...]


class Selection(NamedTuple):
    """At most MANY rows of a plot: the chosen positions, and the rest that share one row."""

    shown: tuple[int, ...]
    rest: tuple[int, ...]

    def names(self, names: Sequence[str]) -> list[str]:
        """Names of the shown, and of the rest as one, such as "19 others, mean"."""
        rest = [f"{len(self.rest)} others, mean"] if self.rest else []
        return [names[position] for position in self.shown] + rest


def select(movement: Array) -> Selection:
    """All positions when they fit; otherwise those of largest `movement`, in their own order."""
    if len(movement) <= MANY:
        return Selection(tuple(range(len(movement))), ())
    order = np.argsort(-np.nan_to_num(movement), kind="stable")
    shown = tuple(sorted(int(position) for position in order[: MANY - 1]))
    return Selection(shown, tuple(p for p in range(len(movement)) if p not in shown))


def gather(values: Array, selection: Selection, axis: int = -1) -> Array:
    """The shown entries along an axis, and the mean of the rest as one more."""
    shown = np.take(values, selection.shown, axis=axis)
    if not selection.rest:
        return shown
    rest = _mean(np.take(values, selection.rest, axis=axis), axis, keepdims=True)
    return np.concatenate([shown, rest], axis=axis)


def proportions(results: Results, method: Summary) -> Series | None:
    """Training proportions [k, m] of a method, continued to the last step; None without any."""
    parts = [
        (run["seed"], run["proportions"]["step"], run["proportions"]["values"])
        for run in _runs(results, method)
        if (run.get("proportions") or {}).get("step")
    ]
    series = _over_seeds(parts)
    if series is None or series.steps[-1] >= results["steps"]:
        return series
    mean, low, high = (np.concatenate([values, values[-1:]]) for values in series[1:4])
    return Series(np.append(series.steps, results["steps"]), mean, low, high, series.seeds)


def curves(results: Results, method: Summary) -> Series | None:
    """Training losses [k, m] of a method in nats per token (NaN: not drawn); None without any."""
    parts = [
        (run["seed"], run["curve"]["step"], run["curve"]["train_loss"])
        for run in _runs(results, method)
        if (run.get("curve") or {}).get("step")
    ]
    return _over_seeds(parts)


def matrices(results: Results, method: Summary) -> Series | None:
    """Matrices [k, n, m] of a method; None for a method that estimates none."""
    parts = []
    for run in _runs(results, method):
        kept = [entry for entry in run.get("matrices") or [] if entry["values"] is not None]
        if kept:
            parts.append((run["seed"], [e["step"] for e in kept], [e["values"] for e in kept]))
    return _over_seeds(parts)


def _runs(results: Results, method: Summary) -> list[Mapping[str, Any]]:
    return [results["runs"][name] for name in method["runs"]]


def _over_seeds(parts: Sequence[tuple[int, list[int], list[Any]]]) -> Series | None:
    """Mean and range over the seeds that share the first one's steps (with one seed: itself)."""
    if not parts:
        return None
    steps = parts[0][1]
    same = [(seed, _floats(values)) for seed, at, values in parts if at == steps]
    stack = np.stack([values for _, values in same])
    low = np.where(np.isnan(stack), np.inf, stack).min(axis=0)
    high = np.where(np.isnan(stack), -np.inf, stack).max(axis=0)
    empty = np.isnan(stack).all(axis=0)
    low[empty], high[empty] = np.nan, np.nan
    return Series(np.asarray(steps), _mean(stack, 0), low, high, tuple(seed for seed, _ in same))


def _floats(values: list[Any]) -> Array:
    """Nested lists to an array; null becomes NaN."""
    return np.asarray(values, dtype=np.float64)


def _mean(values: Array, axis: int, keepdims: bool = False) -> Array:
    """Mean of the numbers along an axis; NaN where there is none."""
    present = ~np.isnan(values)
    number = present.sum(axis=axis, keepdims=keepdims)
    total = np.where(present, values, 0.0).sum(axis=axis, keepdims=keepdims)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def over_seeds(series: Series) -> str:
    """Which seeds a series stands for, in words."""
    if len(series.seeds) == 1:
        return f"seed {series.seeds[0]}"
    return f"mean over {len(series.seeds)} seeds"
