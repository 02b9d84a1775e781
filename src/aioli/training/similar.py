"""What `similar` reads from a corpus before a run: divergences, tau, and text shared with the targets.

Torch-free. A method sees no text, so its parameters are completed here, between the RunSpec and `build`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aioli.data.shards import Corpus
from aioli.data.similarity import Similarity, compare_corpus
from aioli.data.similarity_overlap import check_overlap, corpus_overlap
from aioli.data.similarity_settings import SimilaritySettings
from aioli.errors import MixingWarning
from aioli.methods.registry import build
from aioli.methods.similar import NAME, Similar, replace_similar
from aioli.protocol import Array, Problem
from aioli.sweep.spec import RunSpec

__all__ = ["check_contamination", "named_similar", "similar_parameters", "with_divergences"]

WORTH_TELLING = 0.001
"""Share of a target's windows from which an overlap is told."""
NOTES = 5
"""Most overlaps told of, the largest."""


def similar_parameters(
    name: str, parameters: Mapping[str, Any], corpus: Corpus, problem: Problem
) -> dict[str, Any]:
    """The parameters of a run's method that follow from the corpus's text; {} where it names no `similar`.

    The method `similar` gets its divergences and tau, a `prior: similar` becomes proportions by name.
    Validation and training text is read, never the test split.

    Raises:
        InputError: a target without text.
    """
    if not named_similar(name, parameters):
        return {}
    if problem.targets_are_groups:
        warnings.warn(
            "the targets are the groups, and every group's text is nearest to itself: similar stays close to "
            "the target weights (stratified where they are equal)",
            MixingWarning,
            stacklevel=2,
        )
    compared: dict[SimilaritySettings, Similarity] = {}

    def complete(given: Mapping[str, Any]) -> Similar:
        method = _built(given)
        if method.divergences is not None:
            return method
        if method.settings not in compared:
            compared[method.settings] = compare_corpus(corpus, method.settings)
        return with_divergences(method, compared[method.settings])

    def mixture(given: Mapping[str, Any]) -> dict[str, float]:
        return dict(zip(problem.groups, complete(given).mixture(problem).tolist(), strict=True))

    def parameters_of(given: Mapping[str, Any]) -> dict[str, Any]:
        method = complete(given)
        return dict(given) | {"tau": method.tau, "divergences": method.divergences}

    found = replace_similar(parameters, mixture, lambda given: {NAME: parameters_of(given)})
    if name == NAME:
        found = parameters_of(found)
    return {key: value for key, value in found.items() if value != parameters.get(key)}


def with_divergences(method: Similar, found: Similarity) -> Similar:
    """The method with what its texts gave, and with its own tau if it has one."""
    tau = dict(zip(found.targets, found.tau.tolist(), strict=True)) if method.tau is None else method.tau
    divergences = {
        target: {group: d for group, d in zip(found.groups, row, strict=True) if d == d}
        for target, row in zip(found.targets, found.divergences.tolist(), strict=True)
    }
    return replace(method, tau=tau, divergences=divergences)


def named_similar(name: str, parameters: Mapping[str, Any]) -> list[Similar]:
    """Every `similar` that a method is or names in its parameters."""
    given = [dict(parameters)] if name == NAME else []
    replace_similar(parameters, given.append, given.append)
    return [_built(each) for each in given]


def _built(given: Mapping[str, Any]) -> Similar:
    method = build(NAME, given)
    assert isinstance(method, Similar)
    return method


def check_contamination(specs: Iterable[RunSpec], corpus: Corpus, message: Callable[[str], None]) -> None:
    """Refuse text that groups share with targets in runs that use `similar`; tell what is below the limit.

    Raises:
        InputError: more shared text than a `similar` of these runs allows.
    """
    used = [similar.settings for spec in specs for similar in named_similar(spec.method, spec.parameters)]
    shares: dict[int, Array] = {}
    for settings in dict.fromkeys(used):
        if settings.window not in shares:
            shares[settings.window] = corpus_overlap(corpus, settings)
            for told in overlap_notes(corpus, shares[settings.window], settings.window):
                message(told)
        check_overlap(corpus, settings, shares[settings.window])


def overlap_notes(corpus: Corpus, shares: Array, window: int) -> list[str]:
    """One line for each pair of a target and another group that share text worth telling of."""
    pairs = [(i, j) for i, j in np.argwhere(shares > WORTH_TELLING) if corpus.groups[j] != corpus.targets[i]]
    return [
        f"the training text of {corpus.groups[j]} holds {shares[i, j]:.2%} of the held-out text of "
        f"{corpus.targets[i]} (windows of {window} tokens)"
        for i, j in sorted(pairs, key=lambda pair: -shares[pair])[:NOTES]
    ]
