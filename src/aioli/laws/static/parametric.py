"""What the parametric laws share: from a table to fits side by side, and numbers to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.robust import Curve, Problems, best_starts, descend, lowest, solved
from aioli.protocol import Array, read_only
from aioli.table import Runs, Table

__all__ = ["Form", "fit_rows", "linear_start", "read_numbers", "refit_rows", "used_runs", "weight_rows"]

RIDGE = 1e-9
"""Strength of the pull towards zero in linearised starts, as a share of the mean curvature."""


class Form(Protocol):
    """A law as q numbers for each target."""

    @property
    def name(self) -> str: ...

    @property
    def huber(self) -> float | None:
        """Delta of the Huber loss in nats; None for least squares."""
        ...

    def parameters(self, m: int) -> int: ...

    def curve(self, runs: Runs) -> Curve:
        """The law on these runs, as a function of the numbers."""
        ...

    def bounds(self, table: Table, least: Array) -> tuple[Array, Array]:
        """[f, q] bounds of the numbers, from the smallest loss of each fit, least [f]; targets in turn."""
        ...

    def starts(self, table: Table, weights: Array) -> Array:
        """[n, s, q] numbers to start from, from linearised fits under weights [k]."""
        ...


def fit_rows(form: Form, table: Table, weights: Array | None, keep: int) -> Array:
    """[n, q] the law's numbers for all targets: the lowest of descents from the `keep` best starts of each.

    Raises:
        InputError: bad weights, or fewer runs with a weight than the law has numbers.
    """
    table, kept = used_runs(table, weights)
    needed = form.parameters(table.m)
    if len(table) < needed:
        raise InputError(
            f"the law {form.name} has {needed} numbers for each target with {table.m} groups, and there are "
            f"only {len(table)} runs: add runs, merge groups, or choose a law with fewer numbers"
        )
    problems = _problems(form, table, kept[None, :])
    chosen, starts = best_starts(problems, form.starts(table, kept), keep)
    return lowest(*descend(chosen, starts), table.n)[0]


def refit_rows(form: Form, table: Table, weights: Array, numbers: Array) -> Array:
    """[b, n, q] the numbers fitted anew under each row of weights [b, k], starting from numbers [n, q].

    Numbers of which the runs with a weight say nothing stay as they are.
    """
    rows = weight_rows(table, weights)
    theta = np.tile(numbers, (len(rows), 1))
    return descend(_problems(form, table, rows), theta)[0].reshape(len(rows), table.n, -1)


def _problems(form: Form, table: Table, rows: Array) -> Problems:
    """b x n fits, those of one row of weights [b, k] together."""
    losses = np.tile(table.losses.T, (len(rows), 1))
    weights = np.repeat(rows, table.n, axis=0)
    least = np.where(weights > 0, losses, np.inf).min(axis=1)
    delta = np.inf if form.huber is None else form.huber
    return Problems(form.curve(table), losses, weights, *form.bounds(table, least), delta)


def used_runs(table: Table, weights: Array | None) -> tuple[Table, Array]:
    """The runs that have a weight, with their weights [k]."""
    if weights is None:
        return table, np.ones(len(table))
    row = weight_rows(table, np.asarray(weights, dtype=np.float64)[None])[0]
    return table.rows(row > 0), row[row > 0]


def weight_rows(table: Table, weights: Array) -> Array:
    """Weights [b, k] of the runs, checked.

    Raises:
        InputError: another shape, negative or not finite, or a row of zeros.
    """
    rows = np.asarray(weights, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(table):
        raise InputError(f"weights need one number for each of {len(table)} runs, got shape {rows.shape}")
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(axis=1) <= 0).any():
        raise InputError("weights of runs must be finite, not negative and not all zero")
    return rows


def linear_start(design: Array, values: Array, weights: Array) -> Array:
    """[..., q] weighted least squares of values [..., k] on design [..., k, q]; 0 where not determined."""
    weighted: Array = (design * weights[..., None]).swapaxes(-1, -2)
    curvature = weighted @ design
    size = np.trace(curvature, axis1=-2, axis2=-1)[..., None, None] / design.shape[-1]
    ridge = (RIDGE * size + 1e-300) * np.eye(design.shape[-1])
    return solved(curvature + ridge, weighted @ values[..., None])[..., 0]


def read_numbers(law: str, plain: Mapping[str, Any], **shapes: int) -> list[Array]:
    """The arrays of these names and numbers of axes, with equal first axes and equal second axes.

    Raises:
        InputError: one that is missing, not finite, or of another shape.
    """
    found: list[Array] = []
    for name, axes in shapes.items():
        try:
            values = np.array(plain[name], dtype=np.float64)
        except (KeyError, TypeError, ValueError):
            raise InputError(f"a fitted {law} law needs numbers {name!r}, got {plain!r:.200}") from None
        if values.ndim != axes or not values.size or not np.isfinite(values).all():
            raise InputError(f"{name} of a fitted {law} law needs {axes} axes of finite numbers")
        found.append(read_only(values))
    wide = {values.shape for values in found if values.ndim == 2}
    if len({len(values) for values in found}) != 1 or len(wide) > 1:
        raise InputError(f"the numbers of a fitted {law} law must be of as many targets and groups each")
    return found
