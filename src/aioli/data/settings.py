"""The `data:` part of a config. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aioli.errors import InputError

__all__ = ["DataSettings", "SplitSettings", "TextSource", "TokenizerSettings"]


@dataclass(frozen=True)
class TextSource:
    """Files of one group or target.

    Attributes:
        paths: files, directories or globs (`**` allowed), relative to the config file.
        text_field: field (jsonl, parquet) or column (csv) that holds the text.
        kind: "auto" reads by file name; the others name files that already hold token ids.
        dtype: of raw token files (`nanogpt`); the other formats say it themselves.
    """

    paths: tuple[str, ...]
    text_field: str = "text"
    kind: Literal["auto", "nanogpt", "olmo", "megatron", "hf_dataset"] = "auto"
    dtype: Literal["uint16", "uint32"] = "uint16"


@dataclass(frozen=True)
class TokenizerSettings:
    """A byte-level BPE trained on the training splits (`vocab_size`), or one to load (`path`).

    Attributes:
        vocab_size: entries to train; fewer when the text is too small for them.
        path: a `tokenizer.json`, or the name of a Hugging Face tokenizer available locally.
    """

    vocab_size: int = 4096
    path: str | None = None

    def __post_init__(self) -> None:
        if self.vocab_size < 257:
            raise InputError(
                f"data.tokenizer.vocab_size must be at least 257 (256 bytes and the end of text), "
                f"got {self.vocab_size}"
            )


@dataclass(frozen=True)
class SplitSettings:
    """Shares of each group's documents held out, chosen by document content, not by order."""

    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"data.split.{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.validation + self.test >= 1:
            raise InputError(
                f"data.split leaves nothing to train on: validation {self.validation} + test {self.test}"
            )


@dataclass(frozen=True)
class DataSettings:
    """Groups to train on, targets to be good at, and how text becomes tokens.

    Attributes:
        groups: training groups by name; each is also a target unless `targets` is given.
        targets: held-out sets that are not groups.
        tokens: directory of the tokenised shards; default `data/` in the output directory.
        invalid_documents: largest share of documents that may be invalid UTF-8 (skipped, reported).
    """

    groups: dict[str, TextSource]
    targets: dict[str, TextSource] = field(default_factory=dict)
    tokenizer: TokenizerSettings = TokenizerSettings()
    split: SplitSettings = SplitSettings()
    tokens: Path | None = None
    invalid_documents: float = 0.01

    def __post_init__(self) -> None:
        if not self.groups:
            raise InputError("data.groups is empty: name at least one group of files to train on")
        for name in [*self.groups, *self.targets]:
            if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
                raise InputError(
                    f"group and target names are letters, digits, '-', '_' and '.', got {name!r}"
                )
        both = sorted(set(self.groups) & set(self.targets))
        if both:
            raise InputError(f"a target must not have a group's name: {', '.join(both)}")
        if not 0 <= self.invalid_documents <= 1:
            raise InputError(f"data.invalid_documents is a share from 0 to 1, got {self.invalid_documents}")
