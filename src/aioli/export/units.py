"""From shares of tokens to the weights that a format counts in, and back; rounding that keeps the sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from aioli.errors import InputError

__all__ = ["Unit", "decimals", "from_tokens", "rounded", "to_tokens"]

Unit = Literal["tokens", "sequences", "examples", "share of each source"]
"""What a weight counts.

tokens: shares of tokens, or of sequences that all have the same length.
sequences: shares of samples that have the same length unless lengths are given.
examples: shares of documents, so lengths are needed.
share of each source: how much of a source is read once, so sizes are needed.
"""

LEAST_DIGITS, MOST_DIGITS = 6, 15


def decimals(weights: Mapping[str, float]) -> dict[str, str]:
    """Weights as decimal numbers that sum to exactly 1, none of them zero (largest remainder).

    At least four digits of the smallest are kept, of all others more.

    >>> decimals({"a": 2.0, "b": 1.0})
    {'a': '0.666667', 'b': '0.333333'}

    Raises:
        InputError: weights that are not positive and finite.
    """
    values = np.array(list(weights.values()), dtype=np.float64)
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        raise InputError(f"weights must be positive numbers, got {dict(weights)!r:.200}")
    values = values / values.sum()
    digits = min(max(math.ceil(-math.log10(values.min())) + 4, LEAST_DIGITS), MOST_DIGITS)
    whole = 10**digits
    units = [max(int(v * whole), 1) for v in values]
    remainders = values * whole - np.array(units, dtype=np.float64)
    for place in np.argsort(-remainders, kind="stable")[: max(whole - sum(units), 0)]:
        units[place] += 1
    units[int(np.argmax(values))] += whole - sum(units)  # what lifting the smallest to a unit has taken
    return {name: _written(count, digits) for name, count in zip(weights, units, strict=True)}


def _written(count: int, digits: int) -> str:
    whole, part = divmod(count, 10**digits)
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def rounded(weights: Mapping[str, float]) -> dict[str, float]:
    """`decimals` as numbers."""
    return {name: float(text) for name, text in decimals(weights).items()}


def from_tokens(shares: Mapping[str, float], lengths: Mapping[str, float]) -> dict[str, float]:
    """Shares of examples q_g ~ p_g / length_g from shares of tokens p.

    >>> from_tokens({"books": 0.5, "chat": 0.5}, {"books": 3000.0, "chat": 1000.0})
    {'books': 0.25, 'chat': 0.75}
    """
    weights = {group: share / lengths[group] for group, share in shares.items()}
    total = sum(weights.values())
    return {group: weight / total for group, weight in weights.items()}


def to_tokens(weights: Mapping[str, float], factors: Mapping[str, float] | None = None) -> dict[str, float]:
    """Shares of tokens from weights times `factors` (lengths of examples, sizes of sources), by name.

    >>> to_tokens({"books": 1.0, "chat": 3.0}, {"books": 3000.0, "chat": 1000.0})
    {'books': 0.5, 'chat': 0.5}

    Raises:
        InputError: weights that are negative, not finite or all zero.
    """
    found = {name: weight * (factors[name] if factors else 1.0) for name, weight in weights.items()}
    total = sum(found.values())
    if not all(0 <= value < math.inf for value in found.values()) or not total > 0:
        raise InputError(f"weights must be >= 0 and not all zero, got {dict(weights)!r:.200}")
    return {name: value / total for name, value in found.items()}
