"""Fitted laws of every convex kind with numbers drawn at random, and problems over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from aioli.solvers import convex
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses, Terms

KINDS = ("exponential", "power", "inverse", "steep", "mixed")


class Law:
    """A law that is its `ConvexLosses`; with `told` False it does not say so."""

    def __init__(self, losses: ConvexLosses, told: bool = True) -> None:
        self.losses, self.told = losses, told

    def predict(self, mixtures, size=None, tokens=None):
        return convex.values(self.losses, mixtures)

    def convex(self, size=None, tokens=None):
        return self.losses if self.told else None

    def to_json(self) -> dict[str, Any]:
        return {}


def losses_of(kind: str, rng: np.random.Generator, m: int, n: int) -> ConvexLosses:
    """[n] losses of one kind; mixed: the kinds in turn, some with two terms and linear parts."""
    every, one = np.arange(n), np.ones(n)
    exponentials = Terms(every, one, rng.normal(0, 0.3, n), rng.normal(-0.5, 1.5, (n, m)))
    powers = Terms(every, one, rng.exponential(0.2 / m, (n, m)), rng.uniform(0.2, 1, (n, m)))
    inverses = Terms(every, one, rng.exponential(1, (n, m)), rng.uniform(0.2, 1, (n, m)))
    constant, linear = rng.uniform(1, 2, n), np.zeros((n, m))
    if kind == "exponential":
        return ConvexLosses(constant, linear, exponentials)
    if kind == "power":
        return ConvexLosses(constant, linear, powers=powers)
    if kind == "inverse":
        return ConvexLosses(constant, linear, inverses=inverses)
    steep = inverses._replace(power=rng.uniform(0.3, 2, n))
    if kind == "steep":
        return ConvexLosses(constant, linear, inverses=steep)
    parts = [t.rows(every % 3 != k) for k, t in enumerate((exponentials, powers, steep))]
    return ConvexLosses(constant, rng.normal(0, 0.1, (n, m)), *parts)


def golden_losses(rows: list[list[float]]) -> ConvexLosses:
    """One exponential exp(t . p) a target."""
    t = np.array(rows)
    n = len(t)
    return ConvexLosses(np.zeros(n), np.zeros(t.shape), Terms(np.arange(n), np.ones(n), np.zeros(n), t))


def problem_of(rng: np.random.Generator, losses: ConvexLosses, **given: Any) -> MixtureProblem:
    """Caps, floors, and whatever is given; the reference is inside all bounds."""
    n, m = losses.linear.shape
    q = rng.dirichlet(np.ones(m))
    lower, upper = q * rng.uniform(0, 0.5, m) * (rng.random(m) < 0.3), np.maximum(3 * q, 0.1)
    values = {"weights": rng.dirichlet(np.ones(n)), "lower": lower, "upper": upper, "reference": q}
    return MixtureProblem(**(values | given))


def feasible(problem: MixtureProblem, losses: ConvexLosses, p: np.ndarray, off: float = 1e-9) -> bool:
    """Whether p meets everything, checked from the definitions."""
    q, kept = problem.reference, p > 0
    limits = np.full(problem.n, np.inf) if problem.loss_limits is None else problem.loss_limits
    return bool(
        abs(p.sum() - 1) < off
        and (p >= problem.lower - off).all()
        and (p <= problem.upper + off).all()
        and np.sum(p[kept] * np.log(p[kept] / q[kept])) <= problem.max_kl + off
        and np.abs(p - q).sum() / 2 <= problem.max_variation + off
        and (convex.values(losses, p) <= limits + off).all()
    )
