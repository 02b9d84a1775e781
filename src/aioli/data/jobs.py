"""What a worker does with a unit: hash its documents, hand out some, or encode them all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from aioli.data.foreign import Tokens
from aioli.data.formats import Invalid
from aioli.data.parallel import Report
from aioli.data.sources import Unit
from aioli.data.splits import SPLITS, Codes, Keys, cut, key
from aioli.data.tokenizer import load_tokenizer
from aioli.errors import InputError
from aioli.files import replacing, write_json

__all__ = ["Cutting", "Encode", "Sample", "Scan", "Scanned", "Tally"]

_BATCH = 1 << 20
"""Characters encoded in one call."""
_PIECE = 1 << 18
"""A longer document is encoded in pieces of about this many characters, cut at line ends."""


@dataclass(frozen=True)
class Cutting:
    """How the documents of a source are cut before splitting.

    Attributes:
        block: characters or tokens of a block; 0 leaves every document whole.
        whole: keys of documents that stay whole all the same, because another source has them too.
        cut: block of documents that are cut in any case, by their key: an earlier corpus cut them so.
    """

    block: int = 0
    whole: frozenset[int] = frozenset()
    cut: Mapping[int, int] = field(default_factory=dict)

    def block_of(self, document: str | Tokens) -> int:
        """The block into which a document is cut; 0: it stays whole."""
        if not self.block and not self.cut:
            return 0
        name = key(document)
        return self.cut.get(name, 0 if name in self.whole else self.block)


@dataclass
class Tally:
    """Documents met in a unit: taken, empty, of invalid UTF-8 (and where the first of those lies)."""

    documents: int = 0
    empty: int = 0
    invalid: int = 0
    first_invalid: str = ""

    def add(self, other: Tally) -> None:
        """Add the counts of a later unit."""
        self.documents += other.documents
        self.empty += other.empty
        self.invalid += other.invalid
        self.first_invalid = self.first_invalid or other.first_invalid


def _documents(unit: Unit, cutting: Cutting, tally: Tally, report: Report) -> Iterator[str | Tokens]:
    """Yield what splits are made of: documents, or their blocks; skipping the empty and the invalid."""
    for document in unit.documents(report):
        if isinstance(document, Invalid):
            tally.invalid += 1
            tally.first_invalid = tally.first_invalid or document.where
        elif len(document) == 0 or (isinstance(document, str) and document.isspace()):
            tally.empty += 1
        else:
            tally.documents += 1
            block = cutting.block_of(document)
            if block:
                yield from cut(document, block)
            else:
                yield document


@dataclass(frozen=True)
class Scanned:
    """Result of a `Scan`, kept in a file.

    Attributes:
        keys: [k] content hashes. sizes: [k] UTF-8 bytes of texts, or tokens.
        largest_id: largest token id met; -1 for text.
    """

    keys: Keys
    sizes: NDArray[np.int64]
    largest_id: int
    tally: Tally

    def save(self, path: Path) -> None:
        facts = json.dumps({"largest_id": self.largest_id, "tally": asdict(self.tally)})
        with replacing(path) as file:
            np.savez(file, keys=self.keys, sizes=self.sizes, facts=np.array(facts))

    @classmethod
    def load(cls, path: Path) -> Scanned:
        with np.load(path, allow_pickle=False) as data:
            facts = json.loads(str(data["facts"]))
            return cls(data["keys"], data["sizes"], facts["largest_id"], Tally(**facts["tally"]))


@dataclass(frozen=True)
class Scan:
    """Read a unit once for the hashes and sizes of its documents; the result goes to the file `out`."""

    unit: Unit
    cutting: Cutting
    out: Path

    def run(self, report: Report) -> None:
        keys, sizes, largest, tally = [], [], -1, Tally()
        for document in _documents(self.unit, self.cutting, tally, report):
            if isinstance(document, str):
                sizes.append(len(document.encode()))
            else:
                sizes.append(len(document))
                largest = max(largest, _largest(document, self.unit))
            keys.append(key(document))
        Scanned(np.array(keys, np.uint64), np.array(sizes, np.int64), largest, tally).save(self.out)


def _largest(tokens: Tokens, unit: Unit) -> int:
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= 1 << 32:
        raise InputError(
            f"{unit.files[0]}: token ids must be from 0 to 2^32 - 1, got {low if low < 0 else high}"
        )
    return high


@dataclass(frozen=True)
class Sample:
    """Return the documents of a unit at the given places (sorted)."""

    unit: Unit
    cutting: Cutting
    places: NDArray[np.int64]

    def run(self, report: Report) -> list[str | Tokens]:
        wanted, last = set(self.places.tolist()), int(self.places[-1])
        chosen = []
        for place, document in enumerate(_documents(self.unit, self.cutting, Tally(), report)):
            if place in wanted:
                chosen.append(document)
            if place == last:
                return chosen
        raise _changed(self.unit)


def _changed(unit: Unit) -> InputError:
    return InputError(
        f"the files of {unit.name!r} changed while they were read ({unit.files[0]} ...): run again"
    )


@dataclass(frozen=True)
class Encode:
    """Write the token ids of a unit's documents, one file a split, and their counts.

    Attributes:
        codes: [k] split of each document; those with other codes are left out.
        tokenizer: its file; None when every document already is tokens.
        end: id put after every text.
        dtype: of the ids written.
        stem: path of the files written: `<stem>.<split>.bin`, `<stem>.<split>.npy` with the tokens of every
            document, and `<stem>.json`, written last.
    """

    unit: Unit
    cutting: Cutting
    codes: Codes
    tokenizer: Path | None
    end: int
    dtype: str
    stem: Path

    def run(self, report: Report) -> None:
        with ExitStack() as stack:
            files = [stack.enter_context(replacing(Path(f"{self.stem}.{name}.bin"))) for name in SPLITS]
            writer = _Writer(self, files)
            count = 0
            for document in _documents(self.unit, self.cutting, Tally(), report):
                if count == self.codes.size:
                    raise _changed(self.unit)
                if self.codes[count] < len(SPLITS):
                    writer.add(int(self.codes[count]), document)
                count += 1
            if count != self.codes.size:
                raise _changed(self.unit)
            writer.flush()
        for name, lengths in zip(SPLITS, writer.lengths, strict=True):
            with replacing(Path(f"{self.stem}.{name}.npy")) as file:
                np.save(file, np.array(lengths, np.int64))
        write_json(Path(f"{self.stem}.json"), dict(zip(SPLITS, writer.counts, strict=True)))


@dataclass
class _Writer:
    task: Encode
    files: list[BinaryIO]
    counts: list[dict[str, int]] = field(
        default_factory=lambda: [{"tokens": 0, "documents": 0, "bytes": 0} for _ in SPLITS]
    )
    lengths: list[list[int]] = field(default_factory=lambda: [[] for _ in SPLITS])
    texts: list[tuple[int, str]] = field(default_factory=list)
    waiting: int = 0
    tokenizer: Any = None

    def add(self, code: int, document: str | Tokens) -> None:
        self.counts[code]["documents"] += 1
        if not isinstance(document, str):
            self._write(code, [document])
            return
        self.counts[code]["bytes"] += len(document.encode())
        self.texts.append((code, document))
        self.waiting += len(document)
        if self.waiting >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Encode the texts that wait, and write them."""
        if not self.texts:
            return
        if self.tokenizer is None:
            assert self.task.tokenizer is not None
            self.tokenizer = load_tokenizer(self.task.tokenizer)
        pieces = [list(cut(text, _PIECE)) for _, text in self.texts]
        flat = [piece for group in pieces for piece in group]
        encoded = iter(self.tokenizer.encode_batch_fast(flat, add_special_tokens=False))
        for (code, _), group in zip(self.texts, pieces, strict=True):
            parts = [np.array(next(encoded).ids, dtype=np.int64) for _ in group]
            self._write(code, [*parts, np.array([self.task.end])])
        self.texts, self.waiting = [], 0

    def _write(self, code: int, document: Sequence[Tokens]) -> None:
        for tokens in document:
            self.files[code].write(np.ascontiguousarray(tokens, self.task.dtype).tobytes())
        length = sum(map(len, document))
        self.lengths[code].append(length)
        self.counts[code]["tokens"] += length
