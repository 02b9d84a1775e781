"""Where the mixtures of a design may lie: between bounds, with nothing of a group or a minimum of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.projections import TOLERANCE, project_kl
from aioli.protocol import Array, read_only

__all__ = ["Region"]


@dataclass(frozen=True, eq=False)
class Region:
    """Mixtures p with lower <= p <= upper and sum 1 in which no p_j is between 0 and `minimum`.

    A group with a floor is in every mixture, also where its floor is below the minimum; a group whose cap is
    below the minimum is in none.

    Attributes:
        lower, upper: [m] bounds in [0, 1]; equal ones fix a proportion.
        minimum: in [0, 1); what a proportion that is not 0 must reach.

    Raises:
        InputError: bounds that exclude each other, or a minimum that leaves no mixture.
    """

    lower: Array
    upper: Array
    minimum: float = 0.0

    def __post_init__(self) -> None:
        lower = read_only(np.array(self.lower, dtype=np.float64))
        upper = np.array(self.upper, dtype=np.float64)
        if lower.ndim != 1 or lower.shape != upper.shape or not 0 <= self.minimum < 1:
            raise InputError(
                f"expected as many lower as upper bounds and a minimum weight in [0, 1), got "
                f"{lower.tolist()}, {upper.tolist()} and {self.minimum}"
            )
        if not ((lower >= 0).all() and (lower <= upper).all() and (upper <= 1).all()):
            raise InputError(
                f"bounds must be 0 <= lower <= upper <= 1, got {lower.tolist()}, {upper.tolist()}"
            )
        upper[(lower == 0) & (upper < self.minimum)] = 0
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", read_only(upper))
        self._check()

    @classmethod
    def simplex(cls, m: int, minimum: float = 0.0) -> Region:
        """All mixtures of m groups."""
        return cls(np.zeros(m), np.ones(m), minimum)

    @property
    def m(self) -> int:
        """Number of groups."""
        return self.lower.size

    @property
    def free(self) -> NDArray[np.bool_]:
        """[m] groups whose proportion is not fixed."""
        return self.lower < self.upper

    def contains(self, points: Array) -> NDArray[np.bool_]:
        """[k] whether points [k, m] lie in the region, to rounding."""
        within = (points >= self.lower - TOLERANCE) & (points <= self.upper + TOLERANCE)
        between = (points > 0) & (points < self.minimum - TOLERANCE) & (self.lower == 0)
        return within.all(axis=1) & ~between.any(axis=1) & (np.abs(points.sum(axis=1) - 1) <= 1e-9)

    def restrict(self, points: Array) -> Array:
        """Points [k, m] of the simplex moved into the region.

        To the nearest point in KL divergence within the bounds; proportions below the minimum are then set to
        0 and the rest scaled up within the bounds, unless the others' caps do not allow it.
        """
        return np.array([self._restrict(point) for point in points]).reshape(-1, self.m)

    def _restrict(self, point: Array) -> Array:
        x = project_kl(point, self.lower, self.upper)
        if not ((x > 0) & (x < self.minimum) & (self.lower == 0)).any():
            return x
        kept = (x >= self.minimum) | (self.lower > 0)
        for group in np.argsort(-x, kind="stable"):
            if self.upper[kept].sum() >= 1:
                break
            kept[group] |= self.upper[group] > 0
        if self._least(kept).sum() > 1:
            kept = self._smallest_support()
        return project_kl(np.where(kept, x, 0.0), self._least(kept), np.where(kept, self.upper, 0.0))

    def _least(self, kept: NDArray[np.bool_]) -> Array:
        """[m] lower bounds of mixtures with just these groups."""
        return np.where(kept & (self.lower == 0), self.minimum, self.lower)

    def _smallest_support(self) -> NDArray[np.bool_]:
        """[m] fewest groups that a mixture can consist of: those with floors, then those with large caps."""
        kept = self.lower > 0
        for group in np.argsort(-self.upper, kind="stable"):
            if self.upper[kept].sum() >= 1 - TOLERANCE:
                break
            kept[group] = True
        return kept

    def _check(self) -> None:
        least, most = self.lower.sum(), self.upper.sum()
        if least > 1 + TOLERANCE:
            raise InputError(f"floors and fixed proportions sum to {least:.6g}, more than 1: lower some")
        if most < 1 - TOLERANCE:
            below = f" (caps below the minimum weight {self.minimum:g} count as 0)" if self.minimum else ""
            raise InputError(f"caps and fixed proportions sum to {most:.6g}, less than 1{below}: raise some")
        kept = self._smallest_support()
        needed = self._least(kept).sum()
        if needed > 1 + TOLERANCE:
            raise InputError(
                f"no mixture has only proportions of 0 or at least the minimum weight {self.minimum:g}: "
                f"within the caps it takes {int(kept.sum())} groups, whose least proportions sum to "
                f"{needed:.6g}; lower the minimum weight"
            )
