"""What the non-parametric laws read of a run: its proportions, and its scale where runs differ in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.table import Table

__all__ = ["Columns", "columns_of"]


@dataclass(frozen=True)
class Columns:
    """Columns of a regression: m proportions, then ln(size) and ln(tokens) where they vary.

    Attributes:
        size, tokens: geometric mean of the table's, for predictions that name none; None: not a column.
    """

    size: float | None
    tokens: float | None

    def of(self, mixtures: Array, size: Array | None, tokens: Array | None) -> Array:
        """[k, m + 0, 1 or 2] columns of runs."""
        scales = [(self.size, size), (self.tokens, tokens)]
        extra = [
            np.log(np.full(len(mixtures), usual) if given is None else np.asarray(given, dtype=np.float64))
            for usual, given in scales
            if usual is not None
        ]
        return np.column_stack([np.asarray(mixtures, dtype=np.float64), *extra])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"size": self.size, "tokens": self.tokens}

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Columns:
        """What `to_json` gave.

        Raises:
            InputError: content of another shape.
        """
        if set(plain) != {"size", "tokens"}:
            raise InputError(f"expected the keys size and tokens, got {sorted(plain)}")
        return Columns(plain["size"], plain["tokens"])


def columns_of(table: Table) -> Columns:
    """The columns that a table gives."""
    return Columns(_usual(table.size), _usual(table.tokens))


def _usual(scale: Array | None) -> float | None:
    if scale is None or np.ptp(scale) == 0:
        return None
    return float(np.exp(np.log(scale).mean()))
