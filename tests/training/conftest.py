"""A tiny tokenised corpus with structure to learn, and runs on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.data.shards import Corpus, fingerprint
from aioli.sweep.spec import RunSpec
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

VOCAB = 40
SIZES = {"train": 3000, "validation": 700, "test": 700}


def text(group: int, split: int, count: int) -> np.ndarray:
    """Mostly a fixed walk through the vocabulary, another one in each group; the rest is noise."""
    rng = np.random.default_rng([group, split])
    walk = np.random.default_rng(group).permutation(VOCAB)
    tokens = np.zeros(count, dtype=np.uint16)
    for i in range(1, count):
        tokens[i] = walk[tokens[i - 1]] if rng.random() < 0.95 - 0.15 * group else rng.integers(VOCAB)
    return tokens


def make_corpus(directory: Path, groups: tuple[str, ...], targets: tuple[str, ...] = ()) -> Corpus:
    splits: dict[str, dict[str, Any]] = {}
    for number, name in enumerate([*groups, *targets]):
        (directory / name).mkdir(parents=True)
        names = ("train", "validation", "test") if name in groups else ("validation", "test")
        splits[name] = {}
        for k, split in enumerate(names):
            data = text(number, k, SIZES[split]).astype("<u2").tobytes()
            (directory / name / f"{split}.bin").write_bytes(data)
            info = {"tokens": SIZES[split], "documents": 1, "bytes": 2 * SIZES[split]}
            splits[name][split] = info | {"sha256": hashlib.sha256(data).hexdigest()}
    index = {
        "format": "aioli-tokens",
        "version": 1,
        "groups": list(groups),
        "targets": list(targets or groups),
        "vocab_size": VOCAB,
        "dtype": "uint16",
        "tokenizer": None,
        "split": {"validation": 0.1, "test": 0.1},
        "splits": splits,
    }
    (directory / "index.json").write_text(json.dumps(index | {"fingerprint": fingerprint(index)}))
    return Corpus.open(directory)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "tokens", ("law", "code", "prose"))


@pytest.fixture(scope="session")
def corpus_with_target(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "tokens", ("law", "code"), ("news",))


@pytest.fixture(scope="session")
def make_spec(corpus: Corpus) -> Callable[..., RunSpec]:
    """A spec of a run of well under a second; keyword arguments as of TrainSettings, and a few more."""

    def make(method: str = "stratified", *, on: Corpus = corpus, seed: int = 0, **settings: Any) -> RunSpec:
        parameters = settings.pop("parameters", {})
        evaluation = settings.pop("evaluation", EvaluationSettings(sequences=6, test_sequences=12))
        extra = {key: settings.pop(key) for key in ("target_weights", "objective") if key in settings}
        train = {"steps": 40, "batch": 6, "warmup": 4, "learning_rate": 1e-2} | settings
        return RunSpec(
            method=method,
            data=on.fingerprint,
            seed=seed,
            parameters=parameters,
            model=ModelSettings(layers=1, width=16, heads=2, context=16),
            train=TrainSettings(**train),
            evaluation=evaluation,
            **extra,
        )

    return make


@pytest.fixture(scope="session")
def corpus_maker() -> Callable[..., Corpus]:
    return make_corpus
