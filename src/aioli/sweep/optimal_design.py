"""D- and A-optimal designs: runs from which the numbers of a chosen law can be told most precisely.

With noise of equal size, the information of runs p_1 ... p_k about a law's parameters is M = sum_i f_i f_i^T,
f_i [q] the slopes of the predicted loss of run i in the parameters. D-optimal runs have the largest log det M
(the smallest volume of the confidence region), A-optimal ones the smallest trace of its inverse (the smallest
summed variance). Slopes of a law that is not linear in its parameters depend on them: the logarithm of the
criterion is then averaged over draws from a prior.

References: V. Fedorov, Theory of Optimal Experiments, 1972; K. Chaloner and I. Verdinelli, Statistical
Science 10, 1995.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array
from aioli.sweep.designs import SAME, distances, one_hot, uniform
from aioli.sweep.designs import dirichlet as dirichlet_design
from aioli.sweep.region import Region

__all__ = ["FORMS", "Form", "candidate_mixtures", "choose", "optimal", "slopes"]

Criterion = Literal["D", "A"]
Predict = Callable[[Array, Array], Array]
RIDGE = 1e-6
"""Information that counts as there before any run, relative to that of the average candidate."""
LEAST_GAIN = 1e-3
"""An exchange that improves the criterion by a smaller share than this is not made."""
EXACT = 1e-2
"""A run with a leverage above 1 minus this is taken away by a new inverse, for the digits' sake."""
APART = 0.01
"""Candidates are at least this share of the widest distance in the region apart: nearer runs repeat."""
SWEEPS = 4
DRAWS = 8


class Form(NamedTuple):
    """A law as far as a design needs it.

    predict: (parameters [q], mixtures [k, m]) -> [k] losses of one target.
    draw: (generator, m) -> [q] parameters, plausible before any run.
    """

    predict: Predict
    draw: Callable[[np.random.Generator, int], Array]


def slopes(predict: Predict, parameters: Array, mixtures: Array) -> Array:
    """[k, q] derivatives of predicted losses in the parameters, by central differences.

    >>> slopes(lambda t, p: p @ t, np.array([1.0, 2.0]), np.array([[0.25, 0.75]])).round(6)
    array([[0.25, 0.75]])
    """
    steps = 1e-5 * np.maximum(np.abs(parameters), 1e-2)
    found = np.empty((len(mixtures), parameters.size))
    for j, step in enumerate(steps):
        move = np.zeros(parameters.size)
        move[j] = step
        up, down = predict(parameters + move, mixtures), predict(parameters - move, mixtures)
        found[:, j] = (up - down) / (2 * step)
    return found


def _linear(parameters: Array, mixtures: Array) -> Array:
    return mixtures @ parameters


def _log_linear(parameters: Array, mixtures: Array) -> Array:
    return parameters[0] + np.exp(mixtures @ parameters[1:])


def _additive(parameters: Array, mixtures: Array) -> Array:
    m = mixtures.shape[1]
    useful, powers = np.exp(parameters[1 : m + 1]), parameters[m + 1 :]
    return parameters[0] + 1 / (np.maximum(mixtures, 1e-3) ** powers @ useful)


FORMS = {
    "linear": Form(_linear, lambda rng, m: np.ones(m)),
    "log_linear": Form(_log_linear, lambda rng, m: np.append(2.0, rng.normal(0, 1, m))),
    "additive": Form(
        _additive,
        lambda rng, m: np.concatenate([[2.0], rng.normal(0, 0.7, m), rng.uniform(0.2, 0.6, m)]),
    ),
}
"""t . p; c + exp(t . p); E + 1 / sum_j exp(a_j) p_j^g_j with p_j at least .001. Their
priors say how far groups differ: by a factor of e or so."""


def candidate_mixtures(region: Region, *, seed: int = 0, count: int = 512) -> Array:
    """Where optimal runs are looked for: as much of one group as allowed, pairs, mixtures of few groups, and
    evenly spread ones, all within the region and all different."""
    corners = one_hot(region)
    first, second = np.triu_indices(len(corners), 1)
    rng = np.random.default_rng(seed)
    some = rng.permutation(first.size)[:count]
    pairs = region.restrict((corners[first[some]] + corners[second[some]]) / 2)
    centre = corners.mean(axis=0)
    few = region.restrict(dirichlet_design(centre, count, Region.simplex(region.m), seed=seed))
    every = np.concatenate([corners, pairs, few, uniform(count, region, seed=seed)])
    between = distances(every, every)
    apart = APART * between.max()
    between[np.triu_indices(len(every))] = np.inf
    return every[between.min(axis=1) > apart]


