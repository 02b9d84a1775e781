"""The corpus on disk: maps, rows, and damage."""

import json
from pathlib import Path

import numpy as np
import pytest

from aioli.data.settings import DataSettings, TextSource
from aioli.data.shards import Corpus, check_sequences, dtype_for
from aioli.data.tokenize import tokenize
from aioli.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    for name, dtype, top in (("web", "<u2", 400), ("code", "<u4", 70000)):
        np.random.default_rng(top).integers(0, top, 40000).astype(dtype).tofile(tmp_path / f"{name}.bin")
    groups = {
        "web": TextSource(("web.bin",), kind="nanogpt"),
        "code": TextSource(("code.bin",), kind="nanogpt", dtype="uint32"),
    }
    return tokenize(DataSettings(groups), tmp_path, tmp_path / "out")


def test_open_again_gives_the_same_corpus(corpus: Corpus) -> None:
    again = Corpus.open(corpus.directory)
    assert again == corpus and again.fingerprint == corpus.fingerprint
    assert len(corpus.fingerprint) == 16
    again.verify()


def test_sequences_are_views_of_the_map(corpus: Corpus) -> None:
    tokens, rows = corpus.tokens("code", "train"), corpus.sequences("code", "train", 129)
    assert tokens.dtype == rows.dtype == np.uint32 and not tokens.flags.writeable
    assert rows.shape == (tokens.size // 129, 129) and rows.flags.c_contiguous and not rows.flags.owndata
    assert np.array_equal(rows.ravel(), tokens[: rows.size])
    assert corpus.split("code", "train").tokens == tokens.size


def test_dtype_for_vocabularies() -> None:
    assert [dtype_for(n) for n in (257, 65535, 65536)] == ["uint16", "uint16", "uint32"]


def test_unknown_names(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="did you mean 'code'"):
        corpus.split("cod", "train")
    with pytest.raises(InputError, match="no split 'dev'"):
        corpus.split("code", "dev")


def test_too_few_sequences_are_all_named(corpus: Corpus) -> None:
    check_sequences(corpus, 128)
    with pytest.raises(InputError) as error:
        check_sequences(corpus, 5000)
    told = str(error.value)
    assert "web: " in told and "code: " in told and "validation tokens" in told and "test tokens" in told
    assert "train tokens" not in told and "5001" in told and "model.context" in told


def refused(directory: Path) -> str:
    with pytest.raises(InputError) as error:
        Corpus.open(directory)
    return str(error.value)


def test_damaged_corpora(corpus: Corpus) -> None:
    index, data = corpus.directory / "index.json", corpus.directory / "web" / "train.bin"
    good, tokens = index.read_bytes(), data.read_bytes()
    data.write_bytes(tokens[:-2])
    assert "web/train.bin has" in refused(corpus.directory)
    data.unlink()
    assert "web/train.bin is missing" in refused(corpus.directory)
    data.write_bytes(bytes([tokens[0] ^ 1]) + tokens[1:])
    with pytest.raises(InputError, match=r"web/train\.bin is not what was written"):
        Corpus.open(corpus.directory).verify()
    index.write_bytes(good[:-40])
    assert "truncated or corrupt" in refused(corpus.directory)
    index.write_text(json.dumps({**json.loads(good), "version": 99}))
    assert "version 1, got 99" in refused(corpus.directory)
    index.write_text(json.dumps({"format": "aioli-tokens", "version": 1}))
    assert "corrupt" in refused(corpus.directory)
    index.write_text("[]")
    assert "not the index" in refused(corpus.directory)
    index.unlink()
    assert "aioli tokenize" in refused(corpus.directory)
