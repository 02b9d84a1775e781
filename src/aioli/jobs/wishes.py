"""What a user asks of a mixture, by name, as the arrays of a `MixtureProblem`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aioli.constraints import Limits
from aioli.errors import InputError, nearest
from aioli.protocol import Array, Constraints, Problem
from aioli.simplex import as_proportions
from aioli.solvers.problem import MixtureProblem

__all__ = ["Wishes", "by_name", "mixture_problem"]


@dataclass(frozen=True)
class Wishes:
    """Constraints and preferences of a mixture, as given on the command line or in a config.

    Attributes:
        tokens: training tokens available, by group. train_tokens: of the run to come.
        constraints: repeats, floors and fixed proportions; caps need both of the above.
        reference: "natural" (in proportion to the tokens), "uniform", or proportions by group.
        kl, max_kl, max_variation, caution, objective: as in `MixtureProblem`.
        target_weights: by target, those not named 0; None: equal. limits: largest predicted losses.
        baselines: losses by target that an excess objective is measured from.
    """

    tokens: Mapping[str, float] | None = None
    train_tokens: float | None = None
    constraints: Constraints = field(default_factory=Constraints)
    reference: str | Mapping[str, float] | None = None
    kl: float = 0.0
    max_kl: float | None = None
    max_variation: float | None = None
    target_weights: Mapping[str, float] | None = None
    limits: Mapping[str, float] | None = None
    objective: str = "mean_loss"
    baselines: Mapping[str, float] | None = None
    caution: float = 0.0


def mixture_problem(groups: Sequence[str], targets: Sequence[str], wishes: Wishes) -> MixtureProblem:
    """The wishes for these groups and targets, checked against each other.

    Raises:
        InputError: unknown names, values out of range, constraints that no mixture can meet.
    """
    weights = np.ones(len(targets))
    if wishes.target_weights is not None:
        weights = by_name("target weights", wishes.target_weights, targets, 0.0)
    if weights.min() < 0 or not weights.sum() > 0:
        raise InputError(f"target weights must be >= 0 and not all zero, got {weights.tolist()}")
    lower, upper = _bounds(groups, wishes)
    limits = by_name("limits", wishes.limits, targets, np.inf) if wishes.limits else None
    baselines = None
    if wishes.baselines:
        _need_all("reference losses", wishes.baselines, targets)
        baselines = by_name("reference losses", wishes.baselines, targets, np.nan)
    return MixtureProblem(
        weights=weights / weights.sum(),
        lower=lower,
        upper=upper,
        reference=_reference(groups, wishes),
        kl=wishes.kl,
        max_kl=np.inf if wishes.max_kl is None else wishes.max_kl,
        max_variation=np.inf if wishes.max_variation is None else wishes.max_variation,
        loss_limits=limits,
        caution=wishes.caution,
        objective=wishes.objective,
        baselines=baselines,
        groups=tuple(groups),
        targets=tuple(targets),
    )


def by_name(what: str, given: Mapping[str, float], names: Sequence[str], absent: float) -> Array:
    """[len(names)] the values in the order of the names, `absent` for those not given.

    >>> by_name("tokens", {"law": 7}, ["code", "law"], 0.0)
    array([0., 7.])

    Raises:
        InputError: an unknown name, or a value that is no finite number.
    """
    found = np.full(len(names), absent)
    for name, value in given.items():
        if name not in names:
            raise InputError(f"{what} name {name!r}, which the table does not have; {nearest(name, names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise InputError(f"{what} of {name!r} must be a finite number, got {value!r}")
        found[list(names).index(name)] = value
    return found


def _need_all(what: str, given: Mapping[str, float], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"{what} are needed for all; missing: {', '.join(missing)}")


def _tokens(groups: Sequence[str], wishes: Wishes) -> Array | None:
    if wishes.tokens is None:
        return None
    _need_all("tokens", wishes.tokens, groups)
    return by_name("tokens", wishes.tokens, groups, 0.0)


def _bounds(groups: Sequence[str], wishes: Wishes) -> tuple[Array, Array]:
    """lower and upper [m]: caps r N_j / D, floors, fixed proportions; 0 for a group without data."""
    tokens, given = _tokens(groups, wishes), wishes.constraints
    if given.max_repeats is not None and (tokens is None or wishes.train_tokens is None):
        raise InputError(
            "max_repeats caps a group at repeats x its tokens / the tokens of the run: give the tokens of "
            "every group, and those to train"
        )
    if given.max_change is not None:
        raise InputError("max_change is about a mixture that moves during a run; leave it out")
    if wishes.train_tokens is not None and not (
        np.isfinite(wishes.train_tokens) and wishes.train_tokens >= 1
    ):
        raise InputError(f"the tokens to train must be at least 1, got {wishes.train_tokens:g}")
    problem = Problem(
        groups=tuple(groups),
        group_tokens=(1,) * len(groups) if tokens is None else tuple(int(count) for count in tokens),
        total_steps=int(wishes.train_tokens or 1),
        step_tokens=1,
        constraints=given,
    )
    box = Limits.of(problem).bounds(0, np.zeros(len(groups)))
    return box.lower, box.upper


def _reference(groups: Sequence[str], wishes: Wishes) -> Array | None:
    if wishes.reference is None:
        return None
    if wishes.reference == "uniform":
        return np.full(len(groups), 1 / len(groups))
    if wishes.reference == "natural":
        tokens = _tokens(groups, wishes)
        if tokens is None:
            raise InputError("the natural mixture is that of the tokens: give the tokens of every group")
        return tokens / tokens.sum()
    if isinstance(wishes.reference, str):
        raise InputError(f"a reference is natural, uniform, or proportions, got {wishes.reference!r}")
    return as_proportions(wishes.reference, groups)
