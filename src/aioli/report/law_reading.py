"""A diagnosis in a few plain sentences, written from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aioli.fitting.dynamic import critical
from aioli.protocol import Array

__all__ = ["conclude", "critical_of_gains", "curved"]

Diagnosis = Mapping[str, Any]
FEW = 3


def conclude(diagnosis: Diagnosis) -> str:
    """What branches off the last checkpoint say of the law and the methods, no more than intervals hold."""
    seen = _pooled(diagnosis) if len(diagnosis["seeds"]) > 1 else _single(diagnosis)
    told = [f"{seen.where}, {_explained(seen)}.", _gains(diagnosis["groups"], seen), *_methods(seen)]
    return " ".join(told)


class _Seen(NamedTuple):
    """What a conclusion is drawn from: R2 of branches left out, of the mean over targets and the median of
    single targets', gains [m], half their 95% intervals [m], intervals by method and what they are."""

    where: str
    held_out: float | None
    by_target: float | None
    gains: Array
    half: Array
    methods: dict[str, tuple[float | None, float | None]]
    bound: str


def _single(diagnosis: Diagnosis) -> _Seen:
    point = diagnosis["points"][-1]
    law = point["laws"][-1]
    rows = [row for row in point["fidelity"] if row["horizon"] == law["horizon"]]
    methods = {row["label"]: (row["centred"]["low"], row["centred"]["high"]) for row in rows}
    where = f"From step {point['step']} over {_steps(law['horizon'])}"
    half = critical_of_gains(law) * np.array(law["gain_errors"])
    known = [value for value in law["held_out_r2"] if value is not None]
    by_target = float(np.median(known)) if known else None
    return _Seen(where, law["sums_held_out_r2"], by_target, np.array(law["gains"]), half, methods, "range")


def _pooled(diagnosis: Diagnosis) -> _Seen:
    """Of several seeds: Student t intervals of their means."""
    row = diagnosis["pooled"][-1]
    limit = critical(row["seeds"] - 1)
    methods: dict[str, tuple[float | None, float | None]] = {}
    for label, found in row["fidelity"].items():
        known = found["mean"] is not None and found["error"] is not None
        ends = [found["mean"] + sign * limit * found["error"] for sign in (-1, 1)] if known else [None] * 2
        methods[label] = (ends[0], ends[1])
    where = f"Over {row['seeds']} seeds, from step {row['step']} over {_steps(row['horizon'])}"
    half = limit * np.array(row["gain_errors"], dtype=np.float64)
    return _Seen(where, row["r2"], None, np.array(row["gains"]), half, methods, "95% interval over seeds")


def critical_of_gains(law: Mapping[str, Any]) -> float:
    """How many standard errors of a gain make a 95% interval; earlier diagnoses tell those of the matrix."""
    return critical(law["gain_freedom"]) if "gain_freedom" in law else float(law["critical"])


def curved(law: Mapping[str, Any]) -> int | None:
    """How many targets' residual curvature is beyond its 95% interval; None where none is known.

    A curvature takes one degree of freedom more than the matrix.
    """
    limit = critical(law["freedom"] - 1) if law.get("freedom", 0) > 1 else float(law["critical"])
    known = [
        abs(value) > limit * error
        for value, error in zip(law["curvature"], law["curvature_error"], strict=True)
        if value is not None and error is not None
    ]
    return sum(known) if known else None


def _steps(horizon: int) -> str:
    return f"{horizon} step{'s' * (horizon != 1)}"


def _explained(seen: _Seen) -> str:
    if seen.held_out is None:
        return "there are too few branches to leave one out, so nothing says how well the linear law predicts"
    if seen.held_out <= 0:
        told = "the linear law predicts a left-out branch's mean loss no better than the others' mean does"
    else:
        told = (
            f"the linear law predicts {seen.held_out:.0%} of the variance of the mean loss between branches"
        )
    if seen.by_target is None:
        return told
    share = f"{max(seen.by_target, 0):.0%}"
    return f"{told}; of single targets' losses it predicts {share} (the median, each branch left out in turn)"


def _gains(groups: Sequence[str], seen: _Seen) -> str:
    """Groups whose gain differs from the mean group's by more than its interval."""
    sure = np.abs(seen.gains) > seen.half
    order = np.argsort(-np.abs(seen.gains))
    parts = [
        f"{side} from {_names([groups[int(j)] for j in order if which[j]])}"
        for side, which in (("more", sure & (seen.gains > 0)), ("less", sure & (seen.gains < 0)))
        if which.any()
    ]
    if not parts:
        return "No group's gain can be told from the mean group's."
    return f"The targets gain {' and '.join(parts)} than from the mean group."


def _names(names: Sequence[str]) -> str:
    if len(names) > FEW:
        return f"{', '.join(names[:FEW])} and {len(names) - FEW} more"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _methods(seen: _Seen) -> list[str]:
    """Which methods' laws point the same way, which the other way, and which cannot be told."""
    found: dict[str, list[str]] = {"same": [], "other": [], "open": []}
    for label, (low, high) in seen.methods.items():
        if low is None or high is None or low <= 0 <= high:
            found["open"].append(label)
        else:
            found["same" if low > 0 else "other"].append(label)
    told = {
        "same": f"By a {seen.bound} of the centred similarity that excludes 0, {{}} ranks the groups alike.",
        "other": f"By a {seen.bound} that excludes 0, {{}} ranks them the other way.",
        "open": "What {} measured cannot be told from an unrelated law here.",
    }
    return [text.format(_names(found[kind])) for kind, text in told.items() if found[kind]]
