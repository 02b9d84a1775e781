"""The best mixture under a law that is not convex: many starts, and exchanges that keep to the limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.projections import project_kl
from aioli.protocol import Array
from aioli.solvers import evaluate
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.static_law import FittedLaw

__all__ = ["World", "search"]

DRAWS = 4000
"""Random mixtures, in equal parts Dirichlet(1), Dirichlet(0.3) and around the reference."""
CLIMBERS = 8
"""Of the best starts that are improved."""
PAIRS = 600
"""Exchanges tried at a time; all of them where there are fewer."""
FIRST, LAST = 0.1, 1e-6
"""Proportion moved at first, and the one at which the search stops."""
DIFFERENCE = 1e-5
"""Proportion moved to measure a slope."""
STEPS = 400
MET = 1e-10
"""A violation that counts as none."""


def search(
    fitted: FittedLaw,
    problem: MixtureProblem,
    replicates: Sequence[FittedLaw] = (),
    *,
    size: float | None = None,
    tokens: float | None = None,
    seed: int = 0,
    starts: Array | None = None,
) -> Solution:
    """The best mixture found from random starts, corners of the bounds and `starts` [k, m].

    From each of the best, share moves between pairs of groups and along the measured slope, ever less, as
    long as that lowers the objective. A mixture that meets the limits always counts as better than one
    that does not, and of two that do not the one that misses them by less.

    Raises:
        InputError: a law of other sizes than the problem, or limits that no mixture found meets.
    """
    rng = np.random.default_rng(seed)
    world = World(fitted, problem, replicates, size, tokens)
    pool = world.within(_starts(problem, rng, starts))
    order = world.order(*world.scores(pool))
    tried = [_climb(world, pool[row], rng) for row in _apart(pool, order)]
    best = min(tried, key=lambda one: (one[1], one[2]))
    p, missed, value = best
    losses = world.losses(p[None])[0]
    if missed > 0:
        over = evaluate.violations(problem, p, losses)
        names = [*(f"the limit of {t}" for t in problem.targets), "max_kl", "max_variation"]
        raise InputError(
            f"no mixture found meets all limits: the best misses {names[int(over.argmax())]} by "
            f"{over.max():.4g}: loosen it, or caps and floors"
        )
    return Solution(
        p,
        losses,
        value,
        "local",
        f"search from {len(pool)} starts",
        binding=evaluate.binding(problem, p, losses),
        notes=("the law is not convex: the best of many starts, with no bound on what is better",),
    )


class World:
    """A problem with its law: mixtures to what they are worth."""

    def __init__(
        self,
        fitted: FittedLaw,
        problem: MixtureProblem,
        replicates: Sequence[FittedLaw],
        size: float | None,
        tokens: float | None,
    ) -> None:
        self.fitted, self.problem, self.replicates = fitted, problem, replicates
        self.size, self.tokens = size, tokens
        self.lower, self.upper = problem.box
        wanted = np.full(problem.m, 1 / problem.m) if problem.reference is None else problem.reference
        self.centre = project_kl(wanted, self.lower, self.upper)

    def losses(self, mixtures: Array, law: FittedLaw | None = None) -> Array:
        """[k, n] predicted."""
        scale = [None if s is None else np.full(len(mixtures), s) for s in (self.size, self.tokens)]
        found = (law or self.fitted).predict(mixtures, *scale)
        if found.shape != (len(mixtures), self.problem.n):
            raise InputError(f"the law has {found.shape[1]} targets, the problem {self.problem.n}")
        return found

    def scores(self, mixtures: Array) -> tuple[Array, Array]:
        """[k] by how much limits are missed (0 when met), and objectives."""
        known = self.losses(mixtures)
        others = np.array([self.losses(mixtures, law) for law in self.replicates])
        values = evaluate.objective(self.problem, mixtures, known, others if len(others) else None)
        missed = evaluate.violations(self.problem, mixtures, known).max(axis=-1)
        return np.where(missed > MET, missed, 0.0), values

    @staticmethod
    def order(missed: Array, values: Array) -> Array:
        """Best first."""
        return np.lexsort((values, missed))

    def within(self, mixtures: Array) -> Array:
        """[k, m] moved into the bounds, and towards the centre until distances are kept."""
        return self.kept(np.array([project_kl(p, self.lower, self.upper) for p in mixtures]))

    def kept(self, mixtures: Array) -> Array:
        """[k, m] within the bounds, moved towards the centre until distances are kept."""
        far = self._far(mixtures)
        if not far.any() or self._far(self.centre[None])[0]:
            return mixtures
        moved, away = mixtures.copy(), self.centre - mixtures[far]
        low, high = np.zeros(len(away)), np.ones(len(away))  # the part of the way to the centre
        for _ in range(50):
            middle = (low + high) / 2
            outside = self._far(mixtures[far] + middle[:, None] * away)
            low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        moved[far] += high[:, None] * away
        return moved

    def _far(self, mixtures: Array) -> NDArray[np.bool_]:
        nothing = np.zeros((len(mixtures), self.problem.n))
        return evaluate.violations(self.problem, mixtures, nothing)[:, -2:].max(axis=-1) > 0


def _starts(problem: MixtureProblem, rng: np.random.Generator, given: Array | None) -> Array:
    """[k, m] random mixtures, one-hot ones, the uniform one and the reference."""
    m, each = problem.m, DRAWS // 3
    uniform = np.full(m, 1 / m)
    centre = uniform if problem.reference is None else problem.reference
    spread = np.maximum(centre, 1e-3)
    parts = [rng.dirichlet(np.full(m, a), each) for a in (1.0, 0.3)]
    parts += [rng.dirichlet(spread * s, each // 4) for s in (1.0, 5.0, 25.0, 125.0)]
    return np.vstack([*parts, np.eye(m), uniform, centre, *([] if given is None else [given])])


def _apart(pool: Array, order: Array) -> list[int]:
    """The best rows that are not close to a better one."""
    chosen: list[int] = []
    for row in order[: 50 * CLIMBERS]:
        if all(np.abs(pool[row] - pool[other]).sum() > 0.1 for other in chosen):
            chosen.append(int(row))
        if len(chosen) == CLIMBERS:
            break
    return chosen


def _climb(world: World, p: Array, rng: np.random.Generator) -> tuple[Array, float, float]:
    """p improved until neither exchanges nor the slope help; with its violation and its objective."""
    missed, values = world.scores(p[None])
    best, amount = (float(missed[0]), float(values[0])), FIRST
    for _ in range(STEPS):
        moves = np.vstack([_exchanged(world, p, amount, rng), _downhill(world, p, amount)])
        missed, values = world.scores(moves)
        first = int(world.order(missed, values)[0])
        ahead = (float(missed[first]), float(values[first]))
        if ahead[0] < best[0] or (ahead[0] == best[0] and ahead[1] < best[1] - 1e-12):
            p, best = moves[first], ahead
        elif amount < LAST:
            break
        else:
            amount /= 2
    return p, *best


def _exchanged(world: World, p: Array, amount: float, rng: np.random.Generator) -> Array:
    """[k, m] mixtures where one group gave another up to `amount`, as far as bounds and distances allow."""
    m = p.size
    pairs = np.array([(i, j) for i in range(m) for j in range(m) if i != j]).reshape(-1, 2)
    if len(pairs) > PAIRS:
        pairs = pairs[rng.choice(len(pairs), PAIRS, replace=False)]
    gives, takes = pairs[:, 0], pairs[:, 1]
    room = np.minimum(p[gives] - world.lower[gives], world.upper[takes] - p[takes])
    moved = np.clip(room, 0, amount)
    moves = np.repeat(p[None], len(pairs), axis=0)
    rows = np.arange(len(pairs))
    moves[rows, gives] -= moved
    moves[rows, takes] += moved
    return world.kept(moves[moved > 0])


def _downhill(world: World, p: Array, amount: float) -> Array:
    """[k, m] mixtures along the measured slope of the objective, projected."""
    m = p.size
    nudged = p + DIFFERENCE * (np.eye(m) - p)
    _, values = world.scores(np.vstack([p, nudged]))
    slope = (values[1:] - values[0]) / DIFFERENCE
    slope = np.where(np.isfinite(slope), slope, 0.0)
    largest = np.abs(slope).max()
    if not largest > 0:
        return p[None]
    sizes = amount * 4.0 ** np.arange(-2, 3) / largest
    steps = [p * np.exp(-size * slope / max(amount, 1e-3)) for size in sizes]
    steps += [p - size * (slope - slope.mean()) for size in sizes]
    return world.within(np.array([step / step.sum() for step in np.maximum(steps, 0)]))
