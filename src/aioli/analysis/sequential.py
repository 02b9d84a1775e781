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
from typing import Literal, NamedTuple

import numpy as np

from aioli.analysis.intervals import Interval
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["Decision", "Stopping", "Verdict", "critical", "evidence", "sequence_interval"]

SPREAD = 4.0
"""g: effects of about two standard deviations are looked for, since differences are paired by seed."""


Verdict = Literal["lower", "higher", "equal"]
"""What can be decided: lower or higher than the baseline, or equal within the margin."""


class Decision(NamedTuple):
    """Where a method stands after the seeds so far.

    Attributes:
        verdict: None: undecided. seeds: how many count, in their order: those until it was decided.
        pairs: how many of them both the method and the baseline have finished.
    """

    verdict: Verdict | None
    seeds: int
    pairs: int


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

    @property
    def first(self) -> int:
        """The fewest seeds after which anything can be decided: `least`, or more where alpha asks for it.

        >>> Stopping().first, Stopping(alpha=0.001).first, Stopping(least=10).first
        (4, 6, 10)
        """
        seeds = self.least
        while critical(seeds, self.alpha) is None:
            seeds += 1
        return seeds

    def verdict(self, changes: Sequence[float] | Array) -> Verdict | None:
        """What percent changes [k], in the order of their seeds, decide; None: another seed is needed.

        A difference that is there but within the margin is told as a difference.
        """
        if len(changes) < self.least:
            return None
        found = sequence_interval(changes, self.alpha)
        if found.low is None or found.high is None:
            return None
        if found.high < 0:
            return "lower"
        if found.low > 0:
            return "higher"
        return "equal" if max(-found.low, found.high) <= self.margin else None

    def decision(self, changes: Sequence[float | None]) -> Decision:
        """Where a method stands: its percent changes [k] in the order of seeds, looked at after each.

        None stands for a seed that it or the baseline has no result for, which decides nothing. What comes
        after a decision does not count.

        >>> Stopping().decision([2.0, 2.1, None, 1.9, 2.0, 2.1])
        Decision(verdict='higher', seeds=5, pairs=4)
        """
        known: list[float] = []
        for seeds, change in enumerate(changes, start=1):
            if change is None:
                continue
            known.append(change)
            found = self.verdict(known)
            if found is not None:
                return Decision(found, seeds, len(known))
        return Decision(None, len(changes), len(known))


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
    t = critical(k, alpha, spread)
    if t is None:
        return Interval(mean, None, None, sd)
    half = t * sd / float(np.sqrt(k))
    return Interval(mean, mean - half, mean + half, sd)


def critical(seeds: int, alpha: float = 0.05, spread: float = SPREAD) -> float | None:
    """The t statistic of so many seeds at which the evidence is 1 / alpha; None: none is ever enough."""
    a = 1 + seeds * spread
    most = float(np.sqrt(a) / alpha) ** (2 / seeds)
    return None if seeds < 2 or most >= a else float(np.sqrt((seeds - 1) * (most - 1) / (1 - most / a)))
