"""The content of a solution file: the mixture first, then where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.files import write_json
from aioli.jobs.wishes import Wishes
from aioli.protocol import Array
from aioli.solvers.evaluate import divergence, in_nats, variation, violations
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.table import Table

__all__ = ["VERSION", "check_out", "describe_solution", "write_solution"]

VERSION = 1
ROUNDING = 1e-6


def describe_solution(
    solution: Solution, problem: MixtureProblem, table: Table, wishes: Wishes
) -> dict[str, Any]:
    """The content of a solution file: `proportions` by group first, then where they come from.

    `by_group` holds each group's proportion beside its reference, floor, cap and passes over its text;
    `by_target` the predicted losses; `best_run` the run of the table with the lowest objective.
    """
    p, tokens = solution.proportions, wishes.tokens or {}
    epochs = [
        float(p[j] * wishes.train_tokens / tokens[group])
        if wishes.train_tokens and tokens.get(group)
        else None
        for j, group in enumerate(table.groups)
    ]
    reference = [None] * problem.m if problem.reference is None else problem.reference.tolist()
    lower, upper = problem.box
    return {
        "version": VERSION,
        "proportions": dict(zip(table.groups, p.tolist(), strict=True)),
        "status": solution.status,
        "solver": solution.solver,
        "gap": solution.gap if np.isfinite(solution.gap) else None,
        "objective": {
            "name": problem.objective,
            "value": solution.objective,
            "loss": float(in_nats(problem, solution.losses)),
        },
        "binding": list(solution.binding),
        "by_group": {
            group: {
                "proportion": float(p[j]),
                "reference": reference[j],
                "floor": float(lower[j]),
                "cap": float(upper[j]),
                "epochs": epochs[j],
            }
            for j, group in enumerate(table.groups)
        },
        "by_target": {
            target: {"predicted": float(solution.losses[i]), "weight": float(problem.weights[i])}
            for i, target in enumerate(table.targets)
        },
        "distance": None if problem.reference is None else _distance(p, problem.reference),
        "best_run": _best_run(problem, table),
        "warnings": list(solution.notes),
        "wishes": _plain(wishes),
    }


def write_solution(content: Mapping[str, Any], path: Path) -> None:
    """Write a solution as JSON: `--proportions`, `static`, `--reuse` and `aioli export` read it.

    Raises:
        InputError: a name that does not end in .json.
    """
    check_out(path)
    write_json(path, content)


def check_out(path: Path) -> None:
    """Refuse a name that the solution cannot be written to, before anything is computed."""
    if path.suffix != ".json":
        raise InputError(f"a solution is written as .json, got {path}")


def _distance(p: Array, reference: Array) -> dict[str, float | None]:
    nats = float(divergence(p, reference))
    return {"kl": nats if np.isfinite(nats) else None, "variation": float(variation(p, reference))}


def _best_run(problem: MixtureProblem, table: Table) -> dict[str, Any]:
    """The run whose measured losses have the lowest objective, of those of the largest scale."""
    kept = np.ones(len(table), dtype=bool)
    for scale in (table.size, table.tokens):
        if scale is not None:
            kept &= scale == scale[kept].max()
    rows = np.flatnonzero(kept)
    values = in_nats(problem, table.losses[rows])
    best = int(rows[np.argmin(values)])
    p, (lower, upper) = table.mixtures[best], problem.box
    inside = (p >= lower - ROUNDING).all() and (p <= upper + ROUNDING).all()
    return {
        "name": table.names[best],
        "objective": float(values.min()),
        "allowed": bool(inside and (violations(problem, p, table.losses[best]) <= ROUNDING).all()),
        "proportions": dict(zip(table.groups, table.mixtures[best].tolist(), strict=True)),
        "losses": dict(zip(table.targets, table.losses[best].tolist(), strict=True)),
    }


def _plain(wishes: Wishes) -> dict[str, Any]:
    """What was asked for, without what was left at its default."""
    given, usual = asdict(wishes), asdict(Wishes())
    changed = {key: value for key, value in given.items() if value != usual[key]}
    if "constraints" in changed:
        changed["constraints"] = {key: v for key, v in changed["constraints"].items() if v is not None}
    return changed
