"""Mixer: the one stateful shell around a pure method, for a training loop of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aioli.constraints import Limits
from aioli.contract import as_numbers, check_part, check_request, check_values
from aioli.errors import InputError
from aioli.journal import Journal, JournalWriter, Record
from aioli.objectives import objective_of
from aioli.protocol import Array, Method, Observation, Problem, Request, read_only
from aioli.regroup import Regroup, carry_state, removed_tokens
from aioli.replaying import replay
from aioli.state import completed, decode, describe, difference, encode, seal, unseal
from aioli.trust import Score, Trust, begin_trust, follow, law_matrix, regrouped, trust_along

__all__ = ["Mixer", "replay"]

SHOWN = 8
"""Groups whose proportions a Mixer's text names."""


class Mixer:
    """Drives a method through a training run.

    The loop asks for `request`, trains its steps (calling `advance` after each), and hands the
    measurements to `tell`; a request of 0 steps only measures. `state_dict` may be saved at any
    moment, inside a segment too.

    Whatever the method asks for, `request` keeps to the problem's constraints (`aioli.constraints`): that
    is what the journal records and the loop trains, and the method learns from the counts that
    were drawn. Loss weights stay as they are. They weigh the mean loss of each group, so with them the
    constraints change how many sequences each mean is taken over, not what is minimised.

    Args:
        method: any `aioli.protocol.Method`.
        problem: the run.
        journal: path of the journal file to append to, or None.

    Raises:
        InputError: settings of the method that do not fit the problem, constraints that no mixture can
            meet, or an objective without the reference losses it needs.

    >>> from aioli.methods import zoo
    >>> problem = Problem(groups=("law", "code"), group_tokens=(10**6, 10**6), total_steps=4, step_tokens=512)
    >>> mixer = Mixer(zoo.stratified(), problem)
    >>> while not mixer.done:
    ...     for _ in range(mixer.request.steps):
    ...         mixer.advance([4, 4])
    ...     mixer.tell({})
    >>> mixer.step, mixer.drawn
    (4, array([16., 16.]))
    """

    def __init__(self, method: Method[Any], problem: Problem, journal: Path | str | None = None) -> None:
        check_part(Method, method)
        self.method = method
        self.problem = problem
        objective_of(problem)
        self._limits = Limits.of(problem) if problem.constraints else None
        self._last_mixture: Array | None = None
        self.state = method.init(problem)
        self.step = 0
        self.drawn = np.zeros(problem.m)
        self._journal = None if journal is None else JournalWriter(journal, problem, repr(method))
        self._recorded = journal
        self._methods = [method]
        self._trust: Trust | None = None
        self._paired = True
        self._open_segment()

    def _open_segment(self, steps: int = 0, drawn: Array | None = None) -> None:
        self._segment_steps = steps
        self._segment_drawn = np.zeros(self.problem.m) if drawn is None else drawn
        self._request = None
        if not self.done:
            request = self.method.request(self.problem, self.state)
            self._request = self._restricted(check_request(self.problem, request, self.step - steps))

    def _restricted(self, request: Request) -> Request:
        """The request as the constraints allow it at the beginning of the segment that is open."""
        if self._limits is None:
            return request
        step, drawn = self.step - self._segment_steps, self.drawn - self._segment_drawn
        probe_steps = max(request.steps, 1) if request.phase == "probe" else None
        p = self._limits.restrict(request.proportions, step, drawn, self._last_mixture, probe_steps)
        return request._replace(proportions=read_only(p))

    @property
    def request(self) -> Request:
        """What to do next; `steps` is what is left of the current segment."""
        if self._request is None:
            raise InputError(f"the run is over after {self.step} steps; there is nothing left to request")
        return self._request._replace(steps=self._request.steps - self._segment_steps)

    @property
    def segment_over(self) -> bool:
        """True when the current segment's steps are done and `tell` is due."""
        return self._request is not None and self._segment_steps == self._request.steps

    @property
    def segment_drawn(self) -> Array:
        """[m] sequences drawn in the current segment."""
        return self._segment_drawn

    @property
    def done(self) -> bool:
        """True when all steps are trained and told."""
        return self.step >= self.problem.total_steps and self._segment_steps == 0

    def advance(self, drawn: ArrayLike) -> None:
        """Record one optimiser step and how many sequences [m] of each group it trained, over all ranks.

        Raises:
            InputError: a wrong shape, negative or no sequences, or a step beyond the segment's.
        """
        counts = as_numbers("advance", drawn)
        whole = counts.shape == (self.problem.m,) and np.isfinite(counts).all() and (counts >= 0).all()
        if not whole or counts.sum() == 0:
            raise InputError(
                f"advance needs the sequences drawn from each of {self.problem.m} groups, at least one "
                f"in all, got {counts.tolist()}"
            )
        if self._request is None or self.segment_over:
            raise InputError("advance was called after the segment's last step; call tell first")
        self._segment_steps += 1
        self._segment_drawn = self._segment_drawn + counts
        self.step += 1
        self.drawn = self.drawn + counts

    def tell(self, values: Mapping[str, ArrayLike], learning_rate: float = float("nan")) -> None:
        """End the segment with what was measured, journal it, and let the method update its state.

        Raises:
            InputError: the segment is not over, a signal is missing, unasked, of the wrong shape, or
                not finite where it must be.
        """
        if self._request is None or not self.segment_over:
            raise InputError(
                f"tell was called with {self.request.steps} steps of the segment left; train them first"
            )
        measured = check_values(self.problem, self._request, self._segment_drawn, values, self.step)
        drawn = read_only(self._segment_drawn.copy())
        seen = Observation(self.step, drawn, MappingProxyType(measured), float(learning_rate))
        state = self.method.update(self.problem, self.state, seen)
        record = Record(self._request, seen)
        if self._journal is not None:
            self._journal.write(record)
        if self._trust is not None:
            laws = law_matrix(self.state), law_matrix(state)
            self._trust = follow(self._trust, record, *laws, self._paired)[0]
        self.state = state
        if self._request.steps and self._request.phase != "probe":
            self._last_mixture = self._request.proportions
        self._open_segment()

    def regroup(
        self,
        problem: Problem,
        parents: Mapping[str, Sequence[str]] | None = None,
        method: Method[Any] | None = None,
    ) -> Regroup:
        """Go on with other groups or targets from the present step; see `aioli.regroup`.

        The segment that is open ends here: its steps count, nothing is measured of it, and the method is not
        told of it. What was drawn of a group counts for those that it went to.

        Args:
            problem: the run with its new groups; steps, batch and objective stay what they are.
            parents: new group -> old groups that it comes from; without an entry, the one of its name.
            method: the same method with settings for the new groups, where it has settings by group.

        Raises:
            InputError: a change that cannot be made, settings or constraints that do not fit the new
                groups, or a method that cannot go on with others; nothing has changed then.
        """
        if self.done:
            raise InputError(f"the run is over after {self.step} steps; its groups cannot change any more")
        method = self.method if method is None else method
        named = {name: tuple(given) for name, given in (parents or {}).items()}
        tokens = removed_tokens(self.problem, problem.groups, named, self.step, self.drawn)
        problem = replace(problem, removed_tokens=tokens)
        change = Regroup(self.problem, problem, self.step, named)
        objective_of(problem)
        limits = Limits.of(problem) if problem.constraints else None
        state = carry_state(method, change, self.state)
        check_request(problem, method.request(problem, state), self.step)
        if self._journal is not None:
            self._journal.write_change(change, repr(method), self._cut())
        self.method, self.problem, self.state, self._limits = method, problem, state, limits
        self._methods.append(method)
        if self._trust is not None:
            self._trust = regrouped(self._trust, problem)
        self.drawn = change.counts(self.drawn)
        if self._last_mixture is not None:
            self._last_mixture = change.proportions(self._last_mixture)
        self._open_segment()
        return change

    def _cut(self) -> Record | None:
        """What was trained of the segment that is open."""
        if self._request is None or not self._segment_steps:
            return None
        seen = Observation(self.step, self._segment_drawn.copy(), {})
        return Record(self._request._replace(steps=self._segment_steps), seen)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue, as JSON values."""
        content = {
            "method": describe(self.method),
            "problem": describe(self.problem),
            "state": encode(self.state),
            "step": self.step,
            "drawn": encode(self.drawn),
            "last_mixture": encode(self._last_mixture),
            "segment": {"steps": self._segment_steps, "drawn": encode(self._segment_drawn)},
            "journal": None if self._journal is None else self._journal.position(),
        }
        return seal("mixer", content)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`; a journal is cut back to the moment the state was saved.

        Raises:
            InputError: a corrupt state, or one saved with another method or problem.
        """
        content = unseal("mixer", saved)
        for name, part in (("method", self.method), ("problem", self.problem)):
            saved, mine = completed(content[name], part), describe(part)
            if saved != mine:
                raise InputError(f"the saved state is of another {name}: {difference(saved, mine)}")
        if (self._journal is None) != (content["journal"] is None):
            kept, given = ("without", "with") if content["journal"] is None else ("with", "without")
            raise InputError(
                f"the state was saved {kept} a journal and is loaded {given} one: the journal would not be "
                "the record of this run; load it the way it was saved"
            )
        state = decode(content["state"], self.method.init(self.problem))
        segment, drawn = content["segment"], decode(content["drawn"], self.drawn)
        segment_drawn = decode(segment["drawn"], self.drawn)
        if self._journal is not None:
            self._journal.rewind(content["journal"])
        self.state, self.step, self.drawn = state, content["step"], drawn
        self._last_mixture = decode(content.get("last_mixture"), None)
        self._methods, self._trust = [self.method], None
        self._open_segment(segment["steps"], segment_drawn)

    def trust(self, paired: bool = True) -> Score:
        """How well the method's law has predicted the measured losses so far; see `aioli.trust`.

        The first call reads the journal, from then on every `tell` adds to the score; until then, nothing is
        computed. Without a journal, or resumed with one in which groups changed, the score begins with
        the first call.

        Args:
            paired: as of `aioli.trust.follow`; the first call decides.
        """
        if self._trust is None:
            self._trust, self._paired = self._trust_so_far(paired), paired
        return self._trust.score

    def _trust_so_far(self, paired: bool) -> Trust:
        if self._recorded is not None and Path(self._recorded).exists():
            journal = Journal.read(self._recorded)
            if len(journal.problems) == len(self._methods):
                return trust_along(self._methods, journal, paired)[0]
        return begin_trust(self.problem)

    def close(self) -> None:
        """Close the journal file; so does leaving a `with` block."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Mixer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = f"step {self.step} of {self.problem.total_steps}"
        if self._request is None:
            return f"<Mixer {type(self.method).__name__}, {where}, done>"
        shares = zip(self.problem.groups, self._request.proportions, strict=True)
        told = " ".join(f"{name} {share:.3g}" for name, share in list(shares)[:SHOWN])
        more = f" and {self.problem.m - SHOWN} more" if self.problem.m > SHOWN else ""
        return f"<Mixer {type(self.method).__name__}, {where}, {self._request.phase} on {told}{more}>"
