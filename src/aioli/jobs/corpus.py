"""The tokenised corpus of an output directory: made, found again, never replaced by other text."""

from __future__ import annotations

import shutil
from pathlib import Path

from aioli.config import Config
from aioli.data.predecessor import Predecessor
from aioli.data.shards import INDEX, Corpus, check_sequences
from aioli.data.tokenize import find_tokenized, tokenize
from aioli.errors import InputError
from aioli.jobs.extend import check_corpus, check_plan, found_plan
from aioli.jobs.names import tokens_directory
from aioli.jobs.output import Plan
from aioli.jobs.watch import Watch
from aioli.sweep.store import Store

__all__ = ["tokenized"]


def tokenized(config: Config, store: Store, watch: Watch, workers: int | None = None) -> Corpus:
    """The config's corpus, made where it is not there yet.

    Raises:
        InputError: unusable data, or other text than that of the runs the output directory holds.
    """
    plan = found_plan(store.out)
    check_plan(plan, config, only="data.")
    corpus = _kept(config, plan, watch, workers) if plan else None
    if corpus is None:
        where = tokens_directory(config, store.out)
        corpus = tokenize(config.data, config.base, where, workers=workers, progress=watch.tokenizing)
        check_corpus(plan, corpus)
    for message in corpus.index.get("messages", ()):
        watch.message(str(message))
    check_sequences(corpus, config.model.context)
    return corpus


def _kept(config: Config, plan: Plan, watch: Watch, workers: int | None) -> Corpus | None:
    """The corpus that the plan's runs were trained on, if it is there; it stays when the text has changed."""
    try:
        corpus = Corpus.open(plan.corpus)
        before = Predecessor.of(corpus)
    except InputError:
        if plan.changes:
            raise
        return None
    if plan.fingerprint not in (None, corpus.fingerprint):
        return None
    if find_tokenized(config.data, config.base, plan.corpus, before) is not None:
        return corpus
    return _compared(config, plan, corpus, before, watch, workers)


def _compared(
    config: Config, plan: Plan, corpus: Corpus, before: Predecessor | None, watch: Watch, workers: int | None
) -> Corpus:
    """Tokenise files that were touched beside the corpus, and see whether anything is different."""
    beside = plan.corpus.with_name(f"{plan.corpus.name}.again")
    try:
        again = tokenize(
            config.data, config.base, beside, before=before, workers=workers, progress=watch.tokenizing
        )
        check_corpus(plan, again)
        Path(beside / INDEX).replace(plan.corpus / INDEX)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Corpus.open(plan.corpus)
