"""A tokenised corpus on disk: flat token files, memory-mapped, and the index that describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from aioli.data.splits import SPLITS, Keys
from aioli.errors import InputError, nearest

__all__ = [
    "DOCUMENTS",
    "INDEX",
    "VERSION",
    "Corpus",
    "SplitInfo",
    "check_sequences",
    "dtype_for",
    "fingerprint",
    "sha256",
]

VERSION = 1
INDEX = "index.json"
DOCUMENTS = "documents.npz"
"""Beside the token files of every group and target: its documents (or blocks) by content hash."""


@dataclass(frozen=True)
class SplitInfo:
    """Size and content of one split of a group or target.

    Attributes:
        bytes: UTF-8 bytes of the documents' text; 0 when unknown (sources that were tokens already).
        sha256: of the token file.
    """

    tokens: int
    documents: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """Tokenised groups and targets, as `aioli.data.tokenize` wrote them.

    Attributes:
        directory: where they lie.
        index: the whole index.json: sizes, sources, what was skipped, messages, tokenizer.
    """

    directory: Path
    index: dict[str, Any]

    @classmethod
    def open(cls, directory: Path) -> Corpus:
        """Read the index and check that every token file has the size it says.

        Raises:
            InputError: no index, an index of another version, or a missing or truncated file.
        """
        path = Path(directory) / INDEX
        try:
            index = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise InputError(
                f"{directory} is not a tokenised corpus (it has no {INDEX}): "
                f"run `aioli tokenize` first, or let an interrupted one finish"
            ) from None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        except ValueError:
            raise InputError(f"{path} is truncated or corrupt: delete it and tokenise again") from None
        if not isinstance(index, dict) or index.get("format") != "aioli-tokens":
            raise InputError(f"{path} is not the index of a tokenised corpus")
        if index.get("version") != VERSION:
            raise InputError(
                f"{path}: expected format version {VERSION}, got {index.get('version')!r}: tokenise again"
            )
        corpus = cls(Path(directory), index)
        try:
            corpus._check_sizes()
        except (KeyError, TypeError, AttributeError):
            raise InputError(f"{path} is corrupt: delete it and tokenise again") from None
        return corpus

    def _check_sizes(self) -> None:
        for name, splits in self.index["splits"].items():
            for split in splits:
                path = self._path(name, split)
                expected = splits[split]["tokens"] * self.dtype.itemsize
                size = path.stat().st_size if path.is_file() else None
                if size != expected:
                    found = "is missing" if size is None else f"has {size} bytes instead of {expected}"
                    raise InputError(f"{path} {found}: delete {self.directory / INDEX} and tokenise again")

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the m training groups."""
        return tuple(self.index["groups"])

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the n held-out sets: the groups when no others were given."""
        return tuple(self.index["targets"])

    @property
    def vocab_size(self) -> int:
        """Token ids a model must know."""
        return int(self.index["vocab_size"])

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name the content: tokenizer, split shares and tokens, not the paths."""
        return str(self.index["fingerprint"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the tokens on disk: little-endian uint16 or uint32."""
        return np.dtype(self.index["dtype"]).newbyteorder("<")

    def _path(self, name: str, split: str) -> Path:
        return self.directory / name / f"{split}.bin"

    def split(self, name: str, split: str) -> SplitInfo:
        """Size and hash of one split.

        Raises:
            InputError: no such group or target, or it has no such split (targets have no "train").
        """
        splits = self.index["splits"]
        if name not in splits:
            raise InputError(f"no group or target {name!r} in {self.directory}; {nearest(name, splits)}")
        if split not in splits[name]:
            raise InputError(f"{name!r} has no split {split!r}; it has {', '.join(splits[name])}")
        return SplitInfo(**splits[name][split])

    def tokens(self, name: str, split: str) -> NDArray[Any]:
        """[tokens] read-only memory map of a split; each text ends with the end-of-text id."""
        if not self.split(name, split).tokens:
            return np.empty(0, self.dtype)
        return np.memmap(self._path(name, split), self.dtype, "r")

    def sequences(self, name: str, split: str, length: int) -> NDArray[Any]:
        """[rows, length] consecutive, non-overlapping rows of a split, without copying."""
        tokens = np.asarray(self.tokens(name, split))
        rows = tokens.size // length
        return tokens[: rows * length].reshape(rows, length)

    def documents(self, name: str, split: str) -> tuple[Keys, NDArray[np.int64]]:
        """[k] content hashes and [k] tokens of the documents of a split, in the order of its token file.

        Raises:
            InputError: a corpus that does not note its documents, or not as its index says.
        """
        noted = self._documents(name)
        keys, lengths = noted[f"{split}_keys"], noted[f"{split}_lengths"]
        if keys.size != lengths.size or lengths.sum() != self.split(name, split).tokens:
            raise InputError(
                f"{self.directory / name / DOCUMENTS} is not that of this corpus: delete "
                f"{self.directory / INDEX} and tokenise again"
            )
        return keys, lengths

    def cut_documents(self, name: str) -> Keys:
        """Content hashes of the documents of a group or target that were cut into blocks."""
        return self._documents(name)["cut"]

    def _documents(self, name: str) -> dict[str, NDArray[Any]]:
        path = self.directory / name / DOCUMENTS
        try:
            with np.load(path, allow_pickle=False) as noted:
                return {key: noted[key] for key in noted.files}
        except FileNotFoundError:
            raise InputError(
                f"the corpus in {self.directory} does not say where its documents end, because an earlier "
                f"Aioli made it: delete {self.directory / INDEX} and tokenise again (to the same tokens)"
            ) from None
        except (OSError, ValueError, EOFError, BadZipFile):
            raise InputError(
                f"{path} is corrupt: delete {self.directory / INDEX} and tokenise again"
            ) from None

    def verify(self) -> None:
        """Hash every token file and the tokenizer again.

        Raises:
            InputError: a file whose content is not what the index says.
        """
        files = {
            self._path(name, split): info["sha256"]
            for name, splits in self.index["splits"].items()
            for split, info in splits.items()
        }
        if self.index["tokenizer"] is not None:
            files[self.directory / "tokenizer.json"] = self.index["tokenizer"]["sha256"]
        for path, expected in files.items():
            if not path.is_file() or sha256(path) != expected:
                raise InputError(
                    f"{path} is not what was written (its hash differs from the index): "
                    f"delete {self.directory / INDEX} and tokenise again"
                )


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dtype_for(vocab_size: int) -> str:
    """uint16 while the vocabulary is at most 65,535 ids, uint32 above."""
    return "uint16" if vocab_size <= 65535 else "uint32"


def fingerprint(index: Mapping[str, Any]) -> str:
    """Name a corpus by its groups, targets, tokenizer, split shares and the hash of every split."""
    content = {
        "version": index["version"],
        "groups": index["groups"],
        "targets": index["targets"],
        "tokenizer": index["tokenizer"] and index["tokenizer"]["sha256"],
        "vocab_size": index["vocab_size"],
        "split": index["split"],
        "content": {
            name: {split: splits[split]["sha256"] for split in SPLITS if split in splits}
            for name, splits in index["splits"].items()
        },
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_sequences(corpus: Corpus, context: int) -> None:
    """Check that every group can be trained on and every target measured at this context.

    A sequence is `context + 1` tokens.

    Raises:
        InputError: naming every group with less than one training sequence, and every target with less
            than one validation or test sequence.
    """
    length, short = context + 1, []
    for names, splits in ((corpus.groups, ("train",)), (corpus.targets, ("validation", "test"))):
        for name in names:
            for split in splits:
                tokens = corpus.split(name, split).tokens
                if tokens < length:
                    short.append(f"{name}: {tokens} {split} tokens")
    if short:
        raise InputError(
            f"a context of {context} needs at least {length} tokens in every group's training split and "
            f"every target's validation and test splits; too few in {'; '.join(short)}. Add text, lower "
            f"model.context, or raise data.split.validation and data.split.test"
        )
