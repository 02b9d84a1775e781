"""The fit of power laws against planted ones and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from aioli.laws.power import HUBER, fit_power_laws

COUNTS = np.linspace(8e3, 3.2e5, 200)


def planted(groups: int, noise: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    floor, exponent = rng.uniform(0.6, 3, groups), rng.uniform(0.1, 0.7, groups)
    scale = rng.uniform(0.5, 3, groups) * 1e4**exponent
    losses = floor + scale * COUNTS[:, None] ** -exponent
    return floor, scale, exponent, losses * np.exp(noise * rng.normal(size=losses.shape))


def test_planted_laws_are_found_exactly_without_noise():
    floor, scale, exponent, losses = planted(50, 0.0)
    law = fit_power_laws(np.log(COUNTS), losses)
    np.testing.assert_allclose(np.exp(law.log_floor), floor, rtol=1e-6)
    np.testing.assert_allclose(law.exponent, exponent, rtol=1e-6)
    np.testing.assert_allclose(np.exp(law.log_scale), scale, rtol=1e-5)


def test_outliers_and_noise_do_not_move_it_far():
    _, _, exponent, losses = planted(20, 0.005)
    losses[::17] *= 1.5
    law = fit_power_laws(np.log(COUNTS), losses)
    assert np.median(np.abs(law.exponent - exponent)) < 0.02


@given(st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_the_losses_does_not_matter(unit):
    """Easy groups, whose loss ends below 1.65 nats, are fitted as well as hard ones."""
    _, _, _, losses = planted(4, 0.003, seed=3)
    law, scaled = (fit_power_laws(np.log(COUNTS), factor * losses) for factor in (1.0, unit))
    np.testing.assert_allclose(scaled.exponent, law.exponent, atol=1e-3)
    np.testing.assert_allclose(scaled.log_floor - np.log(unit), law.log_floor, atol=5e-3)


def huber_sum(theta, losses) -> float:
    """The sum that the fit minimises, written anew; theta = log B, alpha, log E."""
    size = np.abs(np.log(losses) - np.log(np.exp(theta[0]) * COUNTS ** -theta[1] + np.exp(theta[2])))
    return float(np.where(size <= HUBER, size**2 / 2, HUBER * (size - HUBER / 2)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_scipy_finds_nothing_better(seed):
    _, _, _, losses = planted(1, 0.01, seed)
    law = fit_power_laws(np.log(COUNTS), losses)
    ours = huber_sum([law.log_scale[0], law.exponent[0], law.log_floor[0]], losses[:, 0])
    low = losses.min()
    bounds = [(-5.0, 20.0), (1e-3, 0.8), (np.log(0.1 * low), np.log(low))]
    theirs = min(
        minimize(
            huber_sum,
            [np.log(scale) + alpha * np.log(8e4), alpha, np.log(share * low)],
            args=(losses[:, 0],),
            bounds=bounds,
            method="Nelder-Mead",
            options={"maxiter": 600},
        ).fun
        for alpha in (0.15, 0.4, 0.7)
        for scale in (0.3, 1.0)
        for share in (0.5, 0.9)
    )
    assert ours <= theirs * (1 + 1e-3)


def test_a_loss_that_does_not_fall_gives_finite_numbers():
    law = fit_power_laws(np.log(COUNTS), np.stack([np.full(200, 2.0), np.linspace(2, 3, 200)], axis=1))
    assert np.isfinite(np.stack(law)).all()
    assert (law.reducible(np.log(4e5)) >= 0).all()


@pytest.mark.parametrize("losses", [np.ones((60, 2)), np.linspace(1, 2, 60)[:, None], np.full((60, 1), 1e-3)])
def test_losses_that_no_power_law_explains_still_give_finite_numbers(losses: np.ndarray) -> None:
    law = fit_power_laws(np.log(np.linspace(1e3, 1e5, 60)), losses)
    assert all(np.isfinite(part).all() for part in law)
