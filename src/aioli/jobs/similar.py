"""What a corpus's text says before any training: divergences, shared text, tau and the mixture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from aioli.config import Config
from aioli.data.shards import Corpus
from aioli.data.similarity import TAUS, Similarity, compare_corpus
from aioli.data.similarity_overlap import corpus_overlap, refused_pairs
from aioli.methods.similar import Similar
from aioli.protocol import Array, Problem
from aioli.training.similar import named_similar, with_divergences

__all__ = ["describe"]


def describe(config: Config, corpus: Corpus) -> dict[str, Any]:
    """What every different `similar` among a config's methods finds; one with its defaults where none is.

    Returns:
        groups, targets, and `priors`: a list with, for each `similar`, its `settings`, `divergences` [n][m]
        in nats (None for a group without text), `tau` [n] with `reasons` [n], the `mixture` [m], `overlap`
        [n][m] (shares of the targets' held-out windows found in training text), `refused` (target and
        group of the pairs that stop a run) and `seconds`.

    Raises:
        InputError: a target without text, or values of tau that do not fit the targets.
    """
    length = config.model.context
    rows = [len(corpus.sequences(name, "train", length + 1)) for name in corpus.groups]
    problem = config.problem([count * length for count in rows])
    shares: dict[int, Array] = {}
    priors = []
    for method in _different(config):
        start, settings = time.perf_counter(), method.settings
        found = compare_corpus(corpus, settings)
        prior = _prior(method, found, problem)
        if settings.window not in shares:
            shares[settings.window] = corpus_overlap(corpus, settings)
        overlap = shares[settings.window]
        seconds = time.perf_counter() - start
        priors.append(
            {"settings": asdict(settings)}
            | prior
            | {
                "overlap": overlap.tolist(),
                "refused": [list(pair) for pair in refused_pairs(corpus, settings, overlap)],
                "seconds": round(seconds, 3),
            }
        )
    return {"groups": list(corpus.groups), "targets": list(corpus.targets), "priors": priors}


def _different(config: Config) -> list[Similar]:
    """Every `similar` of the config that texts decide, once."""
    different: list[Similar] = []
    for choice in config.methods:
        for method in named_similar(choice.name, choice.parameters):
            if method.divergences is None and method not in different:
                different.append(method)
    return different or [Similar()]


def _prior(method: Similar, found: Similarity, problem: Problem) -> dict[str, Any]:
    complete = with_divergences(method, found)
    divergences = found.divergences.astype(object)
    divergences[np.isnan(found.divergences)] = None
    given = method.tau
    tau = [given[name] if isinstance(given, Mapping) else given for name in found.targets]
    chosen = [float(found.tau[i]) if value is None else value for i, value in enumerate(tau)]
    return {
        "divergences": divergences.tolist(),
        "tau": chosen,
        "reasons": [_reason(found, i, value) for i, value in enumerate(tau)],
        "mixture": complete.mixture(problem).tolist(),
    }


def _reason(found: Similarity, target: int, given: float | None) -> str:
    gain = found.likelihood[target].max() - found.equal[target]
    best = (
        f"of {len(TAUS)} values from {TAUS[0]:g} to {TAUS[-1]:g}, {found.tau[target]:g} makes unseen "
        f"validation text likeliest, {gain:.3f} nats for each n-gram above equal proportions"
    )
    return best if given is None else f"as given; {best}"
