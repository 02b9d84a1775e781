"""A seeded shuffle of each group's rows, anew in every epoch, computed and never stored.

Position t of a group is row pi(t mod rows) of epoch t // rows, with pi a permutation of 0..rows-1 that
depends on (seed, group name, epoch) alone. On b-bit numbers, 2^b the next power of two >= rows, eight
rounds of x <- (k x + c) mod 2^b (k odd), x <- x xor (x >> b/2), each invertible, make a permutation; while
the result is not a row it is permuted again (cycle walking), which permutes the rows among themselves.
The keys (k, c) of the rounds are the 512 bits of a BLAKE2b hash. Only integer arithmetic modulo 2^32 is
used, so the rows are the same on every platform and with every version of NumPy.

References: J. Black and P. Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002 (cycle walking).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_ROWS", "VERSION", "Shuffle"]

VERSION = 1
"""Of the permutations: a position saved under another version means other rows."""

MAX_ROWS = 1 << 32
"""Rows a group may have."""

_ROUNDS = 8
_Integers = NDArray[np.int64]
_Words = NDArray[np.uint32]


class Shuffle:
    """The permutations of groups with these names and numbers of rows (0 allowed, then never asked for).

    >>> shuffle = Shuffle(["law", "code"], [5, 3], seed=0)
    >>> shuffle.rows_at(np.array([0, 0]), np.array([10, 4])).tolist()  # two epochs of law, 4 rows of code
    [2, 3, 0, 4, 1, 4, 2, 3, 0, 1, 2, 0, 1, 1]
    """

    def __init__(self, groups: Sequence[str], rows: Sequence[int], *, seed: int) -> None:
        bits = [max(int(n) - 1, 0).bit_length() for n in rows]
        self._prefixes = [f"{VERSION}\n{seed}\n{name}\n" for name in groups]
        self._rows = np.array(rows, np.int64)
        self._mask = np.array([(1 << b) - 1 for b in bits], np.uint32)
        self._shift = np.array([max(b // 2, 1) for b in bits], np.uint32)
        self._keys: dict[tuple[int, int], bytes] = {}

    def rows_at(self, first: _Integers, count: _Integers) -> _Integers:
        """Rows at positions first, ..., first + count - 1 ([m] each) of every group, one group after another.

        Positions run on through the epochs: position `rows` of a group is the first of its second epoch.
        """
        group = np.flatnonzero(count)
        rows = self._rows[group]
        begin, end = first[group], first[group] + count[group]
        epochs = (end - 1) // rows - begin // rows + 1
        # one entry for each group and epoch
        group, rows = np.repeat(group, epochs), np.repeat(rows, epochs)
        begin, end = np.repeat(begin, epochs), np.repeat(end, epochs)
        epoch = begin // rows + np.arange(group.size) - np.repeat(np.cumsum(epochs) - epochs, epochs)
        begin, end = np.maximum(begin, epoch * rows), np.minimum(end, (epoch + 1) * rows)
        size = end - begin
        # one entry for each position
        start = begin - epoch * rows - np.cumsum(size) + size
        x = (np.arange(size.sum()) + np.repeat(start, size)).astype(np.uint32)
        keys = self._round_keys(group.tolist(), epoch.tolist())
        fixed = np.stack([(rows - 1).astype(np.uint32), self._mask[group], self._shift[group], *keys])
        return _walk(x, np.repeat(np.arange(group.size), size), fixed).astype(np.int64)

    def _round_keys(self, groups: list[int], epochs: list[int]) -> _Words:
        """[2 * rounds, k] odd multipliers, then addends, of each group and epoch."""
        pairs = zip(groups, epochs, strict=True)
        self._keys = {pair: self._keys.get(pair) or self._hash(*pair) for pair in pairs}
        words = np.frombuffer(b"".join(self._keys.values()), "<u4").reshape(-1, 2 * _ROUNDS)
        keys = np.array(words.T, np.uint32, order="C")
        keys[:_ROUNDS] |= np.uint32(1)
        return keys

    def _hash(self, group: int, epoch: int) -> bytes:
        return blake2b(f"{self._prefixes[group]}{epoch}".encode(), digest_size=8 * _ROUNDS).digest()


def _walk(x: _Words, case: _Integers, fixed: _Words) -> _Words:
    """Permute each x, again and again until it is a row.

    `case` (ascending) says which group and epoch each x is of; `fixed` holds the last row, mask, shift,
    multipliers and addends of each.
    """
    size = np.bincount(case)
    last, mask, shift, *keys = np.repeat(fixed[:, : size.size], size, axis=1)
    for multiplier, addend in zip(keys[:_ROUNDS], keys[_ROUNDS:], strict=True):
        x *= multiplier
        x += addend
        x &= mask
        x ^= x >> shift
    outside = np.flatnonzero(x > last)
    if outside.size:
        x[outside] = _walk(x[outside], case[outside], fixed)
    return x
