"""The tokenizer: a byte-level BPE trained here, or one that exists already."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aioli.data.optional import require
from aioli.errors import InputError

__all__ = ["END_OF_TEXT", "end_of_text", "find_tokenizer", "load_tokenizer", "train_tokenizer", "vocabulary"]

END_OF_TEXT = "<|endoftext|>"
_OTHER_ENDS = ("<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "<|im_end|>")


def _library(module: str = "tokenizers") -> Any:
    return require(module, "to turn text into tokens")


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Any:
    """Train a byte-level BPE with the end-of-text token as id 0 and all 256 bytes.

    A pair is merged only when it occurs at least twice, so a short text gives fewer than `vocab_size`
    entries. The same texts in the same order give the same tokenizer.
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def find_tokenizer(name: str, base: Path) -> Path:
    """Find the `tokenizer.json` that a config names: a file, a directory, or a cached Hugging Face name.

    Nothing is downloaded.

    Raises:
        InputError: nothing of that name exists here.
    """
    path = base / Path(name).expanduser()
    if path.is_dir() and (path / "tokenizer.json").is_file():
        return path / "tokenizer.json"
    if path.is_file():
        return path
    try:
        cached = require("huggingface_hub", "to find cached tokenizers").try_to_load_from_cache(
            name, "tokenizer.json"
        )
    except ValueError:
        cached = None
    if isinstance(cached, str):
        return Path(cached)
    raise InputError(
        f"data.tokenizer.path: {name!r} is neither a tokenizer.json (looked for {path}) nor the name of a "
        f"Hugging Face tokenizer in the local cache; nothing is downloaded here: fetch it first, for "
        f"example with `hf download {name} tokenizer.json tokenizer_config.json`"
    )


def load_tokenizer(path: Path) -> Any:
    """Load a `tokenizer.json`, without its padding and truncation, and blind to special tokens in text.

    Raises:
        InputError: the file is not a tokenizer.
    """
    library = _library()
    try:
        tokenizer = library.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception
        raise InputError(
            f"{path}: not a tokenizer.json of the tokenizers library ({error}); it may be truncated"
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def end_of_text(tokenizer: Any, path: Path) -> tuple[int, str | None]:
    """Return the id of the end-of-text token of a loaded tokenizer, and a message if it had to be added.

    It is the `eos_token` of the tokenizer_config.json beside `path`, else a well-known name, else a new
    token `<|endoftext|>`.
    """
    for name in (*_declared_end(path.with_name("tokenizer_config.json")), END_OF_TEXT, *_OTHER_ENDS):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return found, None
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer.token_to_id(END_OF_TEXT), (
        f"the tokenizer {path} has no end-of-text token: {END_OF_TEXT} was added to it"
    )


def _declared_end(config: Path) -> list[str]:
    try:
        token = json.loads(config.read_bytes()).get("eos_token")
    except (OSError, ValueError, AttributeError):
        return []
    token = token.get("content") if isinstance(token, dict) else token
    return [token] if isinstance(token, str) else []


def vocabulary(tokenizer: Any) -> int:
    """Number of token ids a model needs: the largest id and one."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
