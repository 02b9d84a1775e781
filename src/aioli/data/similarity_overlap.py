"""Which groups share passages with a target: windows of its held-out tokens found in training text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aioli.data.shards import Corpus
from aioli.data.similarity_hash import window_hashes
from aioli.data.similarity_settings import SimilaritySettings
from aioli.data.tokenizer import load_tokenizer
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["check_overlap", "corpus_overlap", "overlap", "refused_pairs", "shared_passage"]

Tokens = NDArray[Any]
Hashes = NDArray[np.uint64]

CHUNK = 1 << 20
MOST = 1 << 23
"""Different windows of the targets kept; with more, only those whose hash is a multiple of some number."""
PERIOD = 4
"""Windows that repeat after so few tokens (rules, padding, tables) are not counted."""
SNIPPET = 160


def corpus_overlap(corpus: Corpus, settings: SimilaritySettings) -> Array:
    """[n, m] `overlap` of the validation and test splits of the targets with the groups' training splits."""
    groups = {name: corpus.tokens(name, "train") for name in corpus.groups}
    return overlap(groups, {name: _held_out(corpus, name) for name in corpus.targets}, settings.window)


def refused_pairs(corpus: Corpus, settings: SimilaritySettings, shares: Array) -> list[tuple[str, str]]:
    """(target, group) of every pair that shares more text than the settings allow.

    A group that is itself the target is exempt: its splits share no document, only what its documents have
    in common.

    Args:
        shares: [n, m] as `corpus_overlap` gives them.
    """
    if settings.allow_contamination:
        return []
    above = np.argwhere(shares > settings.max_overlap)
    pairs = [(corpus.targets[i], corpus.groups[j]) for i, j in above]
    return [(target, group) for target, group in pairs if target != group]


def check_overlap(corpus: Corpus, settings: SimilaritySettings, shares: Array) -> None:
    """Refuse training text that holds too much of a target's held-out text.

    Raises:
        InputError: `refused_pairs` has any; names the first, its share and its longest shared passage.
    """
    for target, group in refused_pairs(corpus, settings, shares):
        share = shares[corpus.targets.index(target), corpus.groups.index(group)]
        passage = shared_passage(_held_out(corpus, target), corpus.tokens(group, "train"), settings.window)
        raise InputError(
            f"the training text of group {group!r} holds {share:.1%} of the held-out text of target "
            f"{target!r} (windows of {settings.window} tokens), more than max_overlap "
            f"{settings.max_overlap:.1%}: the test would measure memory. The longest passage: "
            f"{_told(corpus, passage)}. Remove the shared text from the group, or set allow_contamination: "
            "true to go on all the same"
        )


def overlap(groups: Mapping[str, Tokens], targets: Mapping[str, Sequence[Tokens]], window: int) -> Array:
    """[n, m] share of each target's windows of `window` consecutive tokens that occur in each group.

    All of the text is read. Windows that repeat themselves every four tokens or fewer are left out on both
    sides. A target without windows gets 0.
    """
    counted = [np.concatenate([_telling(text, window) for text in texts]) for texts in targets.values()]
    divisor = np.uint64(1 + sum(map(len, counted)) // MOST)
    owned = [np.unique(hashes[hashes % divisor == 0], return_counts=True) for hashes in counted]
    wanted = np.unique(np.concatenate([hashes for hashes, _ in owned]))
    places = [np.searchsorted(wanted, hashes) for hashes, _ in owned]
    shares = np.zeros((len(targets), len(groups)))
    for j, tokens in enumerate(groups.values()):
        seen = _seen(tokens, wanted, window)
        for i, (_, counts) in enumerate(owned):
            shares[i, j] = counts[seen[places[i]]].sum() / max(counts.sum(), 1)
    return shares


def shared_passage(target: Sequence[Tokens], group: Tokens, window: int) -> Tokens:
    """The longest run of a target's tokens whose windows all occur in the group; empty when none does."""
    longest = np.empty(0, np.int64)
    for text in target:
        hashes = window_hashes(np.asarray(text), window)
        wanted = np.unique(hashes)
        found = _seen(group, wanted, window)[np.searchsorted(wanted, hashes)] & ~_repeating(text, window)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], found.view(np.int8), [0]])))
        lengths = edges[1::2] - edges[::2]
        if lengths.size and lengths.max() + window - 1 > longest.size:
            start = edges[2 * lengths.argmax()]
            longest = np.asarray(text)[start : start + lengths.max() + window - 1]
    return longest


def _held_out(corpus: Corpus, name: str) -> list[Tokens]:
    return [corpus.tokens(name, split) for split in ("validation", "test")]


def _telling(tokens: Tokens, window: int) -> Hashes:
    return window_hashes(np.asarray(tokens), window)[~_repeating(tokens, window)]


def _repeating(tokens: Tokens, window: int) -> NDArray[np.bool_]:
    """Whether each window equals itself shifted by one to four tokens."""
    tokens = np.asarray(tokens)
    count = max(tokens.size - window + 1, 0)
    repeating = np.zeros(count, np.bool_)
    for period in range(1, min(PERIOD, window - 1) + 1 if count else 1):
        same = np.concatenate([[0], np.cumsum(tokens[period:] == tokens[:-period])])
        inside = window - period
        repeating |= (same[inside:] - same[:-inside])[:count] == inside
    return repeating


def _seen(tokens: Tokens, wanted: Hashes, window: int) -> NDArray[np.bool_]:
    """Which of the sorted hashes `wanted` occur among the windows of `tokens`."""
    seen = np.zeros(wanted.size, np.bool_)
    if not wanted.size:
        return seen
    bits = min(26, max(8, int(wanted.size).bit_length() + 4))
    shift = np.uint64(64 - bits)
    likely = np.zeros(1 << bits, np.bool_)
    likely[wanted >> shift] = True
    for hashes in _chunks(tokens, window):
        candidates = hashes[likely[hashes >> shift]]
        place = np.minimum(np.searchsorted(wanted, candidates), wanted.size - 1)
        seen[place[wanted[place] == candidates]] = True
    return seen


def _chunks(tokens: Tokens, window: int) -> Iterator[Hashes]:
    for start in range(0, max(tokens.size - window + 1, 0), CHUNK):
        yield window_hashes(np.asarray(tokens[start : start + CHUNK + window - 1]), window)


def _told(corpus: Corpus, passage: Tokens) -> str:
    """The passage as text where the corpus has its tokenizer, else as token ids; cut to a line."""
    path: Path = corpus.directory / "tokenizer.json"
    if corpus.index["tokenizer"] is None or not path.is_file():
        return f"tokens {passage[:30].tolist()}"
    text = " ".join(load_tokenizer(path).decode(passage.tolist()).split())
    return repr(text if len(text) <= SNIPPET else text[:SNIPPET] + "...")
