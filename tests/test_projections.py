"""Projections onto bounds and the simplex: against a convex solver, and what must hold for every input."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.projections import project_euclidean, project_kl


def boxes(seed: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random point and bounds that some mixture meets; zeros and bounds without a choice among them."""
    rng = np.random.default_rng(seed)
    inside = rng.dirichlet(np.full(m, 0.7))
    lower = inside * rng.uniform(0, 1, m) * (rng.random(m) < 0.6)
    upper = np.minimum(inside + rng.exponential(1 / m, m) * (rng.random(m) < 0.8), 1)
    held = rng.random(m) < 0.2
    lower[held] = upper[held] = inside[held]
    point = rng.dirichlet(np.full(m, rng.choice([0.1, 1.0, 10.0])))
    point[rng.random(m) < 0.2] = 0
    return point / max(point.sum(), 1e-9), lower, upper


@pytest.mark.parametrize("seed", range(30))
def test_both_are_what_a_convex_solver_finds(seed):
    m = 2 + seed % 9
    point, lower, upper = boxes(seed, m)
    some = point > 0
    if not some.any():
        return
    x = cp.Variable(m)
    box = [x >= lower, x <= upper, cp.sum(x) == 1]
    cp.Problem(cp.Minimize(cp.sum_squares(x - point)), box).solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(project_euclidean(point, lower, upper), x.value, atol=2e-6)
    if upper[some].sum() + lower[~some].sum() > 1 + 1e-6:
        zeros = [x[~some] == lower[~some]] if (~some).any() else []
        distance = cp.sum(cp.rel_entr(x[some], point[some]))
        problem = cp.Problem(cp.Minimize(distance), box + zeros)
        problem.solve(solver=cp.CLARABEL)
        ours = project_kl(point, lower, upper)
        kept = ours[some] > 0
        value = np.sum(ours[some][kept] * np.log(ours[some][kept] / point[some][kept]))
        assert value <= problem.value + 1e-7
        np.testing.assert_allclose(ours, x.value, atol=2e-5)


entries = st.one_of(st.just(0.0), st.floats(0, 1), st.sampled_from([1e-300, 1e-180, 1e-20, 1e-9]))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    m = draw(st.integers(1, 12))
    size = dict(min_size=m, max_size=m)
    inside, point = (np.array(draw(st.lists(entries, **size))) for _ in range(2))
    assume(inside.sum() > 1e-6 and point.sum() > 1e-6)
    inside, point = inside / inside.sum(), point / point.sum()
    down, up = (np.array(draw(st.lists(entries, **size))) for _ in range(2))
    return point, inside * (1 - down), inside + (1 - inside) * up


@settings(max_examples=300, deadline=None)
@given(problems(), st.sampled_from([project_kl, project_euclidean]))
def test_the_result_is_feasible_and_stays_where_it_is(problem, project):
    point, lower, upper = problem
    x = project(point, lower, upper)
    assert (x >= lower * (1 - 1e-12)).all() and (x <= upper * (1 + 1e-12)).all()
    assert abs(x.sum() - 1) < 1e-12
    assert project(x, lower, upper) is x


@settings(max_examples=300, deadline=None)
@given(problems())
def test_groups_between_their_bounds_keep_their_ratios_or_differences(problem):
    point, lower, upper = problem
    for project in (project_kl, project_euclidean):
        x = project(point, lower, upper)
        between = (x > lower + 1e-9) & (x < upper - 1e-9) & (point > 1e-9)
        moved = x[between] / point[between] if project is project_kl else x[between] - point[between]
        np.testing.assert_allclose(moved, moved[:1].repeat(moved.size), rtol=1e-6, atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([project_kl, project_euclidean]))
def test_no_feasible_point_is_nearer(problem, project):
    point, lower, upper = problem
    point = 0.999 * point + 0.001 / point.size
    x = project(point, lower, upper)

    def distance(y: np.ndarray) -> float:
        if project is project_euclidean:
            return float(np.sum((y - point) ** 2))
        safe = np.where(y > 0, y, 1.0)
        return float(np.sum(np.where(y > 0, y * np.log(safe / point), 0.0)))

    for giver in range(point.size):
        for taker in range(point.size):
            room = min(x[giver] - lower[giver], upper[taker] - x[taker], 1e-3)
            if giver != taker and room > 1e-6:
                step = np.zeros(point.size)
                step[giver], step[taker] = -room / 2, room / 2
                assert distance(x + step) >= distance(x) - 1e-12


def test_zeros_stay_at_their_lower_bounds_until_the_others_are_full():
    point = np.array([0.5, 0.5, 0.0, 0.0])
    low = np.array([0.0, 0.0, 0.1, 0.0])
    roomy = project_kl(point, low, np.array([0.6, 0.4, 1.0, 1.0]))
    np.testing.assert_allclose(roomy, [0.5, 0.4, 0.1, 0.0])
    full = project_kl(point, low, np.array([0.3, 0.2, 1.0, 1.0]))
    np.testing.assert_allclose(full, [0.3, 0.2, 0.25, 0.25])
    bounded = project_kl(point, low, np.array([0.3, 0.2, 1.0, 0.05]))
    np.testing.assert_allclose(bounded, [0.3, 0.2, 0.45, 0.05])


def test_a_tiny_proportion_can_carry_what_the_others_may_not():
    point = np.array([1 - 3e-20, 1e-20, 2e-20])
    x = project_kl(point, np.zeros(3), np.array([0.1, 1.0, 1.0]))
    np.testing.assert_allclose(x, [0.1, 0.3, 0.6], rtol=1e-12)


def test_far_away_points_come_back():
    x = project_euclidean(np.array([1e6 + 0.5, 1e6 + 0.3, -1e6]), np.zeros(3), np.array([0.55, 1, 1]))
    np.testing.assert_allclose(x, [0.55, 0.45, 0.0], atol=1e-9)


@pytest.mark.parametrize("project", [project_kl, project_euclidean])
@pytest.mark.parametrize(
    ("lower", "upper"), [([0.6, 0.6], [1, 1]), ([0, 0], [0.4, 0.4]), ([0.3, 0.0], [0.2, 1.0])]
)
def test_bounds_that_nothing_meets_are_refused(project, lower, upper):
    with pytest.raises(InputError, match="no proportions lie between these bounds"):
        project(np.array([0.5, 0.5]), np.array(lower), np.array(upper))
