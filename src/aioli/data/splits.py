"""Which document goes to which split: decided by the document's content alone.

The key of a document is a hash of its text with every run of white space taken as one space, so copies of
a document have one key and fall into the same split in every group and in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.data.foreign import Tokens
from aioli.data.settings import SplitSettings

__all__ = [
    "DUPLICATE",
    "IN_TARGET",
    "NO_PINS",
    "SPLITS",
    "TEST",
    "TRAIN",
    "TRAINED",
    "VALIDATION",
    "Assignment",
    "Pins",
    "assign",
    "block_size",
    "cut",
    "key",
]

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST, DUPLICATE, IN_TARGET, TRAINED = range(6)
"""Codes of a document: its split, or why it is left out (a second copy; also in a target; a target's
document that was trained on before)."""

Keys = NDArray[np.uint64]
Codes = NDArray[np.uint8]


class Pins(NamedTuple):
    """Documents whose split is settled, because a run has trained or measured on them.

    Attributes:
        keys: [k] ascending. codes: [k] their splits. of_groups: keys of those that were in a group.
    """

    keys: Keys
    codes: Codes
    of_groups: Keys

    def find(self, keys: Keys) -> Codes:
        """The settled split of every key, FREE where it has none."""
        if not self.keys.size:
            return np.full(keys.size, FREE, np.uint8)
        place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[place] == keys, self.codes[place], FREE).astype(np.uint8)


FREE = 255
NO_PINS = Pins(np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.uint64))


def key(document: str | Tokens) -> int:
    """64-bit content hash; token documents are hashed as uint32, whatever type they came in.

    >>> key("one two") == key(" one\\n\\n two ")
    True
    """
    content = " ".join(document.split()).encode() if isinstance(document, str) else _bytes(document)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _bytes(tokens: Tokens) -> bytes:
    return np.ascontiguousarray(tokens, dtype="<u4").tobytes()


def cut(document: str | Tokens, block: int) -> Iterator[str | Tokens]:
    """Cut a document into contiguous blocks of about `block` characters (at line ends) or tokens.

    The blocks joined are the document; a document of up to one and a half blocks stays whole.

    >>> list(cut("one\\ntwo\\nthree", 5))
    ['one\\n', 'two\\n', 'three']
    """
    start, size = 0, len(document)
    while size - start > 1.5 * block:
        end = start + block
        if isinstance(document, str):
            end = document.rfind("\n", start, end) + 1 or document.rfind(" ", start, end) + 1 or end
        yield document[start:end]
        start = end
    if start < size:
        yield document[start:]


def block_size(keys: Keys, sizes: NDArray[np.int64], shares: tuple[float, float], *, tokens: bool) -> int:
    """Block size into which the documents of a group are cut before splitting; 0 leaves them whole.

    A group is cut when it has so few different documents that one of its held-out shares is less than one
    document (fewer than 20 documents at a share of 0.05), for example when it is one long file. A block
    is a 200th of the group, but at least 1 KiB of text (256 tokens) and at most 64 Ki.

    Args:
        keys: [k] of the documents. sizes: [k] their UTF-8 bytes, or tokens.
        shares: of validation and test.
    """
    different, first = np.unique(keys, return_index=True)
    if different.size * min(shares) >= 1:
        return 0
    return int(np.clip(sizes[first].sum() // 200, 256 if tokens else 1024, 65536))


@dataclass(frozen=True)
class Assignment:
    """What became of the documents of one group or target.

    Attributes:
        codes: [k] TRAIN, VALIDATION, TEST, DUPLICATE or IN_TARGET.
        kept_copies: second and further copies that stay in training.
    """

    codes: Codes
    kept_copies: int

    def count(self, code: int) -> int:
        """Documents with that code."""
        return int((self.codes == code).sum())


def assign(
    groups: Mapping[str, Keys],
    targets: Mapping[str, Keys],
    held: Keys,
    split: SplitSettings,
    pins: Pins = NO_PINS,
) -> dict[str, Assignment]:
    """Give every document of every group and target a code.

    A group's document is held out when its hash falls into the validation or test share; a target's goes
    to validation or test, half each. When a split of a group with three or more different documents (of a
    target with two or more) would be empty, the document with the lowest hash of the largest split moves
    there, in every group that has it. Validation and test keep one copy of a document in each group,
    training keeps all copies. A document that is also in a target is left out of every group.

    A pinned document stays in its split, whatever else the rules say; a target leaves out what is pinned
    to training.

    Args:
        groups, targets: [k] document keys by name.
        held: keys of everything in the targets.
    """
    train = 1 - split.validation - split.test
    result = {}
    for sources, shares in ((groups, (train, split.validation)), (targets, (0.0, 0.5))):
        left_out = {name: _left_out(keys, held, pins, sources is targets) for name, keys in sources.items()}
        moved = _moves({name: keys[left_out[name] == TRAIN] for name, keys in sources.items()}, shares, pins)
        for name, keys in sources.items():
            codes = np.where(left_out[name] == TRAIN, _codes(keys, shares, moved, pins), left_out[name])
            result[name] = _drop_copies(keys, codes)
    return result


def _left_out(keys: Keys, held: Keys, pins: Pins, target: bool) -> Codes:
    """IN_TARGET or TRAINED where a source leaves a document out for the sake of another, else TRAIN."""
    if target:
        return np.where(pins.find(keys) == TRAIN, TRAINED, TRAIN).astype(np.uint8)
    taken = np.isin(keys, held) & ~np.isin(keys, pins.of_groups)
    return np.where(taken, IN_TARGET, TRAIN).astype(np.uint8)


def _codes(keys: Keys, shares: tuple[float, float], moved: Mapping[int, int], pins: Pins) -> Codes:
    """Codes by hash: the lowest hashes are held out, so that a larger share only adds to what is held out.

    With u = key / 2^64: test below 1 - train - validation, then validation, then training.
    """
    train, validation = shares
    u = keys / 2.0**64
    codes = np.full(keys.size, TEST, np.uint8)
    codes[u >= 1 - train - validation] = VALIDATION
    if train > 0:
        codes[u >= 1 - train] = TRAIN
    for moved_key, code in moved.items():
        codes[keys == np.uint64(moved_key)] = code
    pinned = pins.find(keys)
    return np.where(pinned == FREE, codes, pinned)


def _moves(sources: Mapping[str, Keys], shares: tuple[float, float], pins: Pins) -> dict[int, int]:
    """Documents that must change splits so that no split of a source is empty, with their new code."""
    wanted = (TRAIN, VALIDATION, TEST) if shares[0] > 0 else (VALIDATION, TEST)
    different = {name: np.unique(keys) for name, keys in sources.items()}
    moved: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for keys in different.values():
            codes = _codes(keys, shares, moved, pins)
            empty = [code for code in wanted if not (codes == code).any()]
            if keys.size < len(wanted) or not empty:
                continue
            largest = np.bincount(codes, minlength=3).argmax()
            there = keys[codes == largest]
            left = ~np.isin(there, np.array([*moved], np.uint64))
            donors = there[left & (pins.find(there) == FREE)]
            if left.sum() > 1 and donors.size:
                moved[int(donors[0])] = empty[0]
                changed = True
    return moved


def _drop_copies(keys: Keys, codes: Codes) -> Assignment:
    again = np.ones(keys.size, bool)
    again[np.unique(keys, return_index=True)[1]] = False
    codes[again & ((codes == VALIDATION) | (codes == TEST))] = DUPLICATE
    return Assignment(codes, int((again & (codes == TRAIN)).sum()))
