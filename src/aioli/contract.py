"""Both sides held to the contract of `aioli.protocol`: parts that are parts, requests and values that fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aioli.errors import InputError
from aioli.protocol import Array, Problem, Request, read_only
from aioli.signals import find_signal, signal_names, signal_shape

__all__ = ["as_numbers", "check_part", "check_request", "check_values"]

EXAMPLES = {
    "method": "aioli.zoo.aioli(eta=0.2)",
    "law": "aioli.laws.Linear()",
    "estimator": "aioli.estimators.Probes()",
    "solver": "aioli.solvers.ExponentiatedGradient(eta=0.2)",
}


def check_part(kind: type, value: Any) -> None:
    """Refuse what is no method, law, estimator or solver before it is used as one.

    Raises:
        InputError: so.
    """
    if isinstance(value, type) or not isinstance(value, kind):
        name = kind.__name__.lower()
        raise InputError(
            f"expected {'an' if name[0] in 'aeiou' else 'a'} {name} such as {EXAMPLES[name]}, got {value!r}; "
            "names, and names with parameters, stand for one in a config alone"
        )


def check_request(problem: Problem, request: Request, step: int) -> Request:
    """Hold a method to its side of the contract (a violation is a bug of the method)."""
    p = np.asarray(request.proportions, dtype=np.float64)
    wrong = ""
    if p.shape != (problem.m,):
        wrong = f"{p.size} proportions for {problem.m} groups"
    elif not (np.isfinite(p).all() and (p >= 0).all() and abs(p.sum() - 1) < 1e-6):
        wrong = f"proportions off the simplex: {p.tolist()}"
    elif (p[~problem.available] > 0).any():
        wrong = f"a positive proportion for a group without data: {p.tolist()}"
    elif request.loss_weights is not None and not _are_weights(request.loss_weights, problem.m):
        wrong = f"loss weights that are not {problem.m} numbers >= 0: {request.loss_weights}"
    elif not isinstance(request.observe, frozenset) or not request.observe <= set(signal_names()):
        wrong = f"observe={request.observe!r}, which is not a frozenset of known signals"
    elif not 0 <= request.steps <= problem.total_steps - step:
        wrong = f"{request.steps} steps with {problem.total_steps - step} left"
    if wrong:
        raise RuntimeError(f"the method broke its contract: it requested {wrong}")
    return request._replace(proportions=read_only(p.copy()))


def _are_weights(weights: ArrayLike, m: int) -> bool:
    w = np.asarray(weights, dtype=np.float64)
    return w.shape == (m,) and bool(np.isfinite(w).all() and (w >= 0).all())


def check_values(
    problem: Problem, request: Request, drawn: Array, values: Mapping[str, ArrayLike], step: int
) -> dict[str, Array]:
    """Hold the loop to its side: every requested signal, of the right shape, finite where measured."""
    for name in values:
        find_signal(name)
    given = {str(name): read_only(as_numbers(str(name), value)) for name, value in values.items()}
    missing = sorted(request.observe - set(given))
    unasked = sorted(set(given) - request.observe)
    if missing or unasked:
        parts = (
            f"missing: {', '.join(missing)}" if missing else "",
            f"not asked for: {', '.join(unasked)}" if unasked else "",
        )
        told = "; ".join(part for part in parts if part)
        raise InputError(f"the request asked for {sorted(request.observe) or 'nothing'}; {told}")
    for name, array in given.items():
        _check_value(problem, name, array, drawn, step)
    return given


def as_numbers(what: str, values: ArrayLike) -> Array:
    """The values as an array of its own.

    Raises:
        InputError: something else than numbers in order.
    """
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{what} takes numbers in the order of the groups or targets, got {values!r}"
        ) from None


def _check_value(problem: Problem, name: str, array: Array, drawn: Array, step: int) -> None:
    """The right shape; NaN only for groups that were not drawn, in a peek or a partial signal for any."""
    info, shape = find_signal(name), signal_shape(name, problem)
    axes = info.axes
    if array.shape != shape:
        kinds = " x ".join(f"{size} {axis}s" for size, axis in zip(shape, axes, strict=True))
        raise InputError(f"{name} needs {kinds}, got shape {array.shape}")
    optional = (drawn == 0) | info.partial if axes and axes[-1] == "group" else np.zeros(shape, dtype=bool)
    if optional.all() and not info.partial and np.isnan(array).all():
        raise InputError(
            f"{name} is asked of the batch due next, in a request of 0 steps, and NaN was told of every "
            "group: show that batch to the meter (`meter.peek`) before it finishes"
        )
    bad = ~np.isfinite(array) & ~(np.isnan(array) & optional)
    if bad.any():
        where = np.argwhere(bad)[0]
        names = [
            (problem.groups if axis == "group" else problem.targets)[index]
            for axis, index in zip(axes, where, strict=True)
        ]
        raise InputError(
            f"{name} of {' / '.join(map(repr, names)) or 'the run'} is {array[bad][0]} at step {step}; "
            "has training diverged (lower the learning rate)?"
        )
