"""A method inside another: its segment may be trained in pieces, which it is told of as one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aioli.protocol import Array, Method, Observation, Problem, Request
from aioli.regroup import Regroup, carry_state
from aioli.signals import find_signal

__all__ = ["Track", "advance_track", "open_request", "regroup_track", "start_track", "wanted"]


class Track(NamedTuple):
    """A method's state, and what was trained and measured of the segment that it has open.

    step: of the last piece. done: steps of the segment. drawn [m]: its sequences. sums [rows, m]: of the
    signals by group, weighted by sequences, in the order of their names.
    """

    state: Any
    step: int
    done: int
    drawn: Array
    sums: Array


def start_track(method: Method[Any], problem: Problem) -> Track:
    """The track of a method that begins its run."""
    return _opened(method, problem, method.init(problem), 0)


def regroup_track(method: Method[Any], change: Regroup, track: Track) -> Track:
    """The track in a run with other groups: the segment that was open ends unmeasured.

    Raises:
        InputError: a method that cannot go on with other groups.
    """
    return _opened(method, change.new, carry_state(method, change, track.state), change.step)


def open_request(method: Method[Any], problem: Problem, track: Track) -> Request:
    """What the method asks for; `steps` is what is left of its segment."""
    asked = method.request(problem, track.state)
    return asked._replace(steps=asked.steps - track.done)


def wanted(asked: Request, steps: int) -> frozenset[str]:
    """The signals to measure in the next piece of `steps`: those by target only at the segment's end."""
    return asked.observe if steps == asked.steps else frozenset(_by_group(asked))


def advance_track(method: Method[Any], problem: Problem, track: Track, seen: Observation) -> Track:
    """The track after one more piece; at the end of its segment the method is told of the whole.

    Signals by group are averaged over the pieces by the sequences drawn; signals by target are the last.
    A piece may go beyond the segment's end: the segment then ends with the piece.
    """
    asked = method.request(problem, track.state)
    steps = seen.step - track.step
    if track.done == 0 and steps >= asked.steps:
        values = {name: value for name, value in seen.values.items() if name in asked.observe}
        state = method.update(problem, track.state, seen._replace(values=values))
        return _opened(method, problem, state, seen.step)
    drawn, sums = track.drawn + seen.drawn, track.sums
    if _by_group(asked):
        fresh = np.vstack([np.atleast_2d(seen.values[name]) for name in _by_group(asked)])
        sums = sums + np.where(seen.drawn > 0, fresh * seen.drawn, 0.0)
    track = Track(track.state, seen.step, track.done + steps, drawn, sums)
    if track.done < asked.steps:
        return track
    values = {name: seen.values[name] for name in asked.observe if "group" not in find_signal(name).axes}
    state = method.update(
        problem, track.state, seen._replace(drawn=drawn, values=values | _averages(problem, asked, track))
    )
    return _opened(method, problem, state, seen.step)


def _averages(problem: Problem, asked: Request, track: Track) -> dict[str, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(track.drawn > 0, track.sums / track.drawn, np.nan)
    rows = [_rows(problem, name) for name in _by_group(asked)]
    parts = np.split(means, np.cumsum(rows)[:-1]) if rows else []
    return {
        name: part if "target" in find_signal(name).axes else part[0]
        for name, part in zip(_by_group(asked), parts, strict=True)
    }


def _opened(method: Method[Any], problem: Problem, state: Any, step: int) -> Track:
    asked = method.request(problem, state) if step < problem.total_steps else None
    rows = sum(_rows(problem, name) for name in _by_group(asked)) if asked else 0
    return Track(state, step, 0, np.zeros(problem.m), np.zeros((rows, problem.m)))


def _by_group(asked: Request) -> list[str]:
    return sorted(name for name in asked.observe if "group" in find_signal(name).axes)


def _rows(problem: Problem, name: str) -> int:
    return problem.n if "target" in find_signal(name).axes else 1
