"""The contract of static mixing laws: how a run's final losses follow from the mixture it was trained on.

A `StaticLaw` is a frozen dataclass whose fields are its settings; fitted to a table of runs it gives a
`FittedLaw`, which predicts. Laws that are convex in the proportions say so by describing themselves as
`ConvexLosses`, which a convex solver takes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from aioli.protocol import Array
from aioli.table import Table

__all__ = ["ConvexLosses", "FittedLaw", "StaticLaw", "Terms"]


class Terms(NamedTuple):
    """r convex terms of one kind; term i adds weight_i * f(offset_i or coefficients_i, ...; p) to its target.

    target: [r] whole numbers < n. weight: [r] >= 0. first, second: what the kind says, see `ConvexLosses`.
    power: [r] > 0, of inverses; None: 1.
    """

    target: Array
    weight: Array
    first: Array
    second: Array
    power: Array | None = None

    @property
    def powers(self) -> Array:
        """[r] `power`, 1 where it is not given."""
        return np.ones(len(self.weight)) if self.power is None else self.power

    def rows(self, kept: Array) -> Terms:
        """Some of the terms: an index or mask [r]."""
        power = None if self.power is None else self.power[kept]
        return Terms(self.target[kept], self.weight[kept], self.first[kept], self.second[kept], power)

    @classmethod
    def joined(cls, parts: Sequence[Terms]) -> Terms | None:
        """The terms of several one after the other; None of none."""
        if not parts:
            return None
        plain = all(terms.power is None for terms in parts)
        return cls(
            np.concatenate([terms.target for terms in parts]),
            np.concatenate([terms.weight for terms in parts]),
            np.concatenate([terms.first for terms in parts]),
            np.concatenate([terms.second for terms in parts]),
            None if plain else np.concatenate([terms.powers for terms in parts]),
        )


class ConvexLosses(NamedTuple):
    """[n] losses convex in proportions p [m]: constant + linear @ p + terms.

    constant: [n]. linear: [n, m].
    exponentials: exp(first_i + second_i . p), first [r], second [r, m].
    powers: sum_j first_ij p_j^(-second_ij), first [r, m] >= 0, second [r, m] > 0.
    inverses: (sum_j first_ij p_j^second_ij)^(-power_i), first [r, m] >= 0, second [r, m] in (0, 1].
    """

    constant: Array
    linear: Array
    exponentials: Terms | None = None
    powers: Terms | None = None
    inverses: Terms | None = None


class FittedLaw(Protocol):
    """A law with its numbers."""

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses of runs on mixtures [k, m]; size, tokens [k] matter to laws of scale alone.

        Never NaN: a proportion of 0 gives a finite (possibly very large) loss.
        """
        ...

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The same losses for a convex solver; None where they are not convex."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `StaticLaw.from_json` makes this again, bit for bit."""
        ...


class StaticLaw(Protocol):
    """The form of a law: how many numbers it has, and how they follow from a table."""

    @property
    def name(self) -> str: ...

    def parameters(self, m: int) -> int | None:
        """Free numbers for each target with m groups; None where there is no fixed number (trees)."""
        ...

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedLaw:
        """The law fitted to all targets of a table; weights [k] >= 0 of the runs (None: equal).

        Raises:
            InputError: a table that this law cannot be fitted to (fewer runs than parameters, no sizes).
        """
        ...

    def refit(self, fitted: FittedLaw, table: Table, weights: Array, seed: int = 0) -> Sequence[FittedLaw]:
        """The law fitted anew under each row of weights [b, k] (bootstrap), starting from `fitted`."""
        ...

    def from_json(self, plain: Mapping[str, Any]) -> FittedLaw:
        """What `FittedLaw.to_json` gave, as a fitted law again.

        Raises:
            InputError: content of another shape.
        """
        ...
