"""Designs: what their mixtures are, and that all of them keep to the bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.sweep import designs
from aioli.sweep.designs import dirichlet, distances, grid, one_hot, smoothed, space_filling, suggested_runs
from aioli.sweep.optimal_design import optimal
from aioli.sweep.region import Region


def closest(mixtures: np.ndarray) -> float:
    between = distances(mixtures, mixtures)
    np.fill_diagonal(between, np.inf)
    return float(between.min())


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """Bounds around some mixture, a few groups fixed or without a floor, and a minimum weight."""
    m = draw(st.integers(2, 7))
    inside = np.array(draw(st.lists(st.floats(0.02, 1), min_size=m, max_size=m)))
    inside /= inside.sum()
    shares = [np.array(draw(st.lists(st.floats(0, 1), min_size=m, max_size=m))) for _ in range(2)]
    lower = inside * np.where(shares[0] < 0.5, 0, shares[0])
    upper = inside + (1 - inside) * shares[1]
    if draw(st.booleans()):
        lower[0] = upper[0] = inside[0]
    try:
        return Region(lower, upper, draw(st.sampled_from([0.0, 0.01, 0.05])))
    except InputError:
        assume(False)
        raise


@settings(max_examples=30, deadline=None)
@given(regions(), st.integers(0, 99))
def test_every_design_keeps_to_caps_floors_fixed_shares_and_the_minimum(region: Region, seed: int) -> None:
    assume(region.free.any())
    made = [one_hot(region), smoothed(region, 0.6), designs.uniform(8, region, seed=seed)]
    for make in (
        lambda: dirichlet(np.full(region.m, 1 / region.m), 5, region, seed=seed),
        lambda: space_filling(4, region, seed=seed),
        lambda: grid(6, region),
    ):
        try:
            made.append(make())
        except InputError as error:
            assert "mixtures" in str(error)
    for mixtures in made:
        assert region.contains(mixtures).all(), (region, mixtures)
        if region.minimum:
            positive = mixtures[:, region.lower == 0]
            assert not ((positive > 0) & (positive < region.minimum - 1e-9)).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(5, 40), st.integers(0, 999))
def test_space_filling_beats_random_in_its_smallest_distance(m: int, runs: int, seed: int) -> None:
    region = Region.simplex(m)
    rng = np.random.default_rng(seed)
    random = [closest(rng.dirichlet(np.ones(m), runs)) for _ in range(20)]
    assert closest(space_filling(runs, region, seed=seed)) > max(random)


def test_more_runs_are_placed_away_from_those_that_are_there() -> None:
    region = Region.simplex(3)
    first = space_filling(8, region)
    more = space_filling(8, region, start=first)
    assert distances(more, first).min() > 0.1
    assert closest(np.concatenate([first, more])) > 0.6 * closest(space_filling(16, region))


def test_the_same_seed_gives_the_same_design_and_another_does_not() -> None:
    region, centre = Region.simplex(4, 0.01), np.array([0.4, 0.3, 0.2, 0.1])
    for make in (
        lambda seed: dirichlet(centre, 6, region, seed=seed),
        lambda seed: space_filling(6, region, seed=seed),
        lambda seed: designs.regmix(centre, 6, seed=seed),
        lambda seed: optimal("log_linear", 6, region, seed=seed),
    ):
        assert np.array_equal(make(3), make(3))
        assert not np.array_equal(make(3), make(4))


def test_dirichlet_draws_have_the_mean_and_spread_of_their_centre_and_strength() -> None:
    centre, region = np.array([0.5, 0.3, 0.15, 0.05]), Region.simplex(4)
    for strength in (3.0, 50.0):  # below, copies of one-group mixtures are left out
        drawn = dirichlet(centre, 8000, region, strengths=[strength], seed=1)
        assert drawn.mean(axis=0) == pytest.approx(centre, abs=0.02)
        assert drawn.var(axis=0) == pytest.approx(centre * (1 - centre) / (strength + 1), rel=0.12)
    floors = Region(np.array([0.1, 0, 0.1, 0]), np.ones(4))
    drawn = dirichlet(centre, 4000, floors, strengths=[2.0])
    assert drawn.min(axis=0)[[0, 2]].min() >= 0.1
    assert drawn.mean(axis=0) == pytest.approx(centre, abs=0.02)


def test_tiny_concentrations_do_not_underflow() -> None:
    drawn = dirichlet(np.full(5, 0.2), 5, Region.simplex(5, 0.01), strengths=[1e-4])
    assert np.array_equal(np.sort(drawn, axis=0), np.sort(np.eye(5), axis=0))


def test_regmix_rounding_and_bounds() -> None:
    sample = np.array([[0.9003, 0.0996, 0.0001], [0.33333, 0.33333, 0.33334]])
    made = designs.rounded(sample)
    assert made == pytest.approx(np.array([[0.9004, 0.0996, 0], [0.3334, 0.3334, 0.3334]]), abs=1e-12)
    assert made[1].sum() == pytest.approx(1.0002)
    prior = np.array([0.7, 0.25, 0.05])
    drawn = designs.regmix(prior, 512, seed=0)
    assert drawn.shape == (512, 3) and drawn.sum(axis=1) == pytest.approx(1)
    assert drawn[:, 2].max() <= 0.75 + 2e-4 and drawn[:, 0].max() > 0.95
    assert len(np.unique(drawn, axis=0)) == 512
    assert (drawn == 0).any() and drawn[drawn > 0].min() >= 1e-4
    base = np.sqrt(prior) / np.sqrt(prior).sum()
    assert base == pytest.approx([0.536229, 0.320458, 0.143313], abs=1e-6)
    assert drawn.mean(axis=0) == pytest.approx(base, abs=0.08)


def test_one_hot_and_smoothed_runs_take_as_much_of_their_group_as_they_may() -> None:
    assert np.array_equal(one_hot(Region.simplex(3)), np.eye(3))
    capped = one_hot(Region(np.array([0, 0.2, 0.1]), np.array([0.3, 1, 0.1])))
    assert capped == pytest.approx(np.array([[0.3, 0.6, 0.1], [0, 0.9, 0.1]]))
    probes = smoothed(Region.simplex(4), 0.7)
    assert np.diag(probes) == pytest.approx(0.7) and probes.sum(axis=1) == pytest.approx(1)
    with pytest.raises(InputError, match=r"must be in \(0, 1\], got 1.5"):
        smoothed(Region.simplex(4), 1.5)


def test_grids() -> None:
    assert len(grid(4, Region.simplex(3))) == 15
    inside = grid(10, Region(np.array([0.1, 0, 0.2]), np.array([1, 0.45, 0.2])))
    assert inside[:, 2] == pytest.approx(0.2) and len(inside) == 7  # steps of .07 up to .45
    assert [designs.grid_steps(runs, Region.simplex(3)) for runs in (3, 5, 6, 14, 15)] == [1, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"has 20,030,010 mixtures, more than 100,000"):
        grid(10, Region.simplex(20))
    with pytest.raises(InputError, match="has at least 5 mixtures, got 4 runs"):
        designs.grid_steps(4, Region.simplex(5))


@pytest.mark.parametrize(
    ("lower", "upper", "minimum", "said"),
    [
        ([0.6, 0.5], [1, 1], 0, "sum to 1.1, more than 1"),
        ([0, 0], [0.4, 0.5], 0, "sum to 0.9, less than 1"),
        ([0, 0.05], [0.98, 0.7], 0.99, r"caps below the minimum weight 0.99 count as 0\): raise some"),
        ([0.95, 0, 0], [0.95, 1, 1], 0.1, "least proportions sum to 1.05"),
        ([0, 0], [1, 2], 0, "0 <= lower <= upper <= 1"),
    ],
)
def test_bounds_that_no_mixture_meets(lower: list, upper: list, minimum: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Region(np.array(lower), np.array(upper), minimum)


def test_a_group_whose_cap_is_below_the_minimum_is_in_no_mixture() -> None:
    region = Region(np.zeros(3), np.array([1, 0.8, 0.02]), 0.05)
    assert one_hot(region) == pytest.approx(np.array([[1, 0, 0], [0.2, 0.8, 0]]))


def test_fewer_mixtures_than_runs_is_said_with_their_number() -> None:
    only = Region(np.array([0.5, 0.2, 0.3]), np.array([0.5, 0.2, 0.3]))
    with pytest.raises(InputError, match="leave 1 different mixtures of this design, 4 were asked for"):
        space_filling(4, only)
    with pytest.raises(InputError, match="strengths must be positive"):
        dirichlet(np.array([0.5, 0.5]), 3, Region.simplex(2), strengths=[0.0])


def test_three_runs_for_each_number_of_a_law() -> None:
    assert [suggested_runs(m) for m in (2, 7, 17)] == [9, 24, 54]
