"""Token sequences with known statistics, and corpora made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aioli.data.shards import Corpus, fingerprint

VOCAB = 12


def chain(source: int) -> np.ndarray:
    """[VOCAB, VOCAB] transition probabilities of a Markov source."""
    weights = np.random.default_rng(source).gamma(0.5, size=(VOCAB, VOCAB)) + 0.02
    return weights / weights.sum(axis=1, keepdims=True)


def stationary(p: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(p.T)
    found = np.real(vectors[:, np.argmax(np.real(values))])
    return found / found.sum()


def text(source: int, length: int, seed: int = 0) -> np.ndarray:
    """A walk of a source."""
    cumulative, rng = chain(source).cumsum(axis=1), np.random.default_rng([source, seed])
    draws, tokens = rng.random(length), np.zeros(length, np.uint16)
    for i in range(1, length):
        tokens[i] = min(np.searchsorted(cumulative[tokens[i - 1]], draws[i]), VOCAB - 1)
    return tokens


def divergence_of(target: int, group: int) -> float:
    """KL of the distribution of unigrams and bigrams of one source from that of another, in closed form."""
    joined = []
    for source in (target, group):
        p = chain(source)
        single = stationary(p)
        joined.append(np.concatenate([single, (single[:, None] * p).ravel()]) / 2)
    p, q = joined
    return float((p * np.log(p / q)).sum())


def make_corpus(
    directory: Path,
    groups: Mapping[str, Mapping[str, np.ndarray]],
    targets: Mapping[str, Mapping[str, np.ndarray]],
) -> Corpus:
    """A tokenised corpus with these tokens in each split; without targets, the groups are the targets."""
    splits: dict[str, Any] = {}
    for name, texts in {**groups, **targets}.items():
        (directory / name).mkdir(parents=True)
        splits[name] = {}
        for split, tokens in texts.items():
            data = tokens.astype("<u2").tobytes()
            (directory / name / f"{split}.bin").write_bytes(data)
            splits[name][split] = {
                "tokens": tokens.size,
                "documents": 1,
                "bytes": 2 * tokens.size,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
    index = {
        "format": "aioli-tokens",
        "version": 1,
        "groups": list(groups),
        "targets": list(targets or groups),
        "vocab_size": 4000,
        "dtype": "uint16",
        "tokenizer": None,
        "split": {"validation": 0.1, "test": 0.1},
        "splits": splits,
    }
    (directory / "index.json").write_text(json.dumps(index | {"fingerprint": fingerprint(index)}))
    return Corpus.open(directory)
