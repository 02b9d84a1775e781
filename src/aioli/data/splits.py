"""Which document goes to which split: decided by the document's content alone.

The key of a document is a hash of its text with every run of white space taken as one space, so copies of
a document have one key and fall into the same split in every group and in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aioli.data.foreign import Tokens
from aioli.data.settings import SplitSettings

__all__ = [
    "DUPLICATE",
    "IN_TARGET",
    "SPLITS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Assignment",
    "assign",
    "block_size",
    "cut",
    "key",
]

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST, DUPLICATE, IN_TARGET = range(5)
"""Codes of a document: its split, or why it is left out (a second copy; also in a target)."""

Keys = NDArray[np.uint64]
Codes = NDArray[np.uint8]


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
    groups: Mapping[str, Keys], targets: Mapping[str, Keys], held: Keys, split: SplitSettings
) -> dict[str, Assignment]:
    """Give every document of every group and target a code.

    A group's document is held out when its hash falls into the validation or test share; a target's goes
    to validation or test, half each. When a split of a group with three or more different documents (of a
    target with two or more) would be empty, the document with the lowest hash of the largest split moves
    there, in every group that has it. Validation and test keep one copy of a document in each group,
    training keeps all copies. A document that is also in a target is left out of every group.

    Args:
        groups, targets: [k] document keys by name.
        held: keys of everything in the targets.
    """
    train = 1 - split.validation - split.test
    free = {name: keys[~np.isin(keys, held)] for name, keys in groups.items()}
    result = {}
    for sources, present, shares in (
        (groups, free, (train, split.validation)),
        (targets, targets, (0.0, 0.5)),
    ):
        moved = _moves(present, shares)
        for name, keys in sources.items():
            codes = _codes(keys, shares, moved)
            if sources is groups:
                codes[np.isin(keys, held)] = IN_TARGET
            result[name] = _drop_copies(keys, codes)
    return result


def _codes(keys: Keys, shares: tuple[float, float], moved: Mapping[int, int]) -> Codes:
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
    return codes


def _moves(sources: Mapping[str, Keys], shares: tuple[float, float]) -> dict[int, int]:
    """Documents that must change splits so that no split of a source is empty, with their new code."""
    wanted = (TRAIN, VALIDATION, TEST) if shares[0] > 0 else (VALIDATION, TEST)
    different = {name: np.unique(keys) for name, keys in sources.items()}
    moved: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for keys in different.values():
            codes = _codes(keys, shares, moved)
            empty = [code for code in wanted if not (codes == code).any()]
            if keys.size < len(wanted) or not empty:
                continue
            largest = np.bincount(codes, minlength=3).argmax()
            donors = [int(k) for k in keys[codes == largest] if int(k) not in moved]
            if len(donors) > 1:
                moved[donors[0]] = empty[0]
                changed = True
    return moved


def _drop_copies(keys: Keys, codes: Codes) -> Assignment:
    again = np.ones(keys.size, bool)
    again[np.unique(keys, return_index=True)[1]] = False
    codes[again & ((codes == VALIDATION) | (codes == TEST))] = DUPLICATE
    return Assignment(codes, int((again & (codes == TRAIN)).sum()))
