"""How far a run's mixing law can be trusted: its predictions of the next losses, scored as they come true.

A span reaches from one measurement of the target losses to the next. Before each of its segments is trained,
the law in force says by how much the losses will fall; `follow` adds these up and, when the span ends,
compares the sum with the measured fall. It is a pure fold over a run's records and asks for nothing: a method
that never measures its targets after training is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aioli.journal import Journal, Record
from aioli.protocol import Array, Method, Problem, Request, Signal
from aioli.replaying import steps_along
from aioli.simplex import normalise

__all__ = ["Score", "Scored", "Trust", "begin_trust", "follow", "law_matrix", "regrouped", "trust_along"]

FORGET = 0.9
"""Weight of a span in running trends and scales, for each span since."""
NORMAL = 1.959964
FEW = (12.7062, 4.3027)
"""97.5% quantiles of Student's t with 1 and 2 degrees of freedom."""
RANK = 1e-6
"""Directions in which the probes' mixtures vary by less than this share count as not probed."""
ROUNDING = 1e-9
"""Nats that count as no difference; also the share of the largest entry by which a row may miss 0 in sum."""


class Span(NamedTuple):
    """Since the last measurement. losses [n]: then, empty before the first. fall [n]: what the law says, in
    its matrix's unit x steps. steps, mixture [m]: trained, on each group. known: whether every segment had a
    law. stepped: whether that measurement came after steps, rather than with none. phase: of the last
    segment."""

    losses: Array
    fall: Array
    steps: int
    mixture: Array
    known: bool = True
    stepped: bool = False
    phase: str = ""


class Basis(NamedTuple):
    """What a matrix was estimated from. horizon: steps of a probe, 0 without probes. intercept [n]: fall in
    one probe that the matrix leaves out. noise [n]: variance of a probe's fall around it. gram [m, m]:
    inverse of X^T X, X the probes' mixtures. freedom: probes beyond those that the matrix needs."""

    horizon: float
    intercept: Array
    noise: Array
    gram: Array
    freedom: int


class Running(NamedTuple):
    """Sums that forget. falls [n], steps: of spans. up, down: of products and squares, whose ratio is the
    scale of a law that is not in nats."""

    falls: Array
    steps: float
    up: float
    down: float


class Score(NamedTuple):
    """laws: estimates seen. spans: predicted. error, still, trend: squared errors of the law, of no change,
    and of the trend, over spans and targets. covered, inside: losses that had an interval, those in it."""

    laws: int = 0
    spans: int = 0
    error: float = 0.0
    still: float = 0.0
    trend: float = 0.0
    covered: int = 0
    inside: int = 0

    @property
    def r2(self) -> float | None:
        """1 - squared error of the predicted falls / that of predicting none; None before the first."""
        return 1 - self.error / self.still if self.still > 0 else None

    @property
    def r2_trend(self) -> float | None:
        """1 - squared error of the predicted falls / that of the targets' trends; None before the first."""
        return 1 - self.error / self.trend if self.trend > 0 else None

    @property
    def coverage(self) -> float | None:
        """Share of the measured losses inside their predicted 95% interval; None where none had one."""
        return self.inside / self.covered if self.covered else None


class Trust(NamedTuple):
    """The fold's state. mixtures [r, m], falls [r, n]: of the probes of the estimate in the making."""

    span: Span
    basis: Basis
    running: Running
    mixtures: Array
    falls: Array
    score: Score = Score()


class Scored(NamedTuple):
    """A span that was predicted: the last of its steps, how many, phase of its last segment; losses [n]
    before, predicted, measured."""

    step: int
    steps: int
    phase: str
    before: Array
    predicted: Array
    realised: Array


def begin_trust(problem: Problem) -> Trust:
    """Nothing known, nothing scored."""
    n, m = problem.n, problem.m
    return Trust(
        Span(np.zeros(0), np.zeros(n), 0, np.zeros(m)),
        Basis(0.0, np.zeros(n), np.zeros(n), np.zeros((0, 0)), 0),
        Running(np.zeros(n), 0.0, 0.0, 0.0),
        np.zeros((0, m)),
        np.zeros((0, n)),
    )


