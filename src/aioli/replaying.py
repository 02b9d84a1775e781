"""A recorded run again: the fold of a method's pure `update` over a journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aioli.journal import Journal, Record
from aioli.protocol import Method, Problem
from aioli.regroup import carry_state

__all__ = ["replay", "steps_along"]


def replay(method: Method[Any] | Sequence[Method[Any]], journal: Journal) -> Iterator[tuple[Record, Any]]:
    """Fold a method's update over a journal: yields each record with the state after it.

    Args:
        method: or one for each of the journal's problems, where a change of groups came with other settings.
    """
    for _, record, _, state in steps_along(method, journal):
        yield record, state


def steps_along(
    method: Method[Any] | Sequence[Method[Any]], journal: Journal
) -> Iterator[tuple[Problem, Record, Any, Any]]:
    """As `replay`: yields each record with the problem that it belongs to and the states before and after."""
    methods = [method] * len(journal.problems) if isinstance(method, Method) else list(method)
    state = methods[0].init(journal.problem)
    for number, (mine, problem, records) in enumerate(
        zip(methods, journal.problems, journal.parts, strict=True)
    ):
        if number:
            state = carry_state(mine, journal.changes[number - 1].regroup, state)
        for record in records:
            before, state = state, mine.update(problem, state, record.observation)
            yield problem, record, before, state
