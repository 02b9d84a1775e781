"""What may change when an output directory is used again: nothing that would replace its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aioli.config import Config, read_methods
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.jobs.output import PLAN, Plan

__all__ = ["check_corpus", "check_plan", "found_plan"]

FREE = ("title", "train.checkpoint_every")
"""Keys that change no number."""
PATHS = (".paths", "data.tokens", "data.tokenizer.path")
"""Ends of the keys that hold paths."""


def found_plan(out: Path) -> Plan | None:
    """What `out` was planned for; None where nothing was.

    Raises:
        InputError: a damaged plan.
    """
    return Plan(out) if (out / PLAN).exists() else None


def check_plan(plan: Plan | None, config: Config, only: str = "") -> None:
    """Allow `config` to continue or extend a plan: more methods, more seeds, other names for them.

    Args:
        only: compare the keys that begin so, and nothing else.

    Raises:
        InputError: another setting, or a method or seed of the plan that `config` leaves out.
    """
    if plan is None:
        return
    before, now = dict(_flat(plan.config)), dict(_flat(config.to_dict()))
    told = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if key.startswith(only) and key not in FREE
        if before.get(key) != now.get(key)
        if not _same_files(key, before.get(key), plan.base, now.get(key), config.base)
    ]
    if told:
        raise InputError(
            f"{plan.out} holds runs of another config, which would be replaced: {'; '.join(told)}. Use the "
            "config it was made with (config.resolved.yaml there), or name another directory with --out"
        )
    if not only:
        _check_kept(plan, config)


def _same_files(key: str, before: Any, base: str | None, now: Any, new_base: Path) -> bool:
    """Whether two settings name the same files, one of them perhaps from another directory."""
    if base is None or before is None or now is None or not key.endswith(PATHS):
        return False
    if isinstance(before, str):
        before, now = [before], [now]
    return [Path(base) / path for path in before] == [new_base / path for path in now]


def _check_kept(plan: Plan, config: Config) -> None:
    identities = [choice.identity for choice in config.methods]
    methods = [c.label for c in read_methods(plan.config["methods"]) if c.identity not in identities]
    seeds = [str(seed) for seed in plan.config["seeds"] if seed not in config.seeds]
    gone = [f"method{'s' * (len(methods) > 1)} {', '.join(methods)}"] * bool(methods)
    gone += [f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"] * bool(seeds)
    if gone:
        raise InputError(
            f"{plan.out} holds a comparison with {' and '.join(gone)}, which this one leaves out (methods "
            "and seeds can be added to it, not removed): write its results again with "
            f"`aioli report {plan.out}`, or name another directory with --out"
        )


def check_corpus(plan: Plan | None, corpus: Corpus) -> None:
    """Refuse a corpus of other text than the planned runs were trained on.

    Raises:
        InputError: another fingerprint than the plan's.
    """
    if plan is not None and plan.fingerprint not in (None, corpus.fingerprint):
        raise InputError(
            f"the text has changed since the runs in {plan.out} (fingerprint {plan.fingerprint}, now "
            f"{corpus.fingerprint}): restore the files, or name another directory with --out"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every setting but the methods and seeds; an empty mapping is a value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif prefix or key not in ("methods", "seeds"):
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
