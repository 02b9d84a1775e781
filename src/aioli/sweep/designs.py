"""Designs: the mixtures [k, m] that the runs of a sweep are trained on.

Every design is a function of its arguments and a seed, and keeps to a `Region`: bounds of the proportions,
and a minimum below which a proportion becomes exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import qmc

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.sweep.region import Region

__all__ = [
    "STRENGTHS",
    "dirichlet",
    "distances",
    "grid",
    "grid_steps",
    "one_hot",
    "regmix",
    "smoothed",
    "space_filling",
    "suggested_runs",
    "uniform",
]

STRENGTHS = tuple(np.geomspace(0.1, 5, 15).tolist())
"""RegMix's concentrations: from mixtures of nearly one group to mixtures around the centre."""
STEP = 2e-4
"""RegMix rounds to multiples of this, and sets what is below it to 0."""
SAME = 5e-6
"""Mixtures that differ by less in every proportion count as one."""
MOST = 100_000
"""A grid may have this many mixtures at most."""
ROUNDS = 50


def suggested_runs(m: int, multiple: int = 3) -> int:
    """How many runs to make for m groups: multiple (m + 1), a law of m + 1 numbers for each target in mind.

    >>> suggested_runs(7)
    24

    References: OlmixBase (arXiv 2602.12237) recommends 3 (m + 1).
    """
    return multiple * (m + 1)


def dirichlet(
    centre: Array, runs: int, region: Region, *, strengths: Sequence[float] = STRENGTHS, seed: int = 0
) -> Array:
    """Draws of Dirichlet(s centre), s taken at random from `strengths` anew for each run.

    Floors f come first: p = f + (1 - sum f) q with q drawn around what the centre has above them. Draws
    beyond a cap are moved onto it (`Region.restrict`). A small s gives mixtures of few groups, s much
    larger than m mixtures near the centre.

    Args:
        centre: [m] proportions; those outside the region are moved into it.

    Raises:
        InputError: strengths that are not positive, or fewer different mixtures than runs.
    """
    if not strengths or not all(0 < s < np.inf for s in strengths):
        raise InputError(f"strengths must be positive numbers, at least one, got {list(strengths)}")
    if not region.free.any():
        return _distinct(iter([region.lower[None]]), runs)
    rng = np.random.default_rng(seed)
    room = 1 - region.lower.sum()
    base = np.maximum(region.restrict(centre[None])[0] - region.lower, 0)
    base = base / base.sum()

    def draws() -> Iterator[Array]:
        for _ in range(ROUNDS):
            s = rng.choice(np.asarray(strengths), size=runs)
            yield region.restrict(region.lower + room * _draw(rng, base * s[:, None]))

    return _distinct(draws(), runs)


def regmix(prior: Array, runs: int = 512, *, seed: int = 0) -> Array:
    """The mixtures of RegMix's small runs around a prior [m].

    Dirichlet(s b) with b the normalised square root of the prior and s drawn from 15 log-spaced strengths;
    refused where a p_j exceeds min(15 prior_j, 1); what is below 2e-4 set to 0, the rest rounded to
    multiples of 2e-4; copies dropped; `runs` of 100 times as many chosen at random.

    Raises:
        InputError: fewer different mixtures than runs.

    References: arXiv 2407.01492, sail-sg/regmix.
    Departures: rows are renormalised after rounding, so that they sum to 1.
    """
    rng = np.random.default_rng(seed)
    base, most = np.sqrt(prior) / np.sqrt(prior).sum(), np.minimum(15 * prior, 1)
    found = np.empty((0, prior.size))
    for _ in range(ROUNDS):
        drawn = _draw(rng, base * rng.choice(np.asarray(STRENGTHS), size=100 * runs)[:, None])
        drawn = rounded(drawn[(drawn <= most).all(axis=1)])
        found = np.unique(np.concatenate([found, drawn]), axis=0)
        if len(found) >= runs:
            chosen = found[rng.choice(len(found), runs, replace=False)]
            return chosen / chosen.sum(axis=1, keepdims=True)
    raise _too_few(len(found), runs)


