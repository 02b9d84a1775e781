"""All mixtures that the data cannot tell from the best one, described by ranges and by a few members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aioli.errors import InputError
from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import evaluate
from aioli.solvers.feasibility import mended
from aioli.solvers.minimise import minimise, minimise_convex
from aioli.solvers.newton import solve_smooth
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.solvers.search import World
from aioli.solvers.smooth import range_program
from aioli.static_law import ConvexLosses, FittedLaw

__all__ = ["NearOptimal", "near_optimal"]

LEAST = 1e-6
"""Nats; a smaller tolerance is raised to it."""
APART = 0.01
"""Members differ from each other by this variation at least."""
ENOUGH = 1e-6
"""Gap up to which an end of a range is known."""
FEW = 1e-3
"""Proportions are spread around this at least when mixtures are tried."""
SAMPLES = 500


@dataclass(frozen=True, eq=False)
class NearOptimal:
    """The mixtures that a problem allows with an objective of at most the optimum's + tolerance.

    Attributes:
        best: the optimum. tolerance: in nats.
        lower, upper: [m] least and largest proportion of each group among these mixtures.
        members: [k, m] some of them, far from the best and from each other; the best comes first.
        exact: True where the ranges are solved for (convex laws); otherwise they are those of the mixtures
            tried, and the real ones are wider.
    """

    best: Solution
    tolerance: float
    lower: Array
    upper: Array
    members: Array
    exact: bool


def near_optimal(
    fitted: FittedLaw,
    problem: MixtureProblem,
    replicates: Sequence[FittedLaw] = (),
    *,
    tolerance: float | None = None,
    confidence: float = 0.9,
    members: int = 5,
    size: float | None = None,
    tokens: float | None = None,
    seed: int = 0,
) -> NearOptimal:
    """The set of mixtures as good as the best one within the noise of the fit.

    Each replicate b of the fit (bootstrap) has an optimum p_b of its own. What choosing it would cost under
    the fitted law, F(p_b) - F(p*), is the loss that noise of this size brings; the tolerance is the
    `confidence` quantile of it over the replicates. So the set holds that part of the replicates' optima,
    and, as far as the bootstrap imitates the noise and the law is right, the true optimum about as often.

    Args:
        tolerance: in nats, in place of the one from replicates.
        members: how many mixtures are named at most.

    Raises:
        InputError: neither replicates nor a tolerance, values out of range, or as of `minimise`.
    """
    if tolerance is None and len(replicates) < 2:
        raise InputError(
            "how good is as good: give replicates of the fit (bootstrap), or a tolerance in nats"
        )
    if (tolerance is not None and not tolerance >= 0) or not 0 < confidence < 1:
        raise InputError(f"tolerance must be >= 0 and confidence in (0, 1), got {tolerance}, {confidence}")
    best = minimise(fitted, problem, replicates, size=size, tokens=tokens, seed=seed)
    laws = [law.convex(size, tokens) for law in (fitted, *replicates)]
    known = [law for law in laws if law is not None]
    if len(known) < len(laws):
        world = World(fitted, problem, replicates, size, tokens)
        return _sampled(world, best, tolerance, confidence, members, seed)
    given = _tolerance(problem, best, known, confidence) if tolerance is None else tolerance
    cautious = known[1:] if problem.caution > 0 else []
    ends = _ends(known[0], problem, cautious, best, max(given, LEAST))
    lower, upper = (
        np.minimum(ends.min(axis=0), best.proportions),
        np.maximum(ends.max(axis=0), best.proportions),
    )
    return NearOptimal(best, given, lower, upper, _diverse(best.proportions, ends, members), True)


def _tolerance(problem: MixtureProblem, best: Solution, laws: list[ConvexLosses], confidence: float) -> float:
    """Quantile of what the replicates' optima, under the fitted law's limits, lose by the fitted law."""
    plain = replace(problem, caution=0.0)
    here = float(evaluate.objective(plain, best.proportions, best.losses))
    alone = replace(problem, caution=0.5)  # the worst share of one replicate is that replicate
    lost: list[float] = []
    for law in laws[1:]:
        found = minimise_convex(laws[0], alone, [law])
        if found is not None:
            lost.append(float(evaluate.objective(plain, found.proportions, found.losses)) - here)
    return max(float(np.quantile(lost, confidence)), 0.0) if lost else 0.0


def _ends(
    losses: ConvexLosses,
    problem: MixtureProblem,
    replicates: Sequence[ConvexLosses],
    best: Solution,
    tolerance: float,
) -> Array:
    """[2 f, m] for each free group the mixtures within the tolerance that have least and most of it."""
    lower, upper = problem.box
    program = range_program(losses, problem, replicates, best.objective + tolerance, np.zeros(problem.m))
    ends = [best.proportions]
    for group in np.flatnonzero(upper > lower):
        for sign in (1.0, -1.0):
            on_p = program.on_p.copy()
            on_p[-1, group] = sign
            found = solve_smooth(program._replace(on_p=on_p), lower, upper)
            if found.gap < ENOUGH:
                p = project_kl(np.clip(found.proportions, lower, upper), lower, upper)
                ends.append(mended(losses, problem, p))
    return np.array(ends)


def _sampled(
    world: World, best: Solution, given: float | None, confidence: float, members: int, seed: int
) -> NearOptimal:
    """The same from mixtures tried at random, around the best one and anywhere."""
    rng, problem, p = np.random.default_rng(seed), world.problem, best.proportions
    draws = [rng.dirichlet(np.maximum(p, FEW) * 3.0**k, SAMPLES) for k in range(1, 9)]
    swaps = [
        p + part * (np.eye(problem.m)[:, None] - np.eye(problem.m)) for part in 0.2 * 0.4 ** np.arange(6)
    ]
    moved = np.maximum(np.vstack([one.reshape(-1, problem.m) for one in swaps]), 0.0)
    pool = world.within(np.vstack([p, *draws, moved / moved.sum(axis=1, keepdims=True)]))
    missed, values = world.scores(pool)
    pool, values = pool[missed == 0], values[missed == 0]
    tolerance = given
    if tolerance is None:
        mean = evaluate.in_nats(problem, world.losses(pool))
        chosen = [
            int(evaluate.in_nats(problem, world.losses(pool, law)).argmin()) for law in world.replicates
        ]
        tolerance = max(float(np.quantile(mean[chosen] - mean[0], confidence)), 0.0)
    close = pool[values <= best.objective + max(tolerance, LEAST)]
    every = np.vstack([p, close])
    return NearOptimal(
        best, tolerance, every.min(axis=0), every.max(axis=0), _diverse(p, close, members), False
    )


def _diverse(best: Array, others: Array, count: int) -> Array:
    """[k, m] the best and then, one by one, whatever is farthest from those before it."""
    chosen = [best]
    while len(chosen) < count and len(others):
        distance = np.min([np.abs(others - one).sum(axis=1) / 2 for one in chosen], axis=0)
        if distance.max() < APART:
            break
        chosen.append(others[int(distance.argmax())])
    return np.array(chosen)
