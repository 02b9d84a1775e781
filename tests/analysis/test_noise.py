"""What a number of seeds can show, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.analysis.noise import MOST_SEEDS, detectable, noise_of, power, seeds_needed
from aioli.analysis.statistics import interval


def found(effect: float, sd: float, seeds: int, repetitions: int = 4000) -> float:
    """How often the 95% interval excludes zero, simulated."""
    rng = np.random.default_rng(seeds)
    samples = rng.normal(effect, sd, (repetitions, seeds))
    intervals = [interval(sample) for sample in samples]
    return float(np.mean([not (i.low <= 0 <= i.high) for i in intervals]))


@pytest.mark.parametrize(("effect", "sd", "seeds"), [(1.0, 1.0, 5), (0.5, 0.7, 10), (0.0, 1.0, 5), (3, 1, 3)])
def test_power_is_how_often_the_interval_excludes_zero(effect: float, sd: float, seeds: int) -> None:
    assert power(effect, sd, seeds) == pytest.approx(found(effect, sd, seeds), abs=0.025)


def test_what_is_detectable_is_found_four_times_out_of_five() -> None:
    for seeds in (3, 5, 20):
        assert power(detectable(0.6, seeds), 0.6, seeds) == pytest.approx(0.8, abs=1e-3)


def test_the_fewest_seeds_are_the_fewest() -> None:
    for effect in (0.3, 0.8, 2.0):
        needed = seeds_needed(1.0, effect)
        assert needed is not None
        assert power(effect, 1.0, needed) >= 0.8
        assert needed == 2 or power(effect, 1.0, needed - 1) < 0.8


def test_what_no_number_of_seeds_shows_is_said() -> None:
    assert seeds_needed(1.0, 0.0) is None
    assert seeds_needed(1.0, 0.01) is None and power(0.01, 1.0, MOST_SEEDS) < 0.8
    assert noise_of([1.0]) is None and noise_of([1.0, float("nan")]) is None


def test_without_noise_two_seeds_are_enough() -> None:
    assert noise_of([0.5, 0.5, 0.5]) == (0.0, 0.0, 2)
