"""What another method would have asked for in a recorded run, and how its law would have predicted it."""

from __future__ import annotations

from typing import Any

from aioli.journal import Journal, Record
from aioli.methods.asked import asked_along
from aioli.protocol import Method, Observation, Problem, Request
from aioli.trust import Score, begin_trust, follow, law_matrix

__all__ = ["scored_along"]


def scored_along(
    method: Method[Any], journal: Journal, paired: bool = True
) -> tuple[list[tuple[int, Request, Score]], Score]:
    """As `asked_along`, each request with the score of the method's law up to it; and the score at the end.

    A prediction is made for what was trained in the recorded run: the groups drawn, and the loss weights in
    effect there. Of the method that was recorded, this is the score that its run showed (`Mixer.trust`).

    Args:
        paired: as of `aioli.trust.follow`.

    Raises:
        InputError: as of `asked_along`.
    """
    watched = _Watched(method, journal, paired)
    asked = [(step, request, watched.trust.score) for step, request in asked_along(watched, journal)]
    return asked, watched.trust.score


class _Watched:
    """A method that follows how its law does while it is told what came."""

    def __init__(self, method: Method[Any], journal: Journal, paired: bool) -> None:
        self.method, self.paired = method, paired
        self.weights = {
            r.observation.step: r.request.loss_weights for r in journal.records if r.request.steps
        }
        self.trust, self.step = begin_trust(journal.problem), 0

    @property
    def needs(self) -> frozenset[str]:
        return self.method.needs

    def init(self, problem: Problem) -> Any:
        return self.method.init(problem)

    def request(self, problem: Problem, state: Any) -> Request:
        return self.method.request(problem, state)

    def update(self, problem: Problem, state: Any, seen: Observation) -> Any:
        found = self.method.update(problem, state, seen)
        asked, steps = self.method.request(problem, state), seen.step - self.step
        weights = self.weights.get(seen.step) if steps else None
        record = Record(asked._replace(steps=steps, loss_weights=weights), seen)
        laws = law_matrix(state), law_matrix(found)
        self.trust, self.step = follow(self.trust, record, *laws, self.paired)[0], seen.step
        return found
