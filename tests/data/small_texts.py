"""Small made-up groups of text that the tests of tokenising share."""

import json
import random
from pathlib import Path

import numpy as np

from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.shards import Corpus
from aioli.data.tokenizer import load_tokenizer


def words(seed: int, count: int, alphabet: str = "abcdefgh") -> str:
    pick = random.Random(seed)
    return " ".join("".join(pick.choices(alphabet, k=pick.randint(2, 7))) for _ in range(count))


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def law(count: int = 60) -> list[str]:
    return [words(k, 40) for k in range(count)]


def code(count: int = 60) -> list[str]:
    return [words(1000 + k, 40, "stuvwxyz") for k in range(count)]


def settings(vocab_size: int = 400, **groups: str) -> DataSettings:
    groups = groups or {"law": "law.jsonl", "code": "code/*.py"}
    named = {name: TextSource((path,)) for name, path in groups.items()}
    return DataSettings(named, tokenizer=TokenizerSettings(vocab_size))


def texts(corpus: Corpus, name: str, split: str) -> list[str]:
    """The documents of a split, decoded."""
    tokenizer = load_tokenizer(corpus.directory / "tokenizer.json")
    end = corpus.index["tokenizer"]["end_of_text"]
    tokens = np.asarray(corpus.tokens(name, split))
    ends = np.flatnonzero(tokens == end)
    assert tokens.size == 0 or ends[-1] == tokens.size - 1
    return [tokenizer.decode(part[:-1].tolist()) for part in np.split(tokens, ends + 1)[:-1]]


def all_texts(corpus: Corpus, name: str) -> list[str]:
    return [text for split in corpus.index["splits"][name] for text in texts(corpus, name, split)]