def regrouped(trust: Trust, problem: Problem) -> Trust:
    """The fold after the groups changed to those of `problem`: the score and the law's unit stay."""
    fresh = begin_trust(problem)
    return fresh._replace(score=trust.score, basis=fresh.basis._replace(horizon=trust.basis.horizon))


def law_matrix(state: Any) -> Array | None:
    """[n, m] the law that a method's state holds, its own or an inner method's; None if there is none yet."""
    found = getattr(state, "matrix", None)
    if isinstance(found, np.ndarray):
        return found if found.ndim == 2 and np.isfinite(found).all() else None
    for part in reversed(state) if hasattr(state, "_fields") else ():
        found = law_matrix(part) if hasattr(part, "_fields") else None
        if found is not None:
            return found
    return None


def follow(
    trust: Trust, record: Record, before: Array | None, after: Array | None, paired: bool = True
) -> tuple[Trust, Scored | None]:
    """The fold after one more record, and the span that it ended, if that was predicted.

    Of a law estimated from probes (segments of phase "probe"), the matrix is in nats per probe: S steps on
    the realised mixture p lower the losses by A p S / h, h the steps of a probe. Where all rows of A sum to 0
    (a common trend was taken off), what the probes fell beyond A p is added. Other laws have no such unit:
    one scale >= 0 for all targets is fitted by least squares to the spans before, forgetting, and the
    first span is not predicted.

    The 95% interval has two parts. Sweeps of probes beyond the first show the noise s^2 of a probe's fall,
    which adds up over steps to s^2 S / h (or VALIDATION_ERROR^2, where measured and larger). The matrix's
    error is s^2 x^T (X^T X)^-1 x / h^2, x [m] the steps on each group. Probes of a single sweep give no
    interval. Drift of the law is in neither: it shows as low coverage.

    Two baselines: no change; and the trend, every target's mean fall per step over the last spans,
    forgetting, whatever the mixture.

    Args:
        before, after: `law_matrix` of the method's state before and after the record.
        paired: whether measurements without steps read the same held-out sequences as those before them.
            Where they may not (`Evaluator` with automatic sizes), spans between the two are left out.
    """
    request, seen = record
    losses = seen.values.get(Signal.VALIDATION_LOSS)
    span = trust.span
    if losses is None and not span.losses.size and (after is None or trust.score.laws):
        return trust, None
    if request.steps:
        span = _trained(span, record, before)
    scored = None
    if losses is not None:
        if span.losses.size and span.steps and (paired or request.steps or not span.stepped):
            trust, scored = _ended(trust, span, record)
        span = Span(
            losses, np.zeros_like(span.fall), 0, np.zeros_like(span.mixture), stepped=request.steps > 0
        )
    trust = trust._replace(span=span)
    if after is not None and not _same(after, before):
        trust = _estimated(trust, request, after)
    return trust, scored


def _same(after: Array, before: Array | None) -> bool:
    return after is before or (before is not None and np.array_equal(after, before))


def _trained(span: Span, record: Record, matrix: Array | None) -> Span:
    """The span with one more segment; where the loss was weighed, weights are the mixture in effect."""
    request, seen = record
    shares = seen.drawn
    if request.loss_weights is not None:
        weights = np.where(seen.drawn > 0, request.loss_weights, 0.0)
        shares = weights if weights.any() else shares
    mixture = request.steps * normalise(shares)
    return span._replace(
        steps=span.steps + request.steps,
        mixture=span.mixture + mixture,
        known=span.known and matrix is not None,
        phase=request.phase,
        fall=span.fall if matrix is None else span.fall + matrix @ mixture,
    )


