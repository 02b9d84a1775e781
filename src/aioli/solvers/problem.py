"""The offline problem: minimise predicted losses over the mixtures that data and user allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aioli.errors import InputError
from aioli.objectives import Objective, get_objective
from aioli.protocol import Array, read_only

__all__ = ["MixtureProblem", "Solution"]

CONFLICT = 1e-9
"""Bounds conflict when they miss each other by more than this."""
ROUNDED = 1e-3
"""Weights and references whose sum is off by no more are renormalised."""


@dataclass(frozen=True, eq=False)
class MixtureProblem:
    """minimise F(L_1(p) .. L_n(p)) + kl KL(p || reference) over proportions p within bounds and limits.

    F is the weighted mean sum_i w_i L_i unless another objective is named.

    Attributes:
        weights: [n] of the targets, >= 0, summing to 1.
        lower, upper: [m] bounds; equal ones fix a proportion, an upper one of r N_j / D caps repetition
            (it may be more than 1, or infinite).
        reference: [m] mixture that distances are measured from; None: none. Where it is 0, a penalty or a
            limit on the divergence leaves no choice but 0.
        kl: strength of the penalty, in nats of loss per nat of divergence.
        max_kl, max_variation: largest KL(p || reference), and largest sum_j |p_j - reference_j| / 2.
        loss_limits: [n] largest predicted loss of each target, infinite where free.
        caution: 0 minimises F of the predicted losses; c in (0, 1) the mean of F over the worst share 1 - c
            of the replicates (the conditional value at risk).
        objective: name of F, see `aioli.objectives`: mean_loss, mean_perplexity (log of it, in nats),
            worst_target, worst_excess, mean_excess.
        baselines: [n] losses that an excess is measured from.
        groups, targets: names for messages; empty: numbered from 1.

    Raises:
        InputError: wrong shapes, values out of range, or bounds that no mixture meets; the numbers that
            conflict are named.
    """

    weights: Array
    lower: Array
    upper: Array
    reference: Array | None = None
    kl: float = 0.0
    max_kl: float = np.inf
    max_variation: float = np.inf
    loss_limits: Array | None = None
    caution: float = 0.0
    objective: str = "mean_loss"
    baselines: Array | None = None
    groups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m = np.size(self.weights), np.size(self.lower)
        self._name("groups", "group", m)
        self._name("targets", "target", n)
        self._set("weights", _summing_to_one("weights", self.weights, self.targets))
        for what, count in (("lower", m), ("upper", m), ("loss_limits", n), ("baselines", n)):
            if getattr(self, what) is not None:
                names = self.groups if count == m and what in ("lower", "upper") else self.targets
                self._set(what, _numbers(what, getattr(self, what), names, infinite=what != "baselines"))
        if self.reference is not None:
            self._set("reference", _summing_to_one("reference", self.reference, self.groups))
        self._check_numbers()
        _check_bounds(self.groups, *self.box)

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.weights.size

    @property
    def m(self) -> int:
        """Number of groups."""
        return self.lower.size

    @property
    def form(self) -> Objective:
        """F."""
        form = get_objective(self.objective)
        if not form.excess:
            return form
        return Objective(form.name, form.tau, True, tuple(np.asarray(self.baselines).tolist()))

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """lower, upper [m] in [0, 1]; 0 where the divergence allows nothing else."""
        upper = np.minimum(self.upper, 1.0)
        if self.reference is not None and (self.kl > 0 or np.isfinite(self.max_kl)):
            upper = np.where(self.reference > 0, upper, 0.0)
        return self.lower, read_only(upper)

    def _name(self, what: str, kind: str, count: int) -> None:
        names = tuple(getattr(self, what)) or tuple(f"{kind} {1 + i}" for i in range(count))
        if len(names) != count or not count:
            raise InputError(f"expected one name a {kind} ({count}), got {len(names)}: {', '.join(names)}")
        self._set(what, names)

    def _set(self, what: str, value: object) -> None:
        object.__setattr__(self, what, value)

    def _check_numbers(self) -> None:
        for what in ("kl", "max_kl", "max_variation"):
            value = getattr(self, what)
            if not value >= 0 or (what == "kl" and not np.isfinite(value)):
                raise InputError(f"{what} must be a number of nats >= 0, got {value}")
        distance = self.kl > 0 or np.isfinite(self.max_kl) or np.isfinite(self.max_variation)
        if distance and self.reference is None:
            raise InputError("kl, max_kl and max_variation are measured from a reference mixture: give one")
        if not 0 <= self.caution < 1:
            raise InputError(f"caution must be in [0, 1), got {self.caution}")
        if get_objective(self.objective).excess and self.baselines is None:
            raise InputError(f"objective {self.objective} needs baselines: one loss a target, in nats")


@dataclass(frozen=True, eq=False)
class Solution:
    """A mixture with the losses predicted for it.

    Attributes:
        proportions: [m]. losses: [n] predicted. objective: what was minimised, in nats.
        status: "optimal" (convex, solved to tolerance) or "local" (best of many starts).
        solver: what solved it. gap: bound on the distance from the optimum, relative to the objective or to
            1 nat where that is more; NaN when not known.
        binding: names of the bounds and limits that hold with equality.
        notes: what the user should know.
    """

    proportions: Array
    losses: Array
    objective: float
    status: str
    solver: str
    gap: float = float("nan")
    binding: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def _numbers(what: str, values: object, names: tuple[str, ...], infinite: bool) -> Array:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers, got {values!r:.200}") from None
    if found.shape != (len(names),):
        raise InputError(f"{what} needs {len(names)} numbers, got {found.shape}")
    bad = np.flatnonzero(np.isnan(found) | (~np.isfinite(found) & (not infinite)))
    if bad.size:
        raise InputError(f"{what} of {names[bad[0]]} must be a number, got {found[bad[0]]}")
    return read_only(found)


def _summing_to_one(what: str, values: object, names: tuple[str, ...]) -> Array:
    found = _numbers(what, values, names, infinite=False)
    if found.min() < 0:
        raise InputError(f"{what} of {names[int(found.argmin())]} must be >= 0, got {found.min():g}")
    if abs(found.sum() - 1) > ROUNDED:
        raise InputError(f"{what} must sum to 1, got a sum of {found.sum():.6g}")
    return read_only(found / found.sum())


def _check_bounds(groups: tuple[str, ...], lower: Array, upper: Array) -> None:
    if lower.min() < 0 or lower.max() > 1:
        worst = int(np.argmax(np.abs(lower - 0.5)))
        raise InputError(f"the floor of {groups[worst]} must be in [0, 1], got {lower[worst]:g}")
    if upper.min() < 0:
        raise InputError(f"the cap of {groups[int(upper.argmin())]} must be >= 0, got {upper.min():g}")
    crossed = np.flatnonzero(lower > upper + CONFLICT)
    if crossed.size:
        one = crossed[0]
        raise InputError(
            f"the floor of {groups[one]}, {lower[one]:.6g}, is above the most it may have, {upper[one]:.6g} "
            "(its cap, or 0 where the reference of a divergence has none of it)"
        )
    if lower.sum() > 1 + CONFLICT:
        raise InputError(f"the floors sum to {lower.sum():.6g}, more than 1 ({_largest(groups, lower)})")
    if upper.sum() < 1 - CONFLICT:
        raise InputError(
            f"the caps sum to {upper.sum():.6g}, less than 1 ({_largest(groups, upper)}): allow more "
            "repetition, train fewer tokens or add data"
        )


def _largest(groups: tuple[str, ...], bounds: Array) -> str:
    order = np.argsort(-bounds, kind="stable")[:5]
    named = ", ".join(f"{groups[j]} {bounds[j]:.4g}" for j in order)
    return named + (", ..." if len(groups) > 5 else "")
