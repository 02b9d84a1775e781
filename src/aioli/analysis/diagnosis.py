"""From branches off one checkpoint to the law there: the matrix by horizon, and how near each method's is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import fdtrc

from aioli.analysis.fidelity import Fidelity, fidelity_of
from aioli.errors import InputError
from aioli.fitting.dynamic import DynamicFit, column_sums, fit_dynamic, squared_distance
from aioli.protocol import Array

__all__ = ["branch_table", "fidelities", "law_at", "method_sums", "plain", "pooled"]

LARGER = 0.1
"""Probability from noise alone below which gains are held to differ between orders of the data."""
Result = Mapping[str, Any]


def branch_table(results: Sequence[Result], horizon: int) -> tuple[Array, Array]:
    """Realised mixtures [k, m] of branches after `horizon` steps, and by how much losses had fallen [k, n].

    Raises:
        InputError: a branch that did not measure then.
    """
    mixtures, changes = [], []
    for result in results:
        points = {point["step"]: point for point in result["branch"]["points"]}
        if horizon not in points:
            raise InputError(f"branch {result['id']} did not measure after {horizon} steps")
        drawn = np.asarray(points[horizon]["drawn"])
        mixtures.append(drawn / drawn.sum())
        changes.append(np.asarray(points[0]["loss"]) - np.asarray(points[horizon]["loss"]))
    return np.array(mixtures), np.array(changes)


def law_at(results: Sequence[Result], horizon: int, weights: Array, *, orders: int = 1) -> dict[str, Any]:
    """The linear dynamic law fitted to branches at one horizon, as plain values (None for NaN).

    `gains` are the column sums less their mean, with curvature allowed for (`_gains`). `freedom` are the
    degrees of freedom of all errors but theirs, `gain_freedom` those of theirs, 0 with shrinkage. `noise` is
    what the branches scatter around the law: their noise together with what a linear law cannot express. All
    standard errors come from it, and hold for one order of the data: what that order does to a group's worth
    bends no law and scatters no branch. With several orders, the law is fitted to the means over them,
    `gain_errors` grow where the gains of single orders differ by more, and `order_noise` [n] is the standard
    deviation of one branch between orders, beyond what an order does to all branches alike
    (`sums_order_noise` that of the weighted sum of targets); `misfit` [n] is what is left of the scatter
    without it, and `misfit_p` the probability of so much from noise alone (an F test; both None where halves
    of the groups were raised).

    Args:
        results: mixture by mixture, each with all its orders. weights: [n] of the targets in the column
            sums, of mean 1. orders: of the data that each branch was trained on.
    """
    mixtures, changes = branch_table(results, horizon)
    m, n = mixtures.shape[1], changes.shape[1]
    repeated, drawn = changes.reshape(-1, orders, n), mixtures.reshape(-1, orders, m)
    mixtures, changes = drawn.mean(axis=1), repeated.mean(axis=1)
    fit = fit_dynamic(mixtures, changes)
    contrasts, contrast_errors = fit.contrasts
    sums, errors, summed = column_sums(mixtures, changes, weights)
    gains, gain_errors, gain_freedom = _gains(mixtures, changes, weights, fit)
    if orders > 1:
        gain_errors = _between_orders(gain_errors, gain_freedom, drawn, repeated, weights, fit)
    axes, variances = fit.principal
    return {
        "horizon": horizon,
        "branches": len(mixtures),
        "matrix": plain(fit.matrix),
        "errors": plain(fit.errors),
        "axes": plain(axes),
        "variances": plain(variances),
        "mixtures": plain(mixtures),
        "contrasts": plain(contrasts),
        "contrast_errors": plain(contrast_errors),
        "critical": fit.critical,
        "freedom": fit.freedom,
        "r2": plain(fit.r2),
        "held_out_r2": plain(fit.held_out_r2),
        "mse": plain(fit.mse),
        "noise": plain(fit.noise),
        "curvature": plain(fit.curvature),
        "curvature_error": plain(fit.curvature_error),
        "shrinkage": plain(fit.shrinkage),
        "sums": plain(sums),
        "sum_errors": plain(errors),
        "gains": plain(gains),
        "gain_errors": plain(gain_errors),
        "gain_freedom": gain_freedom,
        "sums_variances": plain(np.einsum("lj,jk,lk->l", axes, summed.covariance[0], axes).clip(0)),
        "sums_noise": plain(summed.noise)[0],
        "sums_r2": plain(summed.r2)[0],
        "sums_held_out_r2": plain(summed.held_out_r2)[0],
        **(_apart(repeated, fit, weights) if orders > 1 else {}),
        **(
            {"sums_order_noise": float(_order_noise((repeated @ weights)[..., None])[0])}
            if orders > 1
            else {}
        ),
    }


def _gains(mixtures: Array, changes: Array, weights: Array, fit: DynamicFit) -> tuple[Array, Array, int]:
    """[m] column sums less their mean, at the mean mixture, their standard errors and degrees of freedom.

    Where there are branches enough, and not all as far from the mean mixture, the squared distance from it is
    fitted beside the law: what all mixtures far from the mean lose together is then no noise of the gains.
    """
    m = mixtures.shape[1]
    known = mixtures
    if fit.freedom > 2 and np.isfinite(fit.curvature).all():
        known = np.column_stack([mixtures, squared_distance(mixtures)])
    found = column_sums(known, changes, weights)[2]
    centre = np.eye(m) - 1 / m
    spread = centre @ found.covariance[0, :m, :m] @ centre
    return centre @ found.matrix[0, :m], np.sqrt(np.maximum(np.diag(spread), 0.0)), found.freedom


def _between_orders(
    errors: Array, freedom: int, mixtures: Array, changes: Array, weights: Array, fit: DynamicFit
) -> Array:
    """[m] standard errors of the gains: `errors`, or more where gains differ more than that between orders.

    How they differ is pooled over the groups. It counts where an F test finds it larger (at .1) than the
    scatter around the law lets expect: always taking the larger one would cover too much.

    Args:
        freedom: of `errors`. mixtures: [k, orders, m]. changes: [k, orders, n].
    """
    orders, m = mixtures.shape[1:]
    each = [_gains(mixtures[:, r], changes[:, r], weights, fit)[0] for r in range(orders)]
    between = (orders - 1) * max(m - 1, 1)
    found = ((each - np.mean(each, axis=0)) ** 2).sum() / between * (1 - 1 / m) / orders
    chance = fdtrc(between, max(freedom, 1), found / max(np.mean(errors**2), 1e-300))
    return np.maximum(errors, np.sqrt(found)) if chance < LARGER or not freedom else errors


def _apart(repeated: Array, fit: DynamicFit, weights: Array) -> dict[str, Any]:
    """Noise between orders and what a linear law cannot express, from changes [k, orders, n]."""
    k, orders, _ = repeated.shape
    freedom = (k - 1) * (orders - 1)
    between = _order_noise(repeated) ** 2
    expected = between / orders
    told: dict[str, Any] = {
        "order_noise": plain(np.sqrt(between)),
        "sums_order_noise": plain(_order_noise((repeated @ weights)[..., None]))[0],
        "misfit": None,
        "misfit_p": None,
    }
    if fit.freedom:
        ratio = fit.noise**2 / np.maximum(expected, 1e-300)
        told["misfit"] = plain(np.sqrt(np.maximum(fit.noise**2 - expected, 0.0)))
        told["misfit_p"] = plain(fdtrc(fit.freedom, freedom, ratio))
    return told


def _order_noise(repeated: Array) -> Array:
    """[n] standard deviation of a branch between orders less what an order does to all, of [k, orders, n]."""
    k, orders, _ = repeated.shape
    order_means = repeated.mean(axis=0) - repeated.mean(axis=(0, 1))
    left = repeated - repeated.mean(axis=1, keepdims=True) - order_means
    return np.sqrt((left**2).sum(axis=(0, 1)) / ((k - 1) * (orders - 1)))


def method_sums(result: Result, weights: Array) -> tuple[Array, Array | None]:
    """[m] column sums of the law that a method stepped by in a branch, and its matrix [n, m].

    The matrix is the last that it estimated. A method that keeps none has stepped from a mixture p to q as
    if by column sums proportional to ln(q / p), up to a constant: those are given, and None. Of a
    method that concludes with a mixture, while it may train on another as DoReMi does, that one is q.

    Raises:
        InputError: a method that neither estimated anything nor moved.
    """
    if result["matrices"]:
        matrix = np.array(result["matrices"][-1]["values"], dtype=np.float64)
        return weights @ matrix, matrix
    answer = result["mixture"].get("answer")
    values = np.array([*result["proportions"]["values"], *([answer] if answer else [])], dtype=np.float64)
    moved = [row for row in values if not np.allclose(row, values[0], atol=1e-9)]
    if not moved:
        told = f"in its {result['steps']} steps"
        raise InputError(f"{result['label']} neither estimated a law nor moved {told}: give it more")
    last = values[-1] if answer else moved[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(last, 1e-12) / np.maximum(values[0], 1e-12)), None


def fidelities(
    methods: Sequence[Result], laws: Sequence[Mapping[str, Any]], weights: Array
) -> list[dict[str, Any]]:
    """A row for each method and horizon: similarity raw, as published, and centred, with intervals.

    A method without a matrix has no raw form: only differences between groups moved it. The raw form
    compares column sums; of two groups that are the targets it compares A_11 - A_12 and A_22 - A_21.
    """
    rows = []
    for result in methods:
        sums, matrix = method_sums(result, weights)
        own = result["groups"] == result["targets"] and len(result["groups"]) == 2
        for law in laws:
            raw = None if matrix is None else _raw(matrix, law, weights, own)
            gains = np.array(law["gains"])
            taken_off = np.sqrt(1 - 1 / max(gains.size, 2))  # by centring the draws
            apart = np.array(law["gain_errors"]) / taken_off
            centre = fidelity_of(sums, gains, apart, centre=True, freedom=law["gain_freedom"])
            rows.append(
                {
                    "label": result["label"],
                    "seed": result["seed"],
                    "horizon": law["horizon"],
                    "sums": plain(sums),
                    "matrix": None if matrix is None else plain(matrix),
                    "raw": None if raw is None else {k: plain(v) for k, v in raw._asdict().items()},
                    "centred": {k: plain(v) for k, v in centre._asdict().items()},
                }
            )
    return rows


def _raw(matrix: Array, law: Mapping[str, Any], weights: Array, own: bool) -> Fidelity:
    """The published similarity of a method's matrix to that of a law; `own`: of two groups, the targets."""
    if own:
        toward = weights * np.array([1.0, -1.0])
        ours, truth = (toward * (each[:, 0] - each[:, 1]) for each in (matrix, np.array(law["matrix"])))
        errors = weights * 2 * np.array(law["contrast_errors"])[:, 0]
    else:
        ours, truth = weights @ matrix, np.array(law["sums"])
        errors = _sum_errors(law)
    return fidelity_of(ours, truth, errors, freedom=law["freedom"])