def rounded(points: Array) -> Array:
    """RegMix's rounding of rows [k, m]; their sums may differ from 1 by m / 2 steps.

    >>> rounded(np.array([[0.9003, 0.0996, 0.0001]]))
    array([[0.9004, 0.0996, 0.    ]])
    """
    kept = np.where(points < STEP, 0.0, points)
    return np.round(np.round(kept / kept.sum(axis=1, keepdims=True) / STEP) * STEP, 10)


def uniform(runs: int, region: Region, *, seed: int = 0) -> Array:
    """Mixtures spread evenly over the simplex by a scrambled Sobol' sequence, moved into the region.

    Coordinates u in [0, 1) become exponentials -ln(1 - u), which divided by their sum are uniform on the
    simplex of the groups that are not fixed; floors are added as in `dirichlet`.
    """
    free, room = np.flatnonzero(region.free), 1 - region.lower.sum()
    power = max(int(np.ceil(np.log2(max(runs, 2)))), 1)
    sobol = qmc.Sobol(max(free.size, 1), seed=seed)  # pyright: ignore[reportCallIssue] # "rng" since SciPy 1.15
    u = sobol.random_base2(power)[:runs]
    spacings = -np.log1p(-np.clip(u, 1e-12, 1 - 1e-12))
    points = np.tile(region.lower, (runs, 1))
    if free.size:
        points[:, free] += room * spacings / spacings.sum(axis=1, keepdims=True)
    return region.restrict(points)


def space_filling(runs: int, region: Region, *, seed: int = 0, start: Array | None = None) -> Array:
    """Mixtures that keep as far as possible from each other, chosen from many evenly spread ones.

    Farthest points first; then, while it helps, one of the two nearest is exchanged for the candidate that
    is farthest from all others. The distance is half the sum of absolute differences.

    Args:
        start: [k0, m] mixtures that are there already, to keep away from; they are not returned.

    Raises:
        InputError: fewer different mixtures than runs.
    """
    many = uniform(max(1024, 16 * runs), region, seed=seed)
    candidates = _distinct(iter([many]), None)
    there = np.empty((0, region.m)) if start is None else start
    if len(candidates) < runs:
        raise _too_few(len(candidates), runs)
    first = candidates.mean(axis=0, keepdims=True) if not len(there) else there
    nearest = distances(candidates, first).min(axis=1)
    chosen = [int(np.argmin(nearest) if not len(there) else np.argmax(nearest))]
    nearest = distances(candidates, there).min(axis=1) if len(there) else np.full(len(candidates), np.inf)
    for _ in range(runs - 1):
        nearest = np.minimum(nearest, distances(candidates, candidates[chosen[-1:]])[:, 0])
        chosen.append(int(np.argmax(nearest)))
    return candidates[_spread(candidates, chosen, there)]


def one_hot(region: Region) -> Array:
    """As much of one group as the region allows, for each group that is not fixed."""
    return smoothed(region, 1.0)


def smoothed(region: Region, focus: float = 0.75) -> Array:
    """One run for each group that is not fixed: `focus` of it, the other groups in equal shares.

    These are the probe mixtures of Aioli. Fixed groups keep their proportions.

    >>> smoothed(Region.simplex(3), 0.5)
    array([[0.5 , 0.25, 0.25],
           [0.25, 0.5 , 0.25],
           [0.25, 0.25, 0.5 ]])

    Raises:
        InputError: a focus outside (0, 1], or no group that is free.

    References: arXiv 2411.05735.
    """
    if not 0 < focus <= 1:
        raise InputError(f"focus, the weight of each run's own group, must be in (0, 1], got {focus}")
    free = np.flatnonzero(region.free)
    if not free.size:
        raise InputError("every proportion is fixed: there is one mixture, and nothing to design")
    points = np.where(region.free, 0.0, region.lower)[None].repeat(free.size, axis=0)
    room, others = 1 - points[:1].sum(), max(free.size - 1, 1)
    points[:, free] = room * np.where(np.eye(free.size, dtype=bool), focus, (1 - focus) / others)
    found = region.restrict(points / points.sum(axis=1, keepdims=True))
    return _distinct(iter([found]), None)


