"""What another method would have asked for in a run that was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aioli.errors import InputError
from aioli.journal import Journal
from aioli.methods.track import Track, advance_track, open_request, start_track, wanted
from aioli.protocol import Array, Method, Observation, Problem, Request

__all__ = ["asked_along"]


def asked_along(method: Method[Any], journal: Journal) -> Iterator[tuple[int, Request]]:
    """The requests that `method` would have made along a recorded run, with the steps at which it would.

    The method is told what was recorded: the sequences drawn and the signals measured. Its segments end
    with the first recorded one that reaches their end. Its training does not happen, so this shows what
    it would have decided from this run's measurements, not what they would have become under it.

    Raises:
        InputError: a signal that the method asks for and the journal does not hold, at the step named; a run
            whose groups changed on the way.
    """
    if journal.changes:
        raise InputError(
            f"the groups of this run changed at step {journal.changes[0].regroup.step}; another method can "
            "only be asked along a run of the same groups throughout"
        )
    problem = journal.problem
    track = start_track(method, problem)
    latest: dict[str, Array] = {}  # measured since the last step trained
    yield 0, open_request(method, problem, track)
    for record in journal.records:
        request, seen = record
        if request.steps:
            track, moved = _trained(method, problem, track, seen)
            latest = {}
            if moved and seen.step < problem.total_steps:
                yield seen.step, open_request(method, problem, track)
        latest |= seen.values
        while seen.step < problem.total_steps:
            asked = open_request(method, problem, track)
            if asked.steps or not asked.observe <= set(latest):
                break
            measured = seen._replace(drawn=0 * seen.drawn, values={n: latest[n] for n in asked.observe})
            track = advance_track(method, problem, track, measured)
            yield seen.step, open_request(method, problem, track)


def _trained(method: Method[Any], problem: Problem, track: Track, seen: Observation) -> tuple[Track, bool]:
    """The track after a recorded segment, and whether the method's own segment ended with it."""
    asked = open_request(method, problem, track)
    steps = min(asked.steps, seen.step - track.step)
    missing = sorted(wanted(asked, steps) - (set(seen.values) if asked.steps else set()))
    if missing:
        held = ", ".join(sorted(seen.values)) or "no measurement"
        raise InputError(
            f"at step {track.step} the method asks for {', '.join(missing)}, but what the journal holds from "
            f"there on is {held}: replay it on the journal of a run that measured what it needs"
        )
    state = track.state
    track = advance_track(method, problem, track, seen)
    return track, track.state is not state
