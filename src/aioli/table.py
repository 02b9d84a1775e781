"""Measured runs as a table: which mixture each was trained on, and the losses that it reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.protocol import Array, read_only

__all__ = ["Runs", "Table"]

SUM_TOLERANCE = 0.02
"""Rows of published tables are rounded; those that sum to 1 within this are renormalised."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs on m groups, by the mixture that each is trained on, and where it matters its scale.

    Attributes:
        groups: [m] names. names: [k] of the runs; a run may appear once for each scale.
        mixtures: [k, m] proportions; rows are renormalised.
        size: [k] parameters of the model. tokens: [k] tokens trained. None: not recorded, or all the same.

    Raises:
        InputError: wrong shapes, values that are not finite or negative, rows that do not sum to 1, or the
            same run twice.
    """

    groups: tuple[str, ...]
    names: tuple[str, ...]
    mixtures: Array
    size: Array | None = None
    tokens: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        _check_names("group", self.groups)
        mixtures = _matrix("mixtures", self.mixtures, len(self.names), self.groups)
        _refuse(mixtures < 0, "a proportion must not be negative", mixtures, self)
        sums = mixtures.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
        if off.size:
            raise InputError(
                f"the proportions of run {self.names[off[0]]} sum to {sums[off[0]]:.6g}, expected 1"
                f"{_and_others(off.size)}: check that every group has a column, and that none is a percentage"
            )
        object.__setattr__(self, "mixtures", read_only(mixtures / sums[:, None]))
        for what in ("size", "tokens"):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, _scale(what, getattr(self, what), self.names))
        self._refuse_repeats()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def m(self) -> int:
        """Number of groups."""
        return len(self.groups)

    def keys(self) -> list[tuple[str, float, float]]:
        """[k] what tells the rows apart: name, size and tokens (NaN where not recorded)."""
        unknown = np.full(len(self), np.nan)
        size = unknown if self.size is None else self.size
        tokens = unknown if self.tokens is None else self.tokens
        return list(zip(self.names, size.tolist(), tokens.tolist(), strict=True))

    def _refuse_repeats(self) -> None:
        seen: dict[str, int] = {}
        for row, key in enumerate(self.keys()):
            first = seen.setdefault(repr(key), row)
            if first != row:
                self._refuse_pair(first, row)

    def _refuse_pair(self, first: int, second: int) -> None:
        same = np.allclose(self.mixtures[first], self.mixtures[second], atol=1e-9)
        how = "twice" if same else "twice with different mixtures"
        raise InputError(f"run {self.names[first]} is there {how} (rows {first + 1} and {second + 1})")


@dataclass(frozen=True, eq=False)
class Table(Runs):
    """Runs with the losses that they reached on n targets.

    Different runs on the same mixture are repetitions: what they differ by is noise. The same losses to the
    last digit on the same mixture under two names are one run copied, and refused.

    Attributes:
        targets: [n] names. losses: [k, n] nats per token.

    Raises:
        InputError: as of `Runs`; losses that are missing (NaN), infinite or not positive; copied runs.
    """

    targets: tuple[str, ...] = ()
    losses: Array = None  # type: ignore[assignment]  # after the optional fields of Runs

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        _check_names("target", self.targets)
        losses = _matrix("losses", self.losses, len(self.names), self.targets)
        object.__setattr__(self, "losses", read_only(losses))
        super().__post_init__()
        _refuse(losses <= 0, "a loss must be positive (nats per token)", losses, self)
        self._refuse_copies()

    @property
    def n(self) -> int:
        """Number of targets."""
        return len(self.targets)

    def rows(self, chosen: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Table:
        """The table of these rows alone, in this order."""
        index = np.arange(len(self))[np.asarray(chosen)]
        return replace(
            self,
            names=tuple(self.names[row] for row in index),
            mixtures=self.mixtures[index],
            losses=self.losses[index],
            size=None if self.size is None else self.size[index],
            tokens=None if self.tokens is None else self.tokens[index],
        )

    def _refuse_pair(self, first: int, second: int) -> None:
        if np.array_equal(self.losses[first], self.losses[second]):
            super()._refuse_pair(first, second)
        raise InputError(
            f"run {self.names[first]} is there twice with different losses (rows {first + 1} and "
            f"{second + 1}): remove the wrong one, or give repetitions names of their own"
        )

    def _refuse_copies(self) -> None:
        rows = np.column_stack([self.mixtures, self.losses, *([s] if (s := self.size) is not None else [])])
        rows = rows if self.tokens is None else np.column_stack([rows, self.tokens])
        _, first, count = np.unique(rows, axis=0, return_index=True, return_counts=True)
        if (count > 1).any():
            one = int(first[count > 1][0])
            copies = [self.names[row] for row in np.flatnonzero((rows == rows[one]).all(axis=1))]
            raise InputError(
                f"runs {' and '.join(copies[:2])} have the same mixture and the same losses to the last "
                "digit: one is a copy of the other; remove it"
            )


def _check_names(kind: str, names: Sequence[str]) -> None:
    if not names:
        raise InputError(f"expected at least one {kind}, got none")
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise InputError(f"{kind} names must be unique, got twice: {', '.join(repeated)}")


def _matrix(what: str, values: object, rows: int, columns: Sequence[str]) -> Array:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers, got {values!r:.200}") from None
    if found.shape != (rows, len(columns)) or not rows:
        raise InputError(f"{what} need {rows or 'some'} rows of {len(columns)} numbers, got {found.shape}")
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        row, column = bad[0]
        raise InputError(
            f"{what} must be finite: row {row + 1}, column {columns[column]}, is {found[row, column]}"
            f"{_and_others(len(bad))}; remove runs that were not measured"
        )
    return found


def _scale(what: str, values: object, names: Sequence[str]) -> Array:
    found = np.array(values, dtype=np.float64)
    if found.shape != (len(names),) or not np.isfinite(found).all() or found.min() <= 0:
        raise InputError(
            f"{what} needs one positive number a run ({len(names)}), got {found.tolist()!r:.200}"
        )
    return read_only(found)


def _refuse(bad: NDArray[np.bool_], rule: str, values: Array, runs: Runs) -> None:
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{rule}, got {values[row, column]} in run {runs.names[row]}{_and_others(int(bad.sum()))}"
        )


def _and_others(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
