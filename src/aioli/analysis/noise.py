"""How much of a difference is noise: what a number of seeds can detect, and how many a difference needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import nctdtr, nctdtrinc, stdtrit

from aioli.analysis.sequential import Stopping, critical
from aioli.protocol import Array

__all__ = ["MOST_SEEDS", "Noise", "detectable", "noise_of", "power", "seeds_needed", "seeds_to_decide"]

SIZE, POWER = 0.05, 0.8
MOST_SEEDS = 1000
"""No search for more seeds than this."""


class Noise(NamedTuple):
    """What paired differences of k seeds can and cannot show.

    Attributes:
        sd: sample standard deviation of the differences.
        detectable: the smallest true difference that k seeds of this noise find (interval excluding
            zero) four times out of five.
        seeds: how many seeds find a true difference as large as the measured mean four times out of five,
            or, under a stopping rule, after how many it decides if mean and spread stay as they are;
            None: more than `MOST_SEEDS`.
    """

    sd: float
    detectable: float
    seeds: int | None


def noise_of(differences: Sequence[float] | Array, rule: Stopping | None = None) -> Noise | None:
    """The noise of paired differences [k]; None for fewer than 2, or any that is not finite.

    Under a stopping rule, differences are percent changes, and its wider intervals are meant; then also
    None for so few that nothing can be decided.

    >>> noise_of([1.0, 2.0, 3.0])  # doctest: +ELLIPSIS
    Noise(sd=1.0, detectable=3.26..., seeds=5)
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < 2 or not np.isfinite(sample).all():
        return None
    sd, mean = float(sample.std(ddof=1)), float(sample.mean())
    if rule is None:
        return Noise(sd, detectable(sd, sample.size), seeds_needed(sd, mean))
    limit = critical(sample.size, rule.alpha)
    if limit is None:
        return None
    return Noise(sd, detectable(sd, sample.size, limit), seeds_to_decide(rule, sd, mean))


def power(effect: float, sd: float, seeds: int) -> float:
    """Probability that the 95% t interval of `seeds` differences around `effect` excludes zero.

    Both sides count, as the test is two-sided.
    """
    if sd == 0:
        return float(effect != 0)
    critical, shift = float(stdtrit(seeds - 1, 1 - SIZE / 2)), abs(effect) * np.sqrt(seeds) / sd
    # NaN stands for a tail too small for its series: many standard errors away
    below, far_below = np.nan_to_num(nctdtr(seeds - 1, shift, [critical, -critical]))
    return float(1 - below + far_below)


def detectable(sd: float, seeds: int, limit: float | None = None) -> float:
    """The smallest effect that `seeds` differences of standard deviation `sd` find with probability .8.

    The probability of an interval on the wrong side of zero, at most a hundredth here, is left out.

    Args:
        limit: the t statistic that counts as found; None: that of the 95% t interval.
    """
    found = float(stdtrit(seeds - 1, 1 - SIZE / 2)) if limit is None else limit
    return float(nctdtrinc(seeds - 1, 1 - POWER, found)) * sd / float(np.sqrt(seeds))


def seeds_needed(sd: float, effect: float) -> int | None:
    """The fewest seeds, at least 2, that find `effect` with probability .8; None: more than `MOST_SEEDS`."""
    if power(effect, sd, MOST_SEEDS) < POWER:
        return None
    low, high = 2, MOST_SEEDS  # power grows with the number of seeds
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, sd, middle) >= POWER else (middle + 1, high)
    return low


def seeds_to_decide(rule: Stopping, sd: float, mean: float) -> int | None:
    """After how many seeds a rule decides if mean and spread stay so; None: more than `MOST_SEEDS`.

    >>> seeds_to_decide(Stopping(margin=0.5), sd=1.0, mean=1.0), seeds_to_decide(Stopping(), 1.0, 0.0)
    (15, 50)
    """
    for seeds in range(rule.first, MOST_SEEDS + 1):
        half = (critical(seeds, rule.alpha) or np.inf) * sd / np.sqrt(seeds)
        if half < abs(mean) or abs(mean) + half <= rule.margin:
            return seeds
    return None
