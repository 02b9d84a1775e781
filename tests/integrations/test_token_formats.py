"""Token files written by the libraries that own the formats, read by ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

from aioli.data.settings import DataSettings, TextSource
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize

VOCABULARY = 500


@pytest.fixture
def documents() -> list[list[int]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, VOCABULARY, size=int(n)).tolist() for n in generator.integers(50, 400, 60)]


def read(tmp_path: Path, kind: str, path: Path) -> Corpus:
    source = TextSource(paths=(str(path),), kind=kind)  # type: ignore[arg-type]
    return tokenize(DataSettings(groups={"g": source}), tmp_path, tmp_path / "tokens", workers=1)


def all_tokens(corpus: Corpus) -> list[int]:
    splits = ("train", "validation", "test")
    return sorted(int(t) for split in splits for t in corpus.tokens("g", split))


def test_dataset_saved_by_datasets(tmp_path, documents):
    Dataset.from_dict({"input_ids": documents}).save_to_disk(tmp_path / "saved", num_shards=3)
    corpus = read(tmp_path, "hf_dataset", tmp_path / "saved")
    assert all_tokens(corpus) == sorted(token for document in documents for token in document)


def test_text_dataset_saved_by_datasets(tmp_path):
    rows = [f"Document {i} says something about the number {i * i}, at some length. " * 9 for i in range(80)]
    Dataset.from_dict({"text": rows}).save_to_disk(tmp_path / "saved")
    corpus = read(tmp_path, "hf_dataset", tmp_path / "saved")
    splits = ("train", "validation", "test")
    assert sum(corpus.split("g", split).documents for split in splits) == len(rows)
    assert sum(corpus.split("g", split).bytes for split in splits) == sum(len(row) for row in rows)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_indexed_dataset_built_by_megatron(tmp_path, documents, dtype):
    builder = IndexedDatasetBuilder(str(tmp_path / "data.bin"), dtype=dtype)
    for document in documents:
        builder.add_document(torch.tensor(document, dtype=torch.int64), [len(document)])
    builder.finalize(str(tmp_path / "data.idx"))
    corpus = read(tmp_path, "megatron", tmp_path / "data")
    assert all_tokens(corpus) == sorted(token for document in documents for token in document)
    splits = ("train", "validation", "test")
    assert sum(corpus.split("g", split).documents for split in splits) == len(documents)
