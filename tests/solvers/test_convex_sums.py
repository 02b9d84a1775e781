"""Values and derivatives of many losses at once, with their terms in any order."""

from __future__ import annotations

import numpy as np
import pytest
from tests.solvers.convex_laws import losses_of

from aioli.solvers import convex
from aioli.static_law import ConvexLosses

M, N, LAWS = 5, 4, 6


def many() -> tuple[list[ConvexLosses], np.ndarray]:
    rng = np.random.default_rng(3)
    laws = [losses_of("mixed", rng, M, N) for _ in range(LAWS)]
    return laws, rng.dirichlet(np.ones(M), 3)


def shuffled(losses: ConvexLosses) -> ConvexLosses:
    """The same with the terms of every kind in another order."""
    rng = np.random.default_rng(4)
    parts = [None if t is None else t.rows(rng.permutation(t.weight.size)) for t in losses[2:]]
    return ConvexLosses(losses.constant, losses.linear, *parts)


def test_laws_side_by_side_are_each_for_itself() -> None:
    laws, points = many()
    together = shuffled(convex.side_by_side(laws))
    for p in points:
        each = np.concatenate([convex.values(one, p) for one in laws])
        assert convex.values(together, p) == pytest.approx(each, abs=1e-14)
        slopes = np.concatenate([convex.gradients(one, p) for one in laws])
        assert convex.gradients(together, p) == pytest.approx(slopes, rel=1e-12)
    assert convex.values(together, points) == pytest.approx(
        np.array([convex.values(together, p) for p in points]), abs=1e-14
    )


def test_slopes_and_curvature_are_differences_of_values() -> None:
    laws, points = many()
    losses, p, step = shuffled(convex.side_by_side(laws)), points[0], 1e-6
    ahead = np.array([convex.values(losses, p + step * e) for e in np.eye(M)])
    back = np.array([convex.values(losses, p - step * e) for e in np.eye(M)])
    assert convex.gradients(losses, p) == pytest.approx((ahead - back).T / (2 * step), rel=1e-5, abs=1e-7)
    weights = np.random.default_rng(5).uniform(0, 1, N * LAWS)
    bends = [weights @ convex.gradients(losses, p + step * e) for e in np.eye(M)]
    before = [weights @ convex.gradients(losses, p - step * e) for e in np.eye(M)]
    expected = (np.array(bends) - np.array(before)) / (2 * step)
    assert convex.hessian(losses, p, weights) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_mean_of_laws_has_several_terms_a_target() -> None:
    laws, points = many()
    mean = shuffled(convex.averaged(laws))
    expected = np.mean([convex.values(one, points) for one in laws], axis=0)
    assert convex.values(mean, points) == pytest.approx(expected, abs=1e-13)
