"""The t confidence sequence: its level holds under looks after every seed, and it decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from aioli.analysis.sequential import SPREAD, Stopping, critical, evidence, sequence_interval
from aioli.analysis.statistics import interval
from aioli.errors import InputError


def bayes_factor(sample: np.ndarray) -> float:
    """The two marginal likelihoods by quadrature: over the spread (density 1 / s), and over the effect."""

    def under(effect: float) -> float:
        def density(log_spread: float) -> float:
            s = np.exp(log_spread)
            return float(np.exp(-0.5 * ((sample / s - effect) ** 2).sum() - sample.size * log_spread))

        return integrate.quad(density, -6, 8, limit=200)[0]

    def weighed(effect: float) -> float:
        return under(effect) * np.exp(-0.5 * effect**2 / SPREAD) / np.sqrt(2 * np.pi * SPREAD)

    return integrate.quad(weighed, -15, 15, limit=200)[0] / under(0.0)


@pytest.mark.parametrize("sample", [[0.3, 1.1], [1.0, 1.4, 0.7, 1.2], [-0.2, 0.5, 0.1, -0.4, 0.6]])
def test_the_evidence_is_the_bayes_factor(sample: list[float]) -> None:
    assert evidence(sample) == pytest.approx(bayes_factor(np.array(sample)), rel=1e-5)


def test_the_level_holds_under_a_look_after_every_seed() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 2.0, (1500, 30))
    looks = range(2, 31)
    ours = [any(evidence(sample[:k]) >= 20 for k in looks) for sample in samples]
    fixed = [
        any((i := interval(sample[:k])).low > 0 or i.high < 0 for k in looks)  # type: ignore[operator]
        for sample in samples[:300]
    ]
    assert np.mean(ours) < 0.05
    assert np.mean(fixed) > 0.15  # what it is for


@given(
    st.lists(st.floats(-5, 5), min_size=5, max_size=12).filter(lambda x: np.std(x) > 1e-3),
    st.floats(-10, 10),
    st.floats(0.01, 100),
)
def test_the_interval_is_what_the_evidence_has_not_refuted(
    sample: list[float], shift: float, unit: float
) -> None:
    found = sequence_interval(sample)
    assert found.low is not None and found.high is not None
    for bound in (found.low, found.high):
        assert evidence(sample, bound) == pytest.approx(20, rel=1e-6)
    moved = sequence_interval(unit * np.array(sample) + shift)
    assert moved.low == pytest.approx(unit * found.low + shift, abs=1e-6 * unit + 1e-9)


def test_too_few_seeds_refute_nothing() -> None:
    for k in (1, 2, 3):
        assert sequence_interval([1.0, 1.0001, 0.9999][:k]).low is None
    assert sequence_interval([1.0, 1.01, 0.99, 1.0]).low > 0  # type: ignore[operator]
    assert sequence_interval([]).mean is None and sequence_interval([1.0, float("inf")]).mean is None


def test_it_stops_for_a_difference_and_for_none_that_matters() -> None:
    rng = np.random.default_rng(1)
    clear, none, noisy = 5 + 0.2 * rng.normal(size=20), 0.05 * rng.normal(size=20), rng.normal(size=20)
    rule = Stopping(margin=0.5)

    def seeds(changes: np.ndarray) -> int | None:
        return next((k for k in range(1, 21) if rule.verdict(changes[:k])), None)

    assert seeds(clear) == 4 and seeds(none) in (4, 5)
    assert seeds(noisy) is None
    assert not Stopping(margin=0.5, least=10).verdict(clear[:9])


@pytest.mark.parametrize("wrong", [{"margin": -1}, {"margin": float("nan")}, {"least": 1}, {"alpha": 1.0}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"stopping.{next(iter(wrong))}"):
        Stopping(**wrong)  # type: ignore[arg-type]


def test_equal_methods_are_seldom_told_apart_and_cost_few_seeds() -> None:
    rng = np.random.default_rng(2)
    rule = Stopping(margin=0.5, alpha=0.05)
    for sd, most_seeds in ((1.0, 20.0), (0.3, 9.5), (0.1, 4.6)):
        found = [rule.decision((sd * rng.normal(size=20)).tolist()) for _ in range(300)]
        wrong = np.mean([each.verdict in ("lower", "higher") for each in found])
        assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
        assert np.mean([each.pairs for each in found]) <= most_seeds
    right = [rule.decision((1.5 + 0.5 * rng.normal(size=20)).tolist()) for _ in range(300)]
    assert np.mean([each.verdict == "higher" for each in right]) > 0.99
    assert np.mean([each.pairs for each in right]) < 5.5


def test_seeds_without_a_result_decide_nothing_and_later_ones_do_not_count() -> None:
    clear = [2.0, 2.1, 1.9, 2.0]
    assert Stopping().decision([None, *clear[:2], None, *clear[2:], -50.0, -60.0]) == ("higher", 6, 4)
    assert Stopping().decision([*clear[:3], None]) == (None, 4, 3)
    assert Stopping(margin=0).decision([0.0] * 9) == ("equal", 4, 4)  # the same run under two names
    assert Stopping(alpha=1e-6).first == 9 and critical(1) is None
