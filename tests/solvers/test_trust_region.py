"""The trust region: against a convex solver, its limits, and what it must not depend on."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli import InputError, Mixer, Problem
from aioli.estimators import Probes
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.methods.parts import build_part
from aioli.solvers import TrustRegion
from aioli.solvers.trust_region import best_within
from aioli.testing.worlds import LinearWorld, run


def kl(p: np.ndarray, q: np.ndarray) -> float:
    kept = p > 0
    return float(np.sum(p[kept] * np.log(p[kept] / q[kept])))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_a_convex_solver_finds(seed):
    rng = np.random.default_rng(seed)
    m = 2 + seed % 8
    start, gain, radius = rng.dirichlet(np.ones(m)), rng.normal(size=m), float(rng.uniform(0.001, 0.5))
    x = cp.Variable(m)
    within = [cp.sum(x) == 1, cp.sum(cp.rel_entr(x, start)) <= radius]
    solved = cp.Problem(cp.Maximize(gain @ x), within)
    solved.solve(solver=cp.CLARABEL)
    _, p = best_within(start, gain, radius)
    assert gain @ p == pytest.approx(solved.value, abs=1e-6)
    np.testing.assert_allclose(p, x.value, atol=1e-4)
    assert kl(p, start) <= radius + 1e-9


def test_two_groups_by_hand():
    """From (1/2, 1/2) to (s, 1 - s) is log 2 - H(s) nats."""
    s = 0.8
    radius = np.log(2) + s * np.log(s) + (1 - s) * np.log(1 - s)
    eta, p = best_within(np.array([0.5, 0.5]), np.array([3.0, 1.0]), radius)
    np.testing.assert_allclose(p, [s, 1 - s], atol=1e-9)
    assert eta == pytest.approx(np.log(s / (1 - s)))  # for a spread of 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=8),
    st.floats(1e-4, 3),
    st.floats(1e-6, 1e6),
    st.integers(0, 1000),
)
def test_scale_and_common_trend_do_not_matter(gains, radius, scale, seed):
    gain = np.round(np.array(gains), 3)
    start = np.random.default_rng(seed).dirichlet(np.ones(gain.size)) * 0.9 + 0.1 / gain.size
    _, p = best_within(start, gain, radius)
    _, scaled = best_within(start, scale * (gain + 2.0), radius)
    np.testing.assert_allclose(scaled, p, atol=1e-5)
    assert kl(p, start) <= radius + 1e-9
    assert gain @ p >= gain @ start - 1e-12
    spread = gain.max() > gain.min()
    if spread and p[gain < gain.max()].any():
        assert kl(p, start) == pytest.approx(radius, rel=1e-5, abs=1e-12)


def test_a_radius_beyond_the_best_groups_leaves_nothing_else():
    start = np.array([0.2, 0.3, 0.5])
    gain = np.array([1.0, 1.0, 0.0])
    eta, p = best_within(start, gain, -np.log(0.5) + 1e-12)
    assert eta == float("inf")
    np.testing.assert_allclose(p, [0.4, 0.6, 0.0])
    eta, p = best_within(start, gain, -np.log(0.5) - 1e-3)
    assert np.isfinite(eta) and 0 < p[2] < 0.01
    assert best_within(start, np.zeros(3), 5.0) == (0.0, pytest.approx(start))


def test_groups_without_data_and_zero_proportions_stay_out():
    problem = Problem(("a", "b", "c"), (9, 0, 9), 10, 8)
    solver, now = TrustRegion(0.1), np.array([0.5, 0.0, 0.5])
    matrix = np.array([[1.0, 99.0, 0.0]] * 3)
    state, p = solver.step(problem, solver.init(problem, now), Linear(), now, matrix, np.ones(3))
    assert p[1] == 0 and p[0] > p[2] and state.eta > 0
    assert kl(p, now) == pytest.approx(0.1)


def test_it_finds_the_best_group_whatever_the_scale_of_the_losses():
    ends = []
    for scale in (1.0, 1e-4):
        problem = Problem(("a", "b"), (10**6,) * 2, 200, 8)
        world = LinearWorld(problem, 8, np.full(2, 9.0), scale * np.array([[1.0, 2.0], [0.5, 1.0]]))
        mixer = run(Mixer(Lmo(Linear(), Probes(1, 1), TrustRegion(0.02), round_steps=10), problem), world)
        ends.append(mixer.state.proportions)
    assert ends[0][1] > 0.95
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


def test_it_has_a_name_and_refuses_nonsense():
    assert build_part("solver", {"trust_region": {"radius": 0.1}}) == TrustRegion(0.1)
    for radius in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="radius must be a positive finite number of nats"):
            TrustRegion(radius)
