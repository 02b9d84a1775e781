"""A corpus that another one takes the place of in a run, and what of it must stay as it is.

The run has trained on its training documents and measured on the held-out ones, so every document stays in
its split, whatever group it is in now; and what was cut into blocks is cut into the same blocks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aioli.data.shards import Corpus
from aioli.data.splits import SPLITS, Pins
from aioli.errors import InputError

__all__ = ["Predecessor"]


@dataclass(frozen=True)
class Predecessor:
    """The corpus so far, and the groups of it that new groups come from (those named otherwise).

    Raises:
        InputError: on use, a corpus that does not note its documents.
    """

    corpus: Corpus
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, corpus: Corpus) -> Predecessor | None:
        """What a corpus took the place of; None for a run's first one.

        Raises:
            InputError: the earlier corpus is not where it was.
        """
        noted = corpus.index.get("before")
        if noted is None:
            return None
        parents = {name: tuple(given) for name, given in noted["parents"].items()}
        return cls(Corpus.open(corpus.directory / noted["directory"]), parents)

    def to_json(self, directory: Path) -> dict[str, Any]:
        """What `of` reads from the index of a corpus in `directory`."""
        where = os.path.relpath(self.corpus.directory.resolve(), directory.resolve())
        return {"directory": where, "parents": {name: list(given) for name, given in self.parents.items()}}

    @property
    def identity(self) -> list[Any]:
        """All of it that decides what becomes of other text, as JSON values."""
        return [self.corpus.fingerprint, {name: list(self.parents[name]) for name in sorted(self.parents)}]

    @property
    def tokenizer(self) -> Path | None:
        """The file of its tokenizer; None when all of it was tokens."""
        return None if self.corpus.index["tokenizer"] is None else self.corpus.directory / "tokenizer.json"

    @cached_property
    def pins(self) -> Pins:
        """The split of every document."""
        keys, codes, of_groups = [], [], []
        for name in self.corpus.index["splits"]:
            for code, split in enumerate(SPLITS):
                if split in self.corpus.index["splits"][name]:
                    found = self.corpus.documents(name, split)[0]
                    keys.append(found)
                    codes.append(np.full(found.size, code, np.uint8))
                    of_groups.append(found if name in self.corpus.groups else found[:0])
        different, first = np.unique(np.concatenate(keys), return_index=True)
        return Pins(different, np.concatenate(codes)[first], np.unique(np.concatenate(of_groups)))

    @cached_property
    def cut(self) -> dict[int, int]:
        """Block of every document that was cut, by its key."""
        return {
            name: self._block(source)
            for source in self.corpus.index["splits"]
            for name in self.corpus.cut_documents(source).tolist()
        }

    def block(self, name: str) -> int:
        """Block into which the group or target was cut, or one that it comes from; 0: none was."""
        origins = (name, *self.parents.get(name, ()))
        known = [origin for origin in origins if origin in self.corpus.index["splits"]]
        return max(map(self._block, known), default=0)

    def _block(self, source: str) -> int:
        return int(self.corpus.index["sources"][source]["block"])

    def check_vocabulary(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The facts of a tokenizer, after making sure that token ids mean what they did.

        Raises:
            InputError: token ids beyond those that the run's model knows.
        """
        known = self.corpus.vocab_size
        if self.tokenizer is None and "sha256" in facts:
            raise InputError(
                "the run was trained on token ids without a tokenizer, so text cannot be added to it: give "
                "token ids of the same vocabulary, or start another run with data.tokenizer.path"
            )
        if facts["vocab_size"] > known:
            raise InputError(
                f"the vocabulary of a run cannot change: its model knows {known} token ids, the new text "
                f"has ids up to {facts['vocab_size'] - 1}; leave it out, or start another run"
            )
        return facts | {"vocab_size": known}