def _ended(trust: Trust, span: Span, record: Record) -> tuple[Trust, Scored | None]:
    """Score the span, learn its trend and scale from it, and keep it if it was a probe."""
    request, seen = record
    basis, running = trust.basis, trust.running
    losses = seen.values[Signal.VALIDATION_LOSS]
    fall, scored, score = span.losses - losses, None, trust.score
    scale = 1 / basis.horizon if basis.horizon else running.up / running.down if running.down > 0 else 0.0
    if span.known and scale > 0 and running.steps:
        predicted = scale * (span.fall + span.steps * basis.intercept)
        usual = running.falls * (span.steps / running.steps)
        score = _scored(score, fall, predicted, usual, _interval(basis, span, record))
        scored = Scored(seen.step, span.steps, span.phase, span.losses, span.losses - predicted, losses)
    up, down = (float(span.fall @ fall), float(span.fall @ span.fall)) if span.known else (0.0, 0.0)
    running = Running(
        FORGET * running.falls + fall,
        FORGET * running.steps + span.steps,
        FORGET * running.up + up,
        FORGET * running.down + down,
    )
    trust = trust._replace(running=running, score=score)
    if request.phase == "probe" and span.steps == request.steps:
        trust = trust._replace(
            mixtures=np.vstack([trust.mixtures, span.mixture / span.steps]),
            falls=np.vstack([trust.falls, fall]),
        )
    return trust, scored


def _scored(score: Score, fall: Array, predicted: Array, usual: Array, half: Array | None) -> Score:
    miss = np.abs(fall - predicted)
    error, trend = float(miss @ miss), float((fall - usual) @ (fall - usual))
    return Score(
        score.laws,
        score.spans + 1,
        score.error + error,
        score.still + float(fall @ fall),
        score.trend + trend,
        score.covered + (0 if half is None else len(fall)),
        score.inside + (0 if half is None else int((miss <= half + ROUNDING).sum())),
    )


def _interval(basis: Basis, span: Span, record: Record) -> Array | None:
    """[n] half the width of the 95% interval; None where the probes show no spread."""
    if not basis.freedom:
        return None
    spread = max(float(span.mixture @ basis.gram @ span.mixture), 0.0) / basis.horizon**2
    error = record.observation.values.get(Signal.VALIDATION_ERROR, 0.0)
    noise = np.maximum(basis.noise * (span.steps / basis.horizon), np.square(error))
    return student(basis.freedom) * np.sqrt(noise + basis.noise * spread)


def _estimated(trust: Trust, request: Request, matrix: Array) -> Trust:
    """A new matrix: what its probes say about its unit and its errors."""
    x, y = trust.mixtures, trust.falls
    intercept, noise = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    gram, freedom, horizon = np.zeros((0, 0)), 0, 0.0
    if len(x) and request.steps:
        horizon = float(request.steps)
        if (np.abs(matrix.sum(axis=1)) <= ROUNDING * np.abs(matrix).max()).all():
            intercept = y.mean(axis=0) - matrix @ x.mean(axis=0)
        freedom = len(x) - int(np.count_nonzero(x.any(axis=0)))
    if horizon and freedom > 0:
        gram = np.linalg.pinv(x.T @ x, rcond=RANK, hermitian=True)
        noise = ((y - x @ (gram @ (x.T @ y))) ** 2).sum(axis=0) / freedom
    basis = Basis(horizon, intercept, noise, gram, max(freedom, 0) if horizon else 0)
    score = trust.score._replace(laws=trust.score.laws + 1)
    return trust._replace(basis=basis, mixtures=x[:0], falls=y[:0], score=score)


def trust_along(
    methods: Sequence[Method[Any]], journal: Journal, paired: bool = True
) -> tuple[Trust, tuple[Scored, ...]]:
    """The fold over a recorded run, and every span that was predicted.

    Args:
        methods: one for each of the journal's problems. paired: as of `follow`.
    """
    trust, problem, scored = begin_trust(journal.problem), journal.problem, list[Scored]()
    for owner, record, before, after in steps_along(methods, journal):
        if owner is not problem:
            trust, problem = regrouped(trust, owner), owner
        trust, span = follow(trust, record, law_matrix(before), law_matrix(after), paired)
        scored += [span] if span else []
    return trust, tuple(scored)


def student(freedom: int) -> float:
    """97.5% quantile of Student's t, to 1% (Cornish-Fisher expansion).

    >>> [round(student(k), 2) for k in (1, 4, 10, 100)]
    [12.71, 2.77, 2.23, 1.98]
    """
    if freedom <= len(FEW):
        return FEW[freedom - 1]
    z, k = NORMAL, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / k + second / k**2 + third / k**3