def optimal(
    law: str,
    runs: int,
    region: Region,
    *,
    criterion: Criterion = "D",
    done: Array | None = None,
    seed: int = 0,
) -> Array:
    """`runs` [k, m] different mixtures of best D- or A-criterion for a law of `FORMS`.

    Args:
        done: [k0, m] mixtures of runs that were made already, whose information counts; not returned.

    Raises:
        InputError: an unknown law, or fewer candidates within the region than runs.
    """
    if law not in FORMS:
        raise InputError(f"no optimal design for the law {law!r}; {nearest(law, FORMS)}")
    candidates = candidate_mixtures(region, seed=seed, count=max(512, 2 * runs))
    if done is not None and len(done):
        candidates = candidates[distances(candidates, done).min(axis=1) > SAME]
    form, rng = FORMS[law], np.random.default_rng(seed)
    draws = [form.draw(rng, region.m) for _ in range(1 if law == "linear" else DRAWS)]
    features = np.stack([slopes(form.predict, parameters, candidates) for parameters in draws])
    before = None
    if done is not None:
        before = np.stack([slopes(form.predict, parameters, done) for parameters in draws])
    return candidates[choose(features, runs, before, criterion=criterion, seed=seed)]


def choose(
    features: Array, runs: int, done: Array | None = None, *, criterion: Criterion = "D", seed: int = 0
) -> list[int]:
    """Which `runs` of c candidates are best, each at most once: greedily, then by exchanges.

    Each chosen run in turn is exchanged for the candidate that improves the criterion most, until none does
    (Fedorov's exchange algorithm): an optimum among single exchanges, in most cases the global one.

    Args:
        features: [d, c, q] slopes of the candidates under d draws of the parameters.
        done: [d, k0, q] slopes of runs whose information is there already.

    Raises:
        InputError: fewer candidates than runs, or another criterion.
    """
    if criterion not in ("D", "A"):
        raise InputError(f"the criterion of an optimal design is D or A, got {criterion!r}")
    if not 1 <= runs <= features.shape[1]:
        raise InputError(
            f"the bounds and the minimum weight leave {features.shape[1]} candidates for an optimal design, "
            f"{runs} runs were asked for: ask for fewer, or widen the bounds"
        )
    return _Exchange(features, done, criterion).run(runs)


class _Exchange:
    """The information M [d, q, q] of what is chosen, with F M^-1 [d, c, q] and the leverages f M^-1 f [d, c]
    of all candidates, which follow each change of M by a run (Sherman and Morrison)."""

    def __init__(self, features: Array, done: Array | None, criterion: Criterion) -> None:
        draws, count, size = features.shape
        ridge = RIDGE * (features**2).sum(axis=(1, 2)) / (count * size)
        self.features, self.criterion = features, criterion
        self.information = ridge[:, None, None] * np.tile(np.eye(size), (draws, 1, 1))
        if done is not None:
            self.information = self.information + done.swapaxes(1, 2) @ done
        self._refresh()

    def run(self, runs: int) -> list[int]:
        chosen: list[int] = []
        for _ in range(runs):
            gains = self._gains()
            gains[chosen] = -np.inf
            chosen.append(int(np.argmax(gains)))
            self._add(chosen[-1], 1)
        for _ in range(SWEEPS):
            self._refresh()
            before = list(chosen)
            for place, out in enumerate(before):
                self._add(out, -1)
                gains = self._gains()
                kept = gains[out]
                gains[chosen] = -np.inf
                best = int(np.argmax(gains))
                chosen[place] = best if gains[best] > kept * (1 + LEAST_GAIN) else out
                self._add(chosen[place], 1)
            if chosen == before:
                break
        return chosen

    def _refresh(self) -> None:
        inverse = np.linalg.inv(self.information)
        self.trace = np.trace(inverse, axis1=1, axis2=2)
        self.solved = self.features @ inverse
        self.leverage = (self.solved * self.features).sum(axis=2)

    def _add(self, candidate: int, sign: int) -> None:
        """Add a run, or take it away (sign -1)."""
        f, column = self.features[:, candidate], self.solved[:, candidate].copy()
        rest = 1 + sign * self.leverage[:, candidate]
        self.information = self.information + sign * f[:, :, None] * f[:, None, :]
        if rest.min() < EXACT:
            return self._refresh()
        shared = (self.features @ column[:, :, None])[:, :, 0]
        scaled = sign * shared / rest[:, None]
        self.solved -= scaled[:, :, None] * column[:, None, :]
        self.leverage -= scaled * shared
        self.trace -= sign * (column**2).sum(axis=1) / rest
        return None

    def _gains(self) -> Array:
        """[c] what adding each candidate improves the logarithm of the criterion by, mean over the draws."""
        if self.criterion == "D":
            return np.log1p(np.maximum(self.leverage, 0)).mean(axis=0)
        less = (self.solved**2).sum(axis=2) / (1 + self.leverage)
        return -np.log1p(-np.minimum(less / self.trace[:, None], 1 - 1e-9)).mean(axis=0)
