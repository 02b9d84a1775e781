"""Adaptive Data Optimization: scaling laws fitted during the run say which groups still repay training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli.errors import InputError
from aioli.laws.power import PowerLaws, fit_power_laws
from aioli.methods.static import Static
from aioli.protocol import Array, Observation, Problem, Request, Signal
from aioli.regroup import Regroup, filled
from aioli.simplex import normalise

__all__ = ["Ado", "AdoState"]

RECORD_STEPS = 10
RECORDS = 200
"""Points kept of each group's loss; when they are full, neighbours are averaged and the rest of the run
records half as often."""
LEAST_RECORDS = 5
SHARE_MEMORY = 0.9
STEP = 0.1
FLATTEST = 0.05


class Schedule(NamedTuple):
    """Steps before the first record, to the first fit, between fits, and in a record."""

    ignore: int
    start: int
    refit: int
    record: int


class AdoState(NamedTuple):
    """What has been seen and fitted.

    sequences: trained in all. shares, mean, proportions [m]: h, the mean of rho, and p. last [m]: newest
    losses, NaN before. records [k, m] and log_counts [k]: mean losses and mean log sequences of stretches of
    `stretch` steps; open_losses [m], open_logs, open_steps: sums over the stretch begun. laws: NaN before the
    first fit.
    """

    step: int
    sequences: float
    shares: Array
    mean: Array
    proportions: Array
    last: Array
    records: Array
    log_counts: Array
    stretch: int
    open_losses: Array
    open_logs: float
    open_steps: int
    laws: PowerLaws


@dataclass(frozen=True)
class Ado:
    """p follows mu_j sqrt(h_j) max(alpha_j, .05) B_j n^-alpha_j / n: fitted speed of learning times credit.

    L_j(n) = E_j + B_j n^-alpha_j is the training loss of group j after n sequences of the whole run, fitted
    to all steps so far; h is a running mean of the shares drawn, mu the prior. With rho the normalised,
    floored speeds and rho_bar their mean over all steps (mu before the first fit), p = .1 rho + .9 rho_bar.

    Args:
        prior: mu, by name or in order; None: the groups' sizes in tokens.
        ignore: first steps, kept out of the fits; published 500. None: a twentieth of the run, at most 500,
            and not fewer than the learning-rate warm-up.
        start: step of the first fit; published 1000. None: as far behind `ignore` as the run has for it, a
            twentieth and at most 500 steps, but no sooner than a tenth of the run or step 1000.
        refit: steps between fits; published 1000. None: a twentieth of the run, at most 1000.
        floor: least rho of a group before it is normalised, at most a tenth of an equal share.

    Raises:
        InputError: settings out of range, or a run too short for a fit.

    References:
        arXiv 2410.11820; yidingjiang/ado, ado.py.
    Departures:
        The release smooths every loss with a Savitzky-Golay filter over 101 steps, which needs all losses,
        and fits every 10th. Here the fit sees means over stretches of 10 steps (of 20, 40, ... once there
        are 200 of them), placed at their mean log n: the averaging is the same, the state is bounded. Fits
        start from a dozen exponents solved exactly instead of 512 points, and E is bounded by the group's
        own losses; the release penalises E < 1.65 nats, which easy groups (code, templates) are below. The
        released experiments start at 500 and ignore 1000, so that their first fit sees one point; here the
        port's settings (start 1000, ignore 500) are the default of long runs, and shorter ones scale them.
        The floor shrinks with the number of groups (published: .01).
    """

    prior: Mapping[str, float] | tuple[float, ...] | None = None
    ignore: int | None = None
    start: int | None = None
    refit: int | None = None
    floor: float = 0.01

    def __post_init__(self) -> None:
        for name, least in (("ignore", 0), ("start", 1), ("refit", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        if not 0 <= self.floor < 1:
            raise InputError(f"floor must be in [0, 1), got {self.floor}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({Signal.TRAIN_LOSS})

    def schedule(self, problem: Problem) -> Schedule:
        """The schedule for a run of this length."""
        total = problem.total_steps
        automatic = max(min(500, total // 20), problem.warmup_steps)
        ignore = automatic if self.ignore is None else self.ignore
        start = max(min(1000, total // 10), ignore + min(500, total // 20))
        start = start if self.start is None else self.start
        refit = self.refit or max(1, min(1000, total // 20))
        return Schedule(ignore, start, refit, max(1, min(RECORD_STEPS, (start - ignore) // 20)))

    def init(self, problem: Problem) -> AdoState:
        when = self.schedule(problem)
        records = (when.start - when.ignore) // when.record
        if records < LEAST_RECORDS or when.start >= problem.total_steps:
            raise InputError(
                f"ado's first fit, at step {when.start} of {problem.total_steps}, would see "
                f"{max(records, 0)} points after the first {when.ignore} steps; it needs {LEAST_RECORDS} and "
                "some of the run left over: lower ignore, move start, or use a longer run"
            )
        prior, m = self._prior(problem), problem.m
        unknown = np.full(m, np.nan)
        return AdoState(
            step=0,
            sequences=0.0,
            shares=prior,
            mean=prior,
            proportions=prior,
            last=unknown,
            records=np.zeros((0, m)),
            log_counts=np.zeros(0),
            stretch=when.record,
            open_losses=np.zeros(m),
            open_logs=0.0,
            open_steps=0,
            laws=PowerLaws(unknown, unknown, unknown),
        )

    def request(self, problem: Problem, state: AdoState) -> Request:
        return Request(state.proportions, 1, self.needs)

    def update(self, problem: Problem, state: AdoState, seen: Observation) -> AdoState:
        when, drawn = self.schedule(problem), seen.drawn
        state = self._record(state, when, seen)
        shares = SHARE_MEMORY * state.shares + (1 - SHARE_MEMORY) * drawn / drawn.sum()
        state = state._replace(shares=shares)
        if seen.step >= when.start and (seen.step - when.start) % when.refit == 0:
            state = self._refit(state)
        if np.isnan(state.laws.exponent).all():
            return state
        rho = self._speeds(problem, state)
        p = normalise(STEP * rho + (1 - STEP) * state.mean)
        return state._replace(proportions=p, mean=state.mean + (rho - state.mean) / (seen.step + 1))

    def _record(self, state: AdoState, when: Schedule, seen: Observation) -> AdoState:
        """Count the step and record its losses; a group that was not drawn repeats its last one."""
        fresh, sequences = seen.values[Signal.TRAIN_LOSS], state.sequences + float(seen.drawn.sum())
        last = np.where(np.isnan(fresh), state.last, fresh)
        state = state._replace(step=seen.step, sequences=sequences, last=last)
        if seen.step <= when.ignore:
            return state
        there = ~np.isnan(fresh)
        mean = np.average(fresh[there], weights=seen.drawn[there])
        losses = state.open_losses + np.where(np.isnan(last), mean, last)
        logs, steps = state.open_logs + float(np.log(sequences)), state.open_steps + 1
        if steps < state.stretch:
            return state._replace(open_losses=losses, open_logs=logs, open_steps=steps)
        records = np.vstack([state.records, losses / steps])
        log_counts = np.append(state.log_counts, logs / steps)
        stretch = state.stretch
        if len(records) == RECORDS:
            records = records.reshape(RECORDS // 2, 2, -1).mean(axis=1)
            log_counts, stretch = log_counts.reshape(-1, 2).mean(axis=1), 2 * stretch
        return state._replace(
            records=records,
            log_counts=log_counts,
            stretch=stretch,
            open_losses=np.zeros_like(losses),
            open_logs=0.0,
            open_steps=0,
        )

    def _refit(self, state: AdoState) -> AdoState:
        """New laws; a group keeps its old one where the new one is not finite."""
        if len(state.records) < LEAST_RECORDS or not (state.records > 0).all():
            return state
        fitted = fit_power_laws(state.log_counts, state.records)
        usable = np.isfinite(np.stack(fitted)).all(axis=0)
        laws = [np.where(usable, new, old) for new, old in zip(fitted, state.laws, strict=True)]
        return state._replace(laws=PowerLaws(*laws))

    def _speeds(self, problem: Problem, state: AdoState) -> Array:
        """rho [m]: the fitted speeds of learning, credited, floored and normalised."""
        prior, laws = self._prior(problem), state.laws
        speed = (
            np.maximum(laws.exponent, FLATTEST) * laws.reducible(np.log(state.sequences)) / state.sequences
        )
        credited = np.where(prior > 0, prior * np.sqrt(state.shares) * np.nan_to_num(speed), 0.0)
        rho = normalise(credited) if credited.sum() > 0 else prior
        floor = min(self.floor, 0.1 / problem.m)
        return normalise(np.where(prior > 0, np.maximum(rho, floor), 0.0))

    def _prior(self, problem: Problem) -> Array:
        if self.prior is None:
            return normalise(np.asarray(problem.group_tokens, dtype=np.float64))
        return Static(self.prior).mixture(problem)

    def regroup(self, change: Regroup, state: AdoState) -> AdoState:
        laws = PowerLaws(*(change.groups(part) for part in state.laws))
        return state._replace(
            shares=change.proportions(state.shares),
            mean=change.proportions(state.mean),
            proportions=change.proportions(state.proportions),
            last=change.groups(state.last),
            records=filled(change.groups(state.records)),
            open_losses=filled(change.groups(state.open_losses)),
            laws=laws,
        )
