"""Step and size laws: each run's losses carried to a scale at which it was not trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.table import Table

__all__ = ["Extrapolation", "extrapolate", "extrapolate_size", "extrapolate_tokens"]

LEAST_POINTS = 3
EXPONENTS = np.geomspace(0.02, 3.0, 60)
"""Where exponents are looked for; the best is refined between its neighbours."""
HUBER = {"tokens": 0.05, "size": 0.08}
REWEIGHTINGS = 20
REFINEMENTS = 40
GOLDEN = (np.sqrt(5) - 1) / 2


class Extrapolation(NamedTuple):
    """Losses carried to another scale.

    table: the runs at that scale. exponents: [k] of the scale, equal where they are tied.
    error: mean absolute residual of the fitted points, in nats.
    """

    table: Table
    exponents: Array
    error: float


def extrapolate(table: Table, *, tokens: float | None = None, size: float | None = None) -> Extrapolation:
    """The step law to `tokens` at every size, then the size law to `size`; either may be left out.

    Raises:
        InputError: neither scale is given, or see `extrapolate_tokens` and `extrapolate_size`.
    """
    if tokens is None and size is None:
        raise InputError("extrapolation needs the tokens or the size to extrapolate to")
    found = Extrapolation(table, np.array([]), 0.0)
    if tokens is not None:
        found = extrapolate_tokens(table, tokens)
    return found if size is None else extrapolate_size(found.table, size)


def extrapolate_tokens(table: Table, tokens: float) -> Extrapolation:
    """L = E + B / S^beta for each run and target at S trained tokens; beta tied over the targets of a run.

    E, B >= 0, Huber 0.05, see `extrapolate_size`. A run is a name at a size.

    Raises:
        InputError: no token counts, a run with fewer than 3 of them, or tokens that are not positive.

    References:
        arXiv 2403.16952, section on nested scaling laws.
    """
    return _extrapolated(table, "tokens", tokens)


def extrapolate_size(table: Table, size: float) -> Extrapolation:
    """L = E + A / N^alpha for each run and target at N parameters; one alpha for the whole table.

    E, A >= 0, summed Huber losses (0.08 nats). For a given exponent the law is linear in its other two
    numbers: these are found by reweighted least squares, the exponent by a search over 60 values from 0.02
    to 3 and golden sections.

    Raises:
        InputError: no sizes, a run with fewer than 3 of them, or a size that is not positive.

    References:
        arXiv 2403.16952, section on nested scaling laws.
    Departures:
        The release minimises from random starts by L-BFGS; here only the exponent is searched.
    """
    return _extrapolated(table, "size", size)


def _extrapolated(table: Table, what: Literal["tokens", "size"], to: float) -> Extrapolation:
    scale = getattr(table, what)
    if scale is None:
        raise InputError(f"the table records no {what}: a law of {what} needs them for every run")
    if not (np.isfinite(to) and to > 0):
        raise InputError(f"{what} to extrapolate to must be positive, got {to}")
    runs = _runs(table, what)
    units = scale / np.exp(np.log(scale).mean())
    target = to / np.exp(np.log(scale).mean())
    tied = [np.concatenate(runs)] if what == "size" else runs
    exponents, losses, errors = np.empty(len(runs)), np.empty((len(runs), table.n)), []
    start = 0
    for group in tied:
        members = runs if what == "size" else [group]
        exponent = _best_exponent(members, units, table.losses, HUBER[what])
        rows = slice(start, start + len(members))
        start += len(members)
        floors, factors, residuals = _curves(members, units, table.losses, exponent, HUBER[what])
        exponents[rows] = exponent
        losses[rows] = floors + factors * target**-exponent
        errors.append(np.abs(residuals).sum())
    first = np.array([rows[0] for rows in runs])
    carried = replace(table.rows(first), losses=losses, **{what: np.full(len(runs), float(to))})
    return Extrapolation(carried, exponents, float(sum(errors) / table.losses.size))


def _runs(table: Table, what: Literal["tokens", "size"]) -> list[NDArray[np.int64]]:
    """Rows of each run in the order of the table: those of one name and one value of the other scale."""
    other = table.size if what == "tokens" else table.tokens
    found: dict[tuple[str, float], list[int]] = {}
    for row, name in enumerate(table.names):
        found.setdefault((name, 0.0 if other is None else float(other[row])), []).append(row)
    for (name, _), rows in found.items():
        if len(rows) < LEAST_POINTS:
            raise InputError(
                f"run {name} has {len(rows)} values of {what}, and a law of {what} needs {LEAST_POINTS}"
            )
        if np.ptp(table.mixtures[rows], axis=0).max() > 1e-6:
            raise InputError(f"run {name} has different mixtures at different {what}")
    return [np.array(rows, dtype=np.int64) for rows in found.values()]


def _best_exponent(runs: list[NDArray[np.int64]], units: Array, losses: Array, delta: float) -> float:
    def cost(exponent: float) -> float:
        size = np.abs(_curves(runs, units, losses, exponent, delta)[2])
        near = np.minimum(size, delta)
        return float((near * (size - 0.5 * near)).sum())

    costs = [cost(one) for one in EXPONENTS]
    best = int(np.argmin(costs))
    low, high = EXPONENTS[max(best - 1, 0)], EXPONENTS[min(best + 1, len(EXPONENTS) - 1)]
    for _ in range(REFINEMENTS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if cost(left) <= cost(right):
            high = right
        else:
            low = left
    return float((low + high) / 2)


def _curves(
    runs: list[NDArray[np.int64]], units: Array, losses: Array, exponent: float, delta: float
) -> tuple[Array, Array, Array]:
    """Floors and factors [r, n] of all runs, and all residuals [points, n], for one exponent."""
    floors, factors, residuals = [], [], []
    for length in {len(rows) for rows in runs}:
        which = [one for one, rows in enumerate(runs) if len(rows) == length]
        rows = np.stack([runs[one] for one in which])
        floor, factor, residual = _lines(units[rows] ** -exponent, losses[rows], delta)
        floors.append((which, floor))
        factors.append((which, factor))
        residuals.append(residual.reshape(-1, losses.shape[1]))
    return _in_order(floors, len(runs)), _in_order(factors, len(runs)), np.concatenate(residuals)


def _in_order(parts: list[tuple[list[int], Array]], count: int) -> Array:
    found = np.empty((count, parts[0][1].shape[1]))
    for which, values in parts:
        found[which] = values
    return found


def _lines(x: Array, y: Array, delta: float) -> tuple[Array, Array, Array]:
    """y = a + b x with a, b >= 0 by Huber loss: x [r, p], y [r, p, n]; a and b [r, n], residuals as y."""
    x = x[:, :, None]
    floor, slope = _line(x, y, np.ones_like(y))
    for _ in range(REWEIGHTINGS):
        size = np.abs(y - floor[:, None] - slope[:, None] * x)
        if size.max() <= delta:
            break
        floor, slope = _line(x, y, np.minimum(1, delta / np.maximum(size, 1e-30)))
    return floor, slope, y - floor[:, None] - slope[:, None] * x


def _line(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted least squares of y = a + b x under a, b >= 0: a and b [r, n]."""
    total = weights.sum(axis=1)
    centre_x, centre_y = (weights * x).sum(axis=1) / total, (weights * y).sum(axis=1) / total
    away = x - centre_x[:, None]
    slope = np.maximum((weights * away * y).sum(axis=1) / (weights * away**2).sum(axis=1), 0)
    floor = centre_y - slope * centre_x
    through_zero = (weights * x * y).sum(axis=1) / (weights * x**2).sum(axis=1)
    return np.maximum(floor, 0), np.where(floor < 0, through_zero, slope)
