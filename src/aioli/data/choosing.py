"""Which tokenizer a corpus uses: trained on its training splits, loaded, or none at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aioli.data.jobs import Sample
from aioli.data.parallel import Progress, Workers
from aioli.data.planning import Plan, training_sample
from aioli.data.settings import TokenizerSettings
from aioli.data.shards import sha256
from aioli.data.tokenizer import end_of_text, load_tokenizer, train_tokenizer, vocabulary
from aioli.errors import InputError
from aioli.files import replace_file, write_json

__all__ = ["make_tokenizer"]

Facts = dict[str, Any]


def make_tokenizer(
    plans: Sequence[Plan],
    settings: TokenizerSettings,
    found: Path | None,
    directory: Path,
    pool: Workers,
    progress: Progress,
) -> tuple[Facts, list[str]]:
    """Write `directory/tokenizer.json`, unless every source is tokens and no tokenizer is named.

    Args:
        found: the file of the tokenizer that the settings name, or None to train one.

    Returns:
        facts: vocab_size, end_of_text (an id, or None without a tokenizer), and with a tokenizer sha256
            and its origin; and messages for the user.

    Raises:
        InputError: a broken tokenizer file, or token ids that the tokenizer does not have.
    """
    record = directory.parent / "tokenizer-facts.json"
    if record.is_file():
        facts = json.loads(record.read_bytes())
        return facts, facts.pop("messages")
    largest = max(plan.survey.largest_id for plan in plans)
    sources = [plan.survey.source for plan in plans]
    messages: list[str] = []
    if found is not None:
        facts, messages = _loaded(found, directory)
        facts["path"] = settings.path
        taken = [source.name for source in sources if source.tokens]
        messages += [f"{name}: its token ids are taken to be of the tokenizer {found}" for name in taken]
    elif all(source.tokens for source in sources):
        facts = {"vocab_size": largest + 1, "end_of_text": None}
    else:
        facts, messages = _trained(plans, settings.vocab_size, directory, pool, progress)
    if largest >= facts["vocab_size"]:
        raise InputError(
            f"a token id {largest} occurs in the data, but the tokenizer {found} has only "
            f"{facts['vocab_size']} ids: name the tokenizer that made the tokens in data.tokenizer.path"
        )
    write_json(record, {**facts, "messages": messages})
    return facts, messages


def _trained(
    plans: Sequence[Plan], wanted: int, directory: Path, pool: Workers, progress: Progress
) -> tuple[Facts, list[str]]:
    stage = "training the tokenizer"
    texts, given = _sample(plans, pool, lambda fraction: progress(stage, fraction / 2))
    tokenizer = train_tokenizer(texts, wanted)
    facts = _save(tokenizer, end_of_text(tokenizer, directory)[0], directory)
    size, messages = facts["vocab_size"], []
    if size < wanted:
        messages.append(f"tokenizer: the training text is too short for {wanted} entries, it has {size}")
    progress(stage, 1.0)
    return {**facts, "requested_vocab_size": wanted, "trained_on_bytes": given}, messages


def _sample(plans: Sequence[Plan], pool: Workers, progress: Any) -> tuple[list[str], dict[str, int]]:
    """The texts to train on, in the order of groups and files; and the bytes of each group."""
    chosen, budget = training_sample(plans)
    tasks = []
    for plan in plans:
        source = plan.survey.source
        for unit, places in zip(source.units, chosen.get(source.name, ()), strict=False):
            if places.size:
                tasks.append(Sample(unit, plan.cutting, places))
    results = pool.run(tasks, sum(task.unit.size for task in tasks), progress)
    texts: list[str] = []
    given: dict[str, int] = {}
    for task, documents in zip(tasks, results, strict=True):
        name = task.unit.name
        for text in documents:
            part = text.encode()[: budget - given.get(name, 0)].decode(errors="ignore")
            given[name] = given.get(name, 0) + len(part.encode())
            texts.append(part)
    return texts, given


def _loaded(path: Path, directory: Path) -> tuple[Facts, list[str]]:
    tokenizer = load_tokenizer(path)
    end, added = end_of_text(tokenizer, path)
    return _save(tokenizer, end, directory), [] if added is None else [added]


def _save(tokenizer: Any, end: int, directory: Path) -> Facts:
    path = directory / "tokenizer.json"
    replace_file(path, tokenizer.to_str(pretty=True))
    return {"vocab_size": vocabulary(tokenizer), "end_of_text": end, "sha256": sha256(path)}
