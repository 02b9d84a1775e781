"""Corpora of tokens that say which document and place they are from, to follow every one through a change."""

import json
from pathlib import Path

import numpy as np

from aioli.data.loader import Loader
from aioli.data.shards import DOCUMENTS, Corpus, fingerprint, sha256
from aioli.data.splits import key
from aioli.protocol import Problem
from aioli.regroup import Regroup

SPLITS = ("train", "validation", "test")
LENGTH = 8
"""Tokens of a sequence."""


def document(number: int, tokens: int) -> np.ndarray:
    """Token i of document d is 1000 d + i."""
    return np.arange(tokens, dtype="<u4") + 1000 * number


def write_corpus(directory: Path, groups: dict[str, list[np.ndarray]]) -> Corpus:
    """A corpus whose training splits are the given documents."""
    splits = {}
    for name, documents in groups.items():
        (directory / name).mkdir(parents=True)
        held = [np.zeros(LENGTH, "<u4")]
        arrays, splits[name] = {"cut": np.empty(0, np.uint64)}, {}
        for split, parts in zip(SPLITS, (documents, held, held), strict=True):
            path = directory / name / f"{split}.bin"
            path.write_bytes(np.concatenate([np.empty(0, "<u4"), *parts]).tobytes())
            arrays[f"{split}_keys"] = np.array([key(part) for part in parts], np.uint64)
            arrays[f"{split}_lengths"] = np.array([len(part) for part in parts], np.int64)
            splits[name][split] = {
                "tokens": sum(map(len, parts)),
                "documents": len(parts),
                "bytes": 0,
                "sha256": sha256(path),
            }
        np.savez(directory / name / DOCUMENTS, **arrays)
    index = {
        "format": "aioli-tokens", "version": 1, "groups": list(groups), "targets": list(groups),
        "vocab_size": 1 << 20, "dtype": "uint32", "tokenizer": None, "splits": splits,
        "split": {"validation": 0.1, "test": 0.1},
        "sources": {name: {"block": 0} for name in groups},
    }  # fmt: skip
    (directory / "index.json").write_text(json.dumps(index | {"fingerprint": fingerprint(index)}))
    return Corpus.open(directory)


def problem(corpus: Corpus, steps: int = 1000) -> Problem:
    tokens = [len(corpus.sequences(name, "train", LENGTH)) * (LENGTH - 1) for name in corpus.groups]
    return Problem(corpus.groups, tuple(tokens), steps, 4 * (LENGTH - 1))


def change(old: Corpus, new: Corpus, step: int = 0, **parents: tuple[str, ...]) -> Regroup:
    return Regroup(problem(old), problem(new), step, parents)


def loader(corpus: Corpus, batch: int = 4, **ranks: int) -> Loader:
    rows = {name: corpus.sequences(name, "train", LENGTH) for name in corpus.groups}
    return Loader(rows, batch, seed=5, **ranks)


def read(sampler: Loader, steps: int, proportions: dict[str, float] | None = None) -> dict[str, np.ndarray]:
    """The tokens that each group gave in the next steps."""
    names = sampler.state_dict()["groups"]
    p = proportions or dict.fromkeys(names, 1 / len(names))
    batches = list(sampler.segment(p, steps))
    tokens = np.concatenate([np.empty((0, LENGTH), "<u4"), *(batch.tokens for batch in batches)])
    group = np.concatenate([np.empty(0, int), *(batch.group for batch in batches)])
    return {name: tokens[group == j] for j, name in enumerate(names)}


def flat(parts: dict[str, np.ndarray]) -> list[int]:
    return np.concatenate([rows.ravel() for rows in parts.values()]).tolist()
