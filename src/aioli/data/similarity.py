"""How near the text of each group is to that of a target, and how sharply a mixture should follow it.

Texts are compared by their distributions of hashed unigrams and bigrams of tokens. A mixture p_j ~
exp(-D_j / tau), D_j the divergence of group j from the target, is chosen from text alone: tau maximises the
likelihood of target text that the divergences have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aioli.data.shards import Corpus
from aioli.data.similarity_hash import histogram, sample_rows
from aioli.data.similarity_settings import Direction, SimilaritySettings
from aioli.errors import InputError
from aioli.protocol import Array
from aioli.simplex import softmax

__all__ = ["TAUS", "Similarity", "compare_corpus", "compare_texts", "divergence"]

Tokens = NDArray[Any]
Texts = Mapping[str, Tokens]

TAUS = tuple(float(f"{0.01 * 10 ** (k / 10):.4g}") for k in range(31))
"""Temperatures tried, in nats: from 0.01 (the nearest group alone) to 10 (nearly equal proportions)."""
REFERENCES = 8
"""Groups of full sample that a group with less text is ranked among."""
CHUNK = 32
"""Groups whose divergences are computed at a time."""
DECIMALS = 6


@dataclass(frozen=True)
class Similarity:
    """Divergences in nats for each unigram or bigram, and what the rule for tau found.

    Attributes:
        divergences: [n, m] of each target from each group; NaN for a group without text.
        tau: [n] the temperature of each target.
        likelihood: [n, T] mean log-likelihood, in nats, of unseen n-grams of the target under the mixture
            that each of `TAUS` gives.
        equal: [n] the same under equal proportions.
        tokens: [m] read of each group.
    """

    targets: tuple[str, ...]
    groups: tuple[str, ...]
    divergences: Array
    tau: Array
    likelihood: Array
    equal: Array
    tokens: Array


def compare_corpus(corpus: Corpus, settings: SimilaritySettings) -> Similarity:
    """`compare_texts` on the training splits of a corpus's groups and the validation splits of its targets.

    Raises:
        InputError: as `compare_texts`.
    """
    groups = {name: corpus.tokens(name, "train") for name in corpus.groups}
    targets = {name: corpus.tokens(name, "validation") for name in corpus.targets}
    return compare_texts(groups, targets, settings)


def compare_texts(groups: Texts, targets: Texts, settings: SimilaritySettings | None = None) -> Similarity:
    """Divergences of every target from every group, and the temperature for each target.

    Groups are cut to one size, the smaller of `sample` and the median group's, because a divergence from
    fewer tokens comes out larger. A group with less is used whole and then ranked among up to eight others
    cut to its size: it gets the divergence of the full sample that belongs to its rank. Nothing here
    depends on the order of the groups.

    Args:
        groups: [tokens] token ids of each group's training text; an empty one gets NaN.
        targets: [tokens] token ids of each target's validation text.

    Raises:
        InputError: a target of fewer than 4 tokens, or no text in any group.
    """
    settings = settings or SimilaritySettings()
    short = [f"{name} ({tokens.size})" for name, tokens in targets.items() if tokens.size < 4]
    if short or not targets:
        raise InputError(
            "the text of a target decides what is similar to it, so each needs at least 4 validation tokens; "
            f"too few in {', '.join(short) or 'no target at all'}: add text, or raise data.split.validation"
        )
    present = {name: tokens for name, tokens in groups.items() if tokens.size}
    if not present:
        raise InputError(f"no training tokens in any of the groups {', '.join(groups)}: add text")
    texts = _Groups(present, settings)
    found = [texts.compare(name, tokens) for name, tokens in targets.items()]
    columns = [list(groups).index(name) for name in present]
    divergences, tokens = np.full((len(targets), len(groups)), np.nan), np.zeros(len(groups))
    divergences[:, columns] = [d for d, _ in found]
    tokens[columns] = texts.tokens
    likelihood = np.array([likelihood for _, likelihood in found])
    best = likelihood.shape[1] - 1 - likelihood[:, ::-1].argmax(axis=1)
    return Similarity(
        tuple(targets),
        tuple(groups),
        divergences.round(DECIMALS),
        np.array(TAUS)[np.minimum(best, len(TAUS) - 1)],
        likelihood[:, :-1],
        likelihood[:, -1],
        tokens,
    )


def divergence(target: Array, groups: Array, smoothing: float, direction: Direction) -> Array:
    """[k] divergences in nats between counts `target` [buckets] and each of `groups` [k, buckets].

    >>> counts = np.array([3.0, 1.0]), np.array([[1.0, 3.0]])
    >>> divergence(*counts, 1e-9, "target_group").round(4).tolist()  # log 3 / 2
    [0.5493]
    """
    p, q = target / target.sum(), groups / groups.sum(axis=1, keepdims=True)
    if direction == "jensen_shannon":
        middle = (p + q) / 2
        return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    forward = backward = np.zeros(len(groups))
    if direction != "group_target":
        forward = _relative_entropy(p, _smoothed(groups, smoothing))
    if direction != "target_group":
        backward = _relative_entropy(q, _smoothed(target, smoothing))
    return (forward + backward) / (2 if direction == "symmetric" else 1)


def _smoothed(counts: Array, smoothing: float) -> Array:
    return (counts + smoothing) / (counts.sum(axis=-1, keepdims=True) + smoothing * counts.shape[-1])


def _relative_entropy(p: Array, q: Array) -> Array:
    used = p > 0
    return (p * np.log(np.where(used, p, 1) / np.where(used, q, 1))).sum(axis=-1)


class _Groups:
    """Histograms of groups that all have text, each from at most `size` tokens."""

    def __init__(self, texts: Texts, settings: SimilaritySettings) -> None:
        self.names, self.texts, self.settings = list(texts), texts, settings
        sizes = np.array([tokens.size for tokens in texts.values()])
        self.size = min(settings.sample, int(np.median(sizes)))
        self.tokens = np.minimum(sizes, self.size)
        self.counts = np.empty((len(sizes), settings.buckets), np.float32)
        for j in range(len(sizes)):
            self.counts[j] = self._counts(j, self.size)

    def _counts(self, j: int, size: int) -> Array:
        rows = sample_rows(self.texts[self.names[j]], size, self.names[j], self.settings.seed)
        return histogram(rows, self.settings.buckets)

    def compare(self, name: str, tokens: Tokens) -> tuple[Array, Array]:
        """Divergences [m] of a target, and the log-likelihoods [T + 1] of `TAUS` and equal proportions."""
        rows = sample_rows(tokens, self.settings.sample, name, self.settings.seed)
        halves = [histogram(rows[k::2], self.settings.buckets) for k in (0, 1)]
        whole = halves[0] + halves[1]
        raw = self._divergences(whole)
        correction = self._correction(whole, raw)
        likelihood = [
            self._likelihood(np.maximum(self._divergences(seen) + correction, 0), unseen)
            for seen, unseen in (halves, halves[::-1])
        ]
        return np.maximum(raw + correction, 0), np.mean(likelihood, axis=0)

    def _divergences(self, target: Array) -> Array:
        chunks = [self.counts[k : k + CHUNK].astype(np.float64) for k in range(0, len(self.counts), CHUNK)]
        parts = [divergence(target, c, self.settings.smoothing, self.settings.direction) for c in chunks]
        return np.concatenate(parts)

    def _correction(self, target: Array, raw: Array) -> Array:
        """[m] what to add to the divergences of groups with less text than the others; 0 for the others."""
        correction = np.zeros(len(raw))
        full = np.flatnonzero(self.tokens == self.size)
        ranked = full[np.argsort(raw[full], kind="stable")]
        chosen = ranked[np.linspace(0, len(ranked) - 1, min(REFERENCES, len(ranked))).round().astype(int)]
        for j in np.flatnonzero(self.tokens < self.size):
            cut = np.stack([self._counts(k, int(self.tokens[j])) for k in chosen])
            short = np.sort(divergence(target, cut, self.settings.smoothing, self.settings.direction))
            correction[j] = np.interp(raw[j], short, raw[chosen] - short)
        return correction

    def _likelihood(self, divergences: Array, unseen: Array) -> Array:
        temperatures = np.array([*TAUS, np.inf])
        mixtures = np.stack([softmax(-divergences / tau) for tau in temperatures])
        used = np.flatnonzero(unseen)
        total = self.counts.sum(axis=1, dtype=np.float64) + self.settings.smoothing * self.settings.buckets
        smoothed = (self.counts[:, used].astype(np.float64) + self.settings.smoothing) / total[:, None]
        return np.log(mixtures @ smoothed) @ (unseen[used] / unseen.sum())
