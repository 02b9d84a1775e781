"""Hashes of consecutive token ids: the same on every platform, computed for whole arrays at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aioli.data.shuffle import Shuffle
from aioli.protocol import Array

__all__ = ["histogram", "sample_rows", "window_hashes"]

Tokens = NDArray[Any]
Hashes = NDArray[np.uint64]

ROW = 64
"""Tokens of a row: a sample is made of whole rows, and no n-gram reaches over the end of one."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mixed(x: Hashes) -> Hashes:
    """The finaliser of SplitMix64: a bijection of 64 bits that spreads every bit over all others."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def _hashed(tokens: Tokens) -> Hashes:
    return _mixed(tokens.astype(np.uint64) + _MULTIPLIER)


def _joined(left: Hashes, right: Hashes) -> Hashes:
    return _mixed(left * _MULTIPLIER + right)


def sample_rows(tokens: Tokens, most: int, name: str, seed: int) -> Tokens:
    """[k, length] rows of a text in a fixed random order, at most `most` tokens; a shorter text whole.

    A smaller sample is a prefix of a larger one. Rows have 64 tokens; a text of fewer than 128 gives two
    (of 1 token: one). What is left after the last whole row is not used.
    """
    length = min(ROW, max(tokens.size // 2, 1))
    rows = tokens.size // length
    taken = min(rows, max(most // length, 1))
    order = Shuffle([name], [rows], seed=seed).rows_at(np.array([0]), np.array([taken]))
    return np.asarray(tokens)[: rows * length].reshape(rows, length)[order]


def histogram(rows: Tokens, buckets: int) -> Array:
    """[buckets] how many unigrams and bigrams of `rows` [k, length] fall into each bucket."""
    single = _hashed(rows)
    pairs = _joined(single[:, :-1], single[:, 1:])
    both = np.concatenate([single.ravel(), pairs.ravel()]) % np.uint64(buckets)
    return np.bincount(both.astype(np.int64), minlength=buckets).astype(np.float64)


def window_hashes(tokens: Tokens, window: int) -> Hashes:
    """[tokens - window + 1] a hash of every `window` consecutive tokens; empty when there are fewer.

    Windows of 1, 2, 4, ... tokens are joined in pairs; two overlapping ones make a window of any length.
    """
    if tokens.size < window:
        return np.empty(0, np.uint64)
    hashes, length = _hashed(tokens), 1
    while 2 * length <= window:
        hashes = _joined(hashes[:-length], hashes[length:])
        length *= 2
    return hashes if length == window else _joined(hashes[: length - window], hashes[window - length :])
