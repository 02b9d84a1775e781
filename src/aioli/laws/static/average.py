"""A law made of laws: the weighted mean of what they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from aioli.errors import InputError
from aioli.laws.static.held_out import folds, mixture_of, out_of_fold
from aioli.protocol import Array
from aioli.static_law import ConvexLosses, FittedLaw, StaticLaw, Terms
from aioli.table import Table

__all__ = ["Average", "FittedAverage", "stacked_weights"]

FOLDS = 5


@dataclass(frozen=True, eq=False)
class FittedAverage:
    """sum_l weights_l members_l(p), weights [l] >= 0 with sum 1."""

    members: tuple[FittedLaw, ...]
    weights: Array

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] weighted mean of the members' predictions."""
        each = [one.predict(mixtures, size, tokens) for one in self.members]
        return np.einsum("l,lkn->kn", self.weights, np.stack(each))

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The members' terms side by side; None if a member with weight is not convex."""
        used = [
            (w, one.convex(size, tokens)) for w, one in zip(self.weights, self.members, strict=True) if w > 0
        ]
        parts = [(float(w), losses) for w, losses in used if losses is not None]
        return None if len(parts) < len(used) else _sum_of(parts)

    def to_json(self) -> dict[str, Any]:
        """Weights, and the members' own values."""
        return {"weights": self.weights.tolist(), "members": [one.to_json() for one in self.members]}


@dataclass(frozen=True)
class Average:
    """Mean of several laws' predictions, which errs less than each where their errors differ.

    Attributes:
        members: the laws. weights: of each, >= 0 with sum 1; "equal"; or "stacked", those that minimise
            the squared error of 5-fold out-of-fold predictions, every target scaled to unit variance.
    """

    members: tuple[StaticLaw, ...]
    weights: tuple[float, ...] | Literal["equal", "stacked"] = "equal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if len(self.members) < 2:
            raise InputError(f"an average needs at least 2 laws, got {len(self.members)}")
        if isinstance(self.weights, str):
            if self.weights not in ("equal", "stacked"):
                raise InputError(f"weights must be 'equal', 'stacked' or numbers, got {self.weights!r}")
            return
        weights = np.array(self.weights, dtype=np.float64)
        right = len(weights) == len(self.members) and (weights >= 0).all()
        if not right or abs(weights.sum() - 1) > 1e-9:
            raise InputError(f"{len(self.members)} weights >= 0 with sum 1 are needed, got {self.weights}")
        object.__setattr__(self, "weights", tuple(weights.tolist()))

    @property
    def name(self) -> str:
        return "average"

    def parameters(self, m: int) -> int | None:
        """The members' together; None where one has no fixed number."""
        counts = [law.parameters(m) for law in self.members]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedAverage:
        """Every member fitted to all runs.

        Raises:
            InputError: a table that a member cannot be fitted to, or (stacked) too few distinct mixtures.
        """
        chosen = self._member_weights(table, seed)
        members = tuple(law.fit(table, weights, seed) for law in self.members)
        return FittedAverage(members, chosen)

    def refit(self, fitted: Any, table: Table, weights: Array, seed: int = 0) -> Sequence[FittedAverage]:
        """Members refitted under each row of weights; the weights of the members stay those of `fitted`."""
        each = [
            law.refit(one, table, weights, seed)
            for law, one in zip(self.members, fitted.members, strict=True)
        ]
        return [FittedAverage(tuple(members), fitted.weights) for members in zip(*each, strict=True)]

    def from_json(self, plain: Mapping[str, Any]) -> FittedAverage:
        """What `to_json` gave.

        Raises:
            InputError: content of another shape, or of other members.
        """
        members, weights = plain.get("members", ()), np.array(plain.get("weights", ()), dtype=np.float64)
        if not len(members) == len(weights) == len(self.members):
            raise InputError(f"a saved average of {len(self.members)} laws has {len(members)} members")
        found = tuple(law.from_json(one) for law, one in zip(self.members, members, strict=True))
        return FittedAverage(found, weights)

    def _member_weights(self, table: Table, seed: int) -> Array:
        if self.weights == "equal":
            return np.full(len(self.members), 1 / len(self.members))
        if not isinstance(self.weights, str):
            return np.array(self.weights)
        fold = folds(table, min(FOLDS, int(mixture_of(table).max()) + 1), seed)
        return stacked_weights([out_of_fold(law, table, fold, seed) for law in self.members], table.losses)


def stacked_weights(predictions: Sequence[Array], losses: Array) -> Array:
    """[l] weights >= 0 with sum 1 of laws whose out-of-fold predictions [k, n] together miss losses least.

    Squared errors, every target divided by its standard deviation.

    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> stacked_weights([truth + [[0.2], [0.0], [-0.2]], truth - [[0.2], [0.0], [-0.2]]], truth).round(6)
    array([0.5, 0.5])
    """
    deviation = losses.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    errors = np.column_stack([((one - losses) / scale).ravel() for one in predictions])
    errors /= np.abs(errors).max() or 1.0
    penalty = 1e4 * np.sqrt(len(errors))  # holds the sum at 1 while the errors are at most 1
    rows = np.vstack([errors, np.full(errors.shape[1], penalty)])
    solve: Any = optimize.nnls  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    weights: Array = solve(rows, np.append(np.zeros(len(errors)), penalty))[0]
    return weights / weights.sum()


def _sum_of(parts: Sequence[tuple[float, ConvexLosses]]) -> ConvexLosses:
    constant = reduce(np.add, [w * losses.constant for w, losses in parts])
    linear = reduce(np.add, [w * losses.linear for w, losses in parts])
    kinds = ("exponentials", "powers", "inverses")
    terms = [_joined([(w, getattr(losses, kind)) for w, losses in parts]) for kind in kinds]
    return ConvexLosses(constant, linear, *terms)


def _joined(parts: Sequence[tuple[float, Terms | None]]) -> Terms | None:
    return Terms.joined([terms._replace(weight=w * terms.weight) for w, terms in parts if terms is not None])
