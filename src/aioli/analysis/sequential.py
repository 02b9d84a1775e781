"""An interval that may be looked at after every seed: the t confidence sequence of a normal mixture.

For differences x_1 .. x_k from a normal distribution of unknown spread, put a normal prior N(0, g) on
the mean in units of the standard deviation, and the scale-invariant one on the spread. The Bayes factor
against the mean mu,

    E_k(mu) = a^(-1/2) ((1 + t^2 / v) / (1 + t^2 / (a v)))^((v + 1) / 2),    a = 1 + k g,  v = k - 1,

with t the t statistic for mu, is a test martingale in the order in which seeds come in (of the ratios of
the differences, which is all it looks at). By Ville's inequality it ever reaches 1 / alpha with probability
at most alpha when mu is true. The mu that it has not refuted form an interval that holds the true mean at all
times together, so that one may stop whenever one likes; a fixed-sample interval that is looked at after
every seed is wrong far more often than it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aioli.analysis.statistics import Interval
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["Stopping", "evidence", "sequence_interval"]

SPREAD = 4.0
"""g: effects of about two standard deviations are looked for, since differences are paired by seed."""


@dataclass(frozen=True)
class Stopping:
    """When a comparison stops adding seeds to a method.

    Its interval (`sequence_interval`, of the percent change of mean test perplexity) is decided when it
    excludes zero, or lies within `margin` of it: then any difference is too small to matter.

    Attributes:
        margin: in percent. least: seeds before the first look. alpha: probability of a wrong decision.

    Raises:
        InputError: values out of range.
    """

    margin: float = 0.5
    least: int = 3
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise InputError(f"stopping.margin must be at least 0 (percent), got {self.margin}")
        if self.least < 2:
            raise InputError(f"stopping.least must be at least 2 seeds, got {self.least}")
        if not 0 < self.alpha < 1:
            raise InputError(f"stopping.alpha must be between 0 and 1, got {self.alpha}")

    def decided(self, changes: Sequence[float] | Array) -> bool:
        """Whether percent changes [k], in the order of their seeds, need no further seed."""
        if len(changes) < self.least:
            return False
        found = sequence_interval(changes, self.alpha)
        if found.low is None or found.high is None:
            return False
        within = max(abs(found.low), abs(found.high)) <= self.margin
        return bool(within or found.low > 0 or found.high < 0)


def evidence(values: Sequence[float] | Array, mean: float = 0.0, spread: float = SPREAD) -> float:
    """E_k: the evidence of values [k] against this mean; 1 / alpha or more refutes it at level alpha.

    >>> round(evidence([1.0]), 6)  # one value says nothing about a mean of unknown spread
    1.0
    """
    sample = np.asarray(values, dtype=np.float64) - mean
    k = sample.size
    if k < 2:
        return 1.0
    a = 1 + k * spread
    squares = float(((sample - sample.mean()) ** 2).sum())
    centre = k * float(sample.mean()) ** 2
    if squares + centre == 0:
        return 1.0
    ratio = (squares + centre) / (squares + centre / a)  # (1 + t^2 / v) / (1 + t^2 / (a v)), t^2 / v = c / s
    return float(np.exp(-0.5 * np.log(a) + 0.5 * k * np.log(ratio)))


def sequence_interval(
    values: Sequence[float] | Array, alpha: float = 0.05, spread: float = SPREAD
) -> Interval:
    """Mean and the interval that holds at all numbers of seeds together, of values in the order of seeds.

    mean +- t sd / sqrt(k), where E_k = 1 / alpha at t. With too few values (fewer than 4 at the
    defaults) no mean is refuted whatever they are: bounds are None.

    >>> found = sequence_interval([1.0, 1.2, 0.8, 1.1, 0.9])
    >>> round(found.low, 3), round(found.high, 3)
    (0.621, 1.379)

    References:
        Goenen, Johnson, Lu and Westfall, The American Statistician 59 (2005): the Bayes factor.
        arXiv 1807.09077 (Hendriksen, de Heide, Gruenwald): it stays valid under optional stopping.
    """
    sample = np.asarray(values, dtype=np.float64)
    k = sample.size
    if k == 0 or not np.isfinite(sample).all():
        return Interval(None, None, None, None)
    mean = float(sample.mean())
    if k == 1:
        return Interval(mean, None, None, None)
    sd = float(sample.std(ddof=1))
    a = 1 + k * spread
    most = (np.sqrt(a) / alpha) ** (2 / k)
    if most >= a:
        return Interval(mean, None, None, sd)
    t = float(np.sqrt((k - 1) * (most - 1) / (1 - most / a)))
    half = t * sd / float(np.sqrt(k))
    return Interval(mean, mean - half, mean + half, sd)