def grid(steps: int, region: Region) -> Array:
    """All mixtures whose free proportions, above their floors, are multiples of 1/steps of the room left.

    Those beyond a cap or below the minimum are left out.

    >>> grid(2, Region.simplex(2))
    array([[0. , 1. ],
           [0.5, 0.5],
           [1. , 0. ]])

    Raises:
        InputError: more than 100,000 mixtures, or none within the region.
    """
    free, room = np.flatnonzero(region.free), 1 - region.lower.sum()
    if steps < 1:
        raise InputError(f"a grid needs at least 1 step, got {steps}")
    count = comb(steps + free.size - 1, free.size - 1) if free.size else 1
    if count > MOST:
        raise InputError(
            f"a grid of steps of 1/{steps} over {free.size} free groups has {count:,} mixtures, more than "
            f"{MOST:,}: take larger steps, or another design"
        )
    points = np.tile(region.lower, (count, 1))
    bars = np.array(list(combinations(range(steps + free.size - 1), free.size - 1)), dtype=np.int64)
    edges = np.pad(bars.reshape(count, -1), ((0, 0), (1, 1)), constant_values=(-1, steps + free.size - 1))
    if free.size:
        points[:, free] += room * (np.diff(edges, axis=1) - 1) / steps
    found = points[region.contains(points)]
    if not len(found):
        raise InputError(
            f"none of the {count:,} mixtures of a grid in steps of 1/{steps} is within the bounds"
        )
    return found


def grid_steps(runs: int, region: Region) -> int:
    """The finest steps of a grid that has at most so many mixtures before bounds leave some out.

    Raises:
        InputError: fewer runs than free groups, the number of mixtures of the coarsest grid.
    """
    free = int(region.free.sum())
    if runs < max(free, 1):
        raise InputError(f"a grid over {free} free groups has at least {free} mixtures, got {runs} runs")
    steps = 1
    while free > 1 and comb(steps + free, free - 1) <= runs:
        steps += 1
    return steps


def distances(first: Array, second: Array) -> Array:
    """[k, l] share of the data by which mixtures [k, m] and [l, m] differ: sum_j |p_j - q_j| / 2.

    >>> distances(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [0.75, 0.25]]))
    array([[1.  , 0.25]])
    """
    return cdist(first, second, "cityblock") / 2


def _draw(rng: np.random.Generator, alpha: Array) -> Array:
    """One Dirichlet draw for each row [k, m]; concentrations however small, 0 gives 0.

    ln Gamma(a) is drawn as ln Gamma(a + 1) + ln(U) / a, which does not underflow.
    """
    logs = np.log(rng.standard_gamma(alpha + 1))
    uniforms = 1 - rng.random(alpha.shape)
    some = alpha > 0
    logs = np.where(some, logs + np.log(uniforms) / np.where(some, alpha, 1), -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _distinct(batches: Iterator[Array], runs: int | None) -> Array:
    """The first `runs` different rows (None: all) of the batches, in their order."""
    seen: dict[tuple[int, ...], Array] = {}
    for batch in batches:
        for row in batch:
            seen.setdefault(tuple(np.round(row / SAME).astype(np.int64).tolist()), row)
        if runs is not None and len(seen) >= runs:
            break
    if runs is not None and len(seen) < runs:
        raise _too_few(len(seen), runs)
    return np.array(list(seen.values())[:runs])


def _too_few(found: int, runs: int) -> InputError:
    return InputError(
        f"the bounds and the minimum weight leave {found} different mixtures of this design, {runs} were "
        "asked for: ask for fewer runs, or widen the bounds"
    )


def _spread(candidates: Array, chosen: list[int], there: Array) -> list[int]:
    """The choice after exchanges that each make the smallest distance larger."""
    chosen = list(chosen)
    for _ in range(4 * len(chosen)):
        points = np.concatenate([candidates[chosen], there])
        between = distances(candidates[chosen], points)
        between[np.arange(len(chosen)), np.arange(len(chosen))] = np.inf
        smallest = between.min()
        worst = int(np.argmin(between.min(axis=1)))
        others = np.delete(points, worst, axis=0)
        if not len(others):
            break
        reach = distances(candidates, others).min(axis=1)
        best = int(np.argmax(reach))
        if reach[best] <= smallest + 1e-12:
            break
        chosen[worst] = best
    return chosen
