"""What a run's extra runs cost: those whose results it reads, directly or through others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ASSUMPTION", "TOTALS", "cost_to_readers", "total_cost", "with_extra"]

Result = Mapping[str, Any]

TOTALS = ("train_tokens", "flops", "joules", "seconds")
"""Costs that are summed over a run and its extra runs."""
ASSUMPTION = (
    "Costs in all are those of a run and of every run that had to be finished before it (references, "
    "proxies, one-hot runs), each counted once; one that several methods share is charged in full to each "
    "of them."
)


def with_extra(result: Result, find: Callable[[str], Result | None]) -> dict[str, Any]:
    """The result with `extra`: ids of the runs that it reads, and what they cost together.

    Args:
        find: the result of a run by its id, None where it is gone; then what they cost is not known.
    """
    found: dict[str, Result] = {}
    waiting = list((result.get("inputs") or {}).values())
    while waiting:
        run = waiting.pop()
        if run not in found:
            found[run] = find(run) or {}
            waiting += (found[run].get("inputs") or {}).values()
    if not found:
        return dict(result)
    costs = [cost_to_readers(each) for each in found.values()]
    return {**result, "extra": {"runs": list(found), "cost": {key: _sum(costs, key) for key in TOTALS}}}


def total_cost(result: Result) -> dict[str, float | None]:
    """What a run and its extra runs cost together; None where a part of it is not known."""
    own, extra = result.get("cost") or {}, (result.get("extra") or {}).get("cost")
    return {key: own.get(key) if extra is None else _sum([own, extra], key) for key in TOTALS}


def cost_to_readers(result: Result) -> dict[str, Any]:
    """A run's own cost, with the reading of its validation losses, done for the runs that read it."""
    cost, read = dict(result.get("cost") or {}), result.get("validation")
    if read and cost.get("flops") is not None:
        cost["flops"] += read["flops"]
    return cost


def _sum(costs: list[Any], key: str) -> float | None:
    values = [cost.get(key) for cost in costs]
    return None if None in values else sum(values)