def _sum_errors(law: Mapping[str, Any]) -> Array:
    """[m + 1, m] a square root of the covariance of the column sums, that of their common part last."""
    about = np.array(law["mixtures"]).mean(axis=0)
    slopes = np.sqrt(law["sums_variances"])[:, None] * np.array(law["axes"])
    common = np.full((1, about.size), law["sums_noise"] / np.sqrt(law["branches"]))
    return np.concatenate([slopes - (slopes @ about)[:, None], common])


def pooled(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds at each step and horizon, with standard errors over seeds (None for one seed).

    `gains` [m] are column sums less their mean; `fitted_r2` and `r2`, of branches left out, are of the sum of
    targets, None where a seed has none; `fidelity` is centred, by label.
    """
    found = []
    for step in dict.fromkeys(point["step"] for point in points):
        mine = [point for point in points if point["step"] == step]
        for number, law in enumerate(mine[0]["laws"]):
            laws = [point["laws"][number] for point in mine]
            each_gains = np.array([each["gains"] for each in laws])
            rows = [row for point in mine for row in point["fidelity"] if row["horizon"] == law["horizon"]]
            labels = dict.fromkeys(row["label"] for row in rows)
            gains, gain_errors = _mean(each_gains)
            found.append(
                {
                    "step": step,
                    "horizon": law["horizon"],
                    "seeds": len(mine),
                    "gains": plain(gains),
                    "gain_errors": plain(gain_errors),
                    "fitted_r2": _mean_known([each["sums_r2"] for each in laws]),
                    "r2": _mean_known([each["sums_held_out_r2"] for each in laws]),
                    "fidelity": {label: _mean_fidelity(rows, label) for label in labels},
                }
            )
    return found


def _mean_known(values: Sequence[float | None]) -> float | None:
    return None if None in values else float(np.mean(np.array(values, dtype=np.float64)))


def _mean_fidelity(rows: Sequence[Mapping[str, Any]], label: str) -> dict[str, Any]:
    values = [row["centred"]["similarity"] for row in rows if row["label"] == label]
    mean, error = _mean(np.array(values, dtype=np.float64))
    return {"mean": plain(mean), "error": plain(error)}


def _mean(values: Array) -> tuple[Array, Array]:
    """Mean over the first axis and its standard error, NaN for fewer than two."""
    count = len(values)
    if count < 2:
        return values.mean(axis=0), np.full(values.shape[1:], np.nan)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(count)


def plain(values: Any) -> Any:
    """Nested lists of numbers; None for those that are not finite."""
    if isinstance(values, np.ndarray) and values.ndim:
        return [plain(value) for value in values]
    return float(values) if np.isfinite(values) else None
