"""Searching the simplex by drawing mixtures: for laws that are no formula, and for the next runs to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.solvers.evaluate import binding, in_nats
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.static_law import FittedLaw

__all__ = ["BestCandidates"]

HALVINGS = 80
INSIDE = 1e-9


@dataclass(frozen=True)
class BestCandidates:
    """The mean of the `best` of `candidates` mixtures p ~ Dirichlet(strength x reference), as predicted.

    A candidate outside the bounds is replaced by clip(theta p, lower, upper) with the theta that makes it
    sum to 1, its nearest allowed mixture in KL divergence; those that break another limit, or cannot be
    brought inside without groups that they do not have, are dropped. Bounds and distance limits are convex,
    so the mean keeps to them. Without a reference, candidates are drawn around equal proportions.

    References:
        arXiv 2407.01492 (RegMix).
    Departures:
        RegMix knows no bounds at this stage; without any, nothing is replaced or dropped.
    """

    candidates: int = 100_000
    best: int = 128
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.candidates:
            raise InputError(
                f"best must be from 1 to the number of candidates, {self.candidates}, got {self.best}"
            )
        if not (np.isfinite(self.strength) and self.strength > 0):
            raise InputError(f"strength must be positive, got {self.strength}")

    def solve(
        self,
        fitted: FittedLaw,
        problem: MixtureProblem,
        replicates: Sequence[FittedLaw] = (),
        *,
        size: float | None = None,
        tokens: float | None = None,
        seed: int = 0,
    ) -> Solution:
        """The mean of the best candidates; replicates play no part.

        Raises:
            InputError: caution above 0, or fewer than `best` candidates within the limits.
        """
        if problem.caution:
            raise InputError("this search takes no caution: use `aioli solve`, which does")
        best, dropped = self.ranked(fitted, problem, size=size, tokens=tokens, seed=seed)
        p = best.mean(axis=0)
        p = p / p.sum()
        losses = _predict(fitted, p[None], size, tokens)
        notes = [f"{dropped:,} of {self.candidates:,} candidates were outside the limits"] if dropped else []
        if problem.loss_limits is not None and (losses[0] > problem.loss_limits).any():
            notes.append("the mean of the candidates exceeds a limit on losses that each of them keeps")
        return Solution(
            proportions=p,
            losses=losses[0],
            objective=float(_values(problem, losses, p[None])[0]),
            status="local",
            solver=f"mean of the best {self.best} of {self.candidates:,} candidates",
            binding=binding(problem, p, losses[0]),
            notes=tuple(notes),
        )

    def ranked(
        self,
        fitted: FittedLaw,
        problem: MixtureProblem,
        *,
        size: float | None = None,
        tokens: float | None = None,
        seed: int = 0,
    ) -> tuple[Array, int]:
        """The best candidates [best, m], best first, and how many of all were dropped.

        Raises:
            InputError: fewer than `best` candidates within the limits.
        """
        drawn = _inside(self._draw(problem, seed), *problem.box)
        drawn = drawn[_near(problem, drawn)]
        losses = _predict(fitted, drawn, size, tokens) if len(drawn) else np.zeros((0, problem.n))
        if problem.loss_limits is not None:
            kept = (losses <= problem.loss_limits).all(axis=1)
            drawn, losses = drawn[kept], losses[kept]
        if len(drawn) < self.best:
            raise InputError(
                f"{len(drawn)} of {self.candidates:,} candidates are within the limits, fewer than the "
                f"{self.best} to average: loosen the limits, or draw more candidates"
            )
        order = np.argsort(_values(problem, losses, drawn), kind="stable")[: self.best]
        return drawn[order], self.candidates - len(drawn)

    def propose(self, best: Array, done: Array, count: int, seed: int = 0) -> Array:
        """[count, m] mixtures to run next: drawn from the best candidates, none of which is `done` [k, m].

        Raises:
            InputError: fewer new mixtures than asked for.
        """
        distance = np.abs(best[:, None, :] - done[None]).sum(axis=2).min(axis=1) / 2
        new = np.unique(best[distance > 1e-3], axis=0)
        if len(new) < count:
            raise InputError(
                f"{count} new runs were asked for, and {len(new)} of the best {self.best} candidates are "
                "new: ask for fewer, or keep more candidates"
            )
        return new[np.random.default_rng(seed).choice(len(new), count, replace=False)]

    def _draw(self, problem: MixtureProblem, seed: int) -> Array:
        centre = np.full(problem.m, 1 / problem.m) if problem.reference is None else problem.reference
        some = centre > 0
        drawn = np.zeros((self.candidates, problem.m))
        random = np.random.default_rng(seed)
        drawn[:, some] = random.dirichlet(self.strength * centre[some], self.candidates)
        return drawn


def _inside(drawn: Array, lower: Array, upper: Array) -> Array:
    """[<= k, m] the candidates within the box, or as near to themselves as it allows (see the class)."""
    if (drawn >= lower).all() and (drawn <= upper).all():
        return drawn
    below, above = np.full(len(drawn), -700.0), np.full(len(drawn), 700.0)  # log theta
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        short = np.clip(np.exp(middle)[:, None] * drawn, lower, upper).sum(axis=1) < 1
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    moved = np.clip(np.exp(above)[:, None] * drawn, lower, upper)
    return moved[np.abs(moved.sum(axis=1) - 1) <= INSIDE]


def _near(problem: MixtureProblem, drawn: Array) -> Array:
    """[k] True within the distance limits."""
    if problem.reference is None:
        return np.ones(len(drawn), dtype=bool)
    variation = np.abs(drawn - problem.reference).sum(axis=1) / 2
    return (variation <= problem.max_variation) & (_divergence(drawn, problem.reference) <= problem.max_kl)


def _divergence(drawn: Array, reference: Array) -> Array:
    """[k] KL(p || reference) in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(drawn > 0, drawn * np.log(drawn / reference), 0.0)
    return terms.sum(axis=1)


def _values(problem: MixtureProblem, losses: Array, drawn: Array) -> Array:
    """[k] the objective with its penalty."""
    values = losses @ problem.weights if problem.objective == "mean_loss" else in_nats(problem, losses)
    if problem.kl and problem.reference is not None:
        values = values + problem.kl * _divergence(drawn, problem.reference)
    return values


def _predict(fitted: FittedLaw, drawn: Array, size: float | None, tokens: float | None) -> Array:
    scales = [None if one is None else np.full(len(drawn), float(one)) for one in (size, tokens)]
    return fitted.predict(drawn, *scales)
