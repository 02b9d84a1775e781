"""Text planted at a known share is found, refused above the limit, and shown."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.markov_texts import make_corpus
from tests.data.small_texts import write_jsonl

from aioli.config import load
from aioli.data.similarity_hash import window_hashes
from aioli.data.similarity_overlap import (
    check_overlap,
    corpus_overlap,
    overlap,
    refused_pairs,
    shared_passage,
)
from aioli.data.similarity_settings import SimilaritySettings
from aioli.data.tokenize import tokenize
from aioli.errors import InputError

WINDOW = 20
SETTINGS = SimilaritySettings(window=WINDOW)


def noise(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 4000, size).astype(np.uint16)


def planted(into: np.ndarray, passage: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate([into[:at], passage, into[at:]])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=0, max_size=60),
    st.lists(st.integers(0, 3), min_size=0, max_size=60),
    st.integers(2, 9),
)
def test_overlap_is_what_comparing_every_window_gives(group, target, window):
    def windows(tokens):
        found = [tuple(tokens[i : i + window]) for i in range(len(tokens) - window + 1)]
        return [w for w in found if all(w[p:] != w[:-p] for p in range(1, min(4, window - 1) + 1))]

    wanted, there = windows(target), set(windows(group))
    expected = np.mean([w in there for w in wanted]) if wanted else 0.0
    found = overlap({"g": np.array(group, np.uint16)}, {"t": [np.array(target, np.uint16)]}, window)
    assert found[0, 0] == pytest.approx(expected, abs=1e-12)


def test_hashes_depend_on_all_tokens_and_their_order():
    tokens = noise(0, 200)
    hashes = window_hashes(tokens, 13)
    assert hashes.size == 188 == np.unique(hashes).size
    for place in range(13):
        changed = tokens[:13].copy()
        changed[place] += 1
        assert window_hashes(changed, 13)[0] != hashes[0]
    assert window_hashes(tokens[:13][::-1].copy(), 13)[0] != hashes[0]
    assert int(window_hashes(np.array([1, 2, 3]), 3)[0]) == 3971734292344088269, "hashes must never change"


def test_a_planted_share_is_measured_over_validation_and_test():
    validation, test = noise(1, 4000), noise(2, 6000)
    groups = {
        "clean": noise(3, 50_000),
        "from-test": planted(noise(4, 50_000), test[1000:2000], at=30_000),
        "from-validation": planted(noise(5, 2_200_000), validation, at=1_048_570),  # across a chunk's end
    }
    shares = overlap(groups, {"t": [validation, test]}, WINDOW)[0]
    windows = 10_000 - 2 * (WINDOW - 1)
    assert shares[0] == 0
    assert shares[1] == pytest.approx((1000 - WINDOW + 1) / windows)
    assert shares[2] == pytest.approx((4000 - WINDOW + 1) / windows)


def test_repeated_fillers_are_no_shared_text():
    filler = np.tile(np.array([7, 7, 9, 5], np.uint16), 500)
    shares = overlap({"g": filler}, {"t": [np.concatenate([filler, noise(0, 500)])], "f": [filler]}, WINDOW)
    assert shares.max() == 0


def test_the_longest_shared_passage():
    target, passage = noise(1, 3000), noise(1, 3000)[400:475]
    group = planted(planted(noise(2, 9000), target[100:130], at=50), passage, at=5000)
    np.testing.assert_array_equal(shared_passage([noise(3, 500), target], group, WINDOW), passage)
    assert shared_passage([noise(3, 500)], group, WINDOW).size == 0


@pytest.fixture
def corpus(tmp_path):
    held = {"validation": noise(1, 5000), "test": noise(2, 5000)}

    def group(seed: int, train: np.ndarray):
        return {"train": train, "validation": noise(seed, 500), "test": noise(seed + 1, 500)}

    groups = {
        "clean": group(30, noise(3, 20_000)),
        "dirty": group(40, planted(noise(4, 20_000), held["test"][:1000], at=7)),
    }
    return make_corpus(tmp_path / "tokens", groups, {"books": held})


def test_too_much_shared_text_is_refused_with_an_example(corpus):
    shares = corpus_overlap(corpus, SETTINGS)
    assert shares[0, 0] == 0 and 0.09 < shares[0, 1] < 0.11
    assert refused_pairs(corpus, SETTINGS, shares) == [("books", "dirty")]
    first = corpus.tokens("books", "test")[:5].tolist()
    tokens = ", ".join(map(str, first))
    told = rf"group 'dirty' holds 9\.8% .* target 'books' .* max_overlap 5\.0%.* tokens \[{tokens}"
    with pytest.raises(InputError, match=told):
        check_overlap(corpus, SETTINGS, shares)
    check_overlap(corpus, replace(SETTINGS, max_overlap=0.2), shares)
    check_overlap(corpus, replace(SETTINGS, allow_contamination=True), shares)


def test_a_group_that_is_the_target_is_exempt(tmp_path):
    """What a group's own documents have in common is told but refuses nothing; another group's is refused."""
    train = noise(1, 8000)
    groups = {
        "law": {"train": train, "validation": train[:600], "test": noise(2, 600)},
        "copy": {"train": train[:4000], "validation": noise(3, 600), "test": noise(4, 600)},
    }
    corpus = make_corpus(tmp_path / "tokens", groups, {})
    shares = corpus_overlap(corpus, SETTINGS)
    assert shares[0, 0] == shares[0, 1] == pytest.approx(0.5)
    assert refused_pairs(corpus, SETTINGS, shares) == [("law", "copy")]


def test_the_passage_is_shown_as_text_where_the_tokenizer_is_known(tmp_path):
    rng = np.random.default_rng(0)

    def prose(seed, words=80):
        return " ".join(f"w{rng.integers(1000, 9999)}x{seed}" for _ in range(words))

    books = [prose(k) for k in range(30)]
    write_jsonl(tmp_path / "books.jsonl", books)
    write_jsonl(tmp_path / "clean.jsonl", [prose(100 + k) for k in range(60)])
    write_jsonl(tmp_path / "dirty.jsonl", [prose(200 + k) + " " + books[k % 30] for k in range(60)])
    plain = {
        "data": {
            "groups": {name: {"paths": [str(tmp_path / f"{name}.jsonl")]} for name in ("clean", "dirty")},
            "targets": {"books": {"paths": [str(tmp_path / "books.jsonl")]}},
            "tokenizer": {"vocab_size": 300},
        }
    }
    config = load(plain, methods=False)
    corpus = tokenize(config.data, config.base, tmp_path / "tokens")
    shares = corpus_overlap(corpus, SETTINGS)
    assert shares[0, 0] < 0.02 and shares[0, 1] > 0.8
    with pytest.raises(InputError, match=r"'dirty' holds .*: '\S* w\d{4}x(\d+) w\d{4}x\1 "):
        check_overlap(corpus, SETTINGS, shares)
