"""What may change when an output directory is used again: nothing that would replace its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aioli.config import Config, read_methods
from aioli.data.settings import DataSettings
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.jobs.output import PLAN, Plan

__all__ = ["GROUPS", "changed_keys", "check_corpus", "check_plan", "found_plan"]

FREE = ("title.", "train.checkpoint_every.", "trackers.")
"""Keys that change no number."""
GROUPS = ("data.groups.", "data.targets.")
GROUPS_HINT = ". The groups of a single run can change on the way: `aioli train ... --resume`"
PATHS = (".paths", "data.tokens", "data.tokenizer.path")
"""Ends of the keys that hold paths."""


def found_plan(out: Path) -> Plan | None:
    """What `out` was planned for; None where nothing was.

    Raises:
        InputError: a damaged plan.
    """
    return Plan(out) if (out / PLAN).exists() else None


def check_plan(plan: Plan | None, config: Config, only: str = "", free: tuple[str, ...] = ()) -> None:
    """Allow `config` to continue or extend a plan: more methods, more seeds, other names for them.

    A key that the plan was written without counts as having its default. A rule for adding seeds may come
    to a plan without one, since its intervals hold whenever one looks; it may not change or go.

    Args:
        only: compare the keys that begin so, and nothing else. free: leave those out that begin so.

    Raises:
        InputError: another setting, or a method or seed of the plan that `config` leaves out.
    """
    if plan is None:
        return
    changed = changed_keys(plan, config, only, free)
    if changed:
        told = [f"{key} was {before!r}, is {now!r}" for key, (before, now) in changed.items()]
        raise InputError(
            f"{plan.out} holds runs of another config, which would be replaced: {'; '.join(told)}. Use the "
            "config it was made with (config.resolved.yaml there), or name another directory with --out"
            + (GROUPS_HINT if any(f"{key}.".startswith(GROUPS) for key in changed) else "")
        )
    if not only and not free:
        _check_kept(plan, config)


def changed_keys(
    plan: Plan, config: Config, only: str | tuple[str, ...] = "", free: tuple[str, ...] = ()
) -> dict[str, tuple[Any, Any]]:
    """(before, now) of the settings that `config` has otherwise than the plan, methods and seeds left out.

    Args:
        only: compare the keys that begin so. free: leave those out that begin so.
    """
    if plan.config.get("stopping") is None:
        free = (*free, "stopping.")
    now, before = dict(_flat(config.to_dict())), _defaults(config) | dict(_flat(plan.config))
    return {
        key: (before.get(key), now.get(key))
        for key in dict.fromkeys([*before, *now])
        if f"{key}.".startswith(only) and not f"{key}.".startswith((*FREE, *free))
        if before.get(key) != now.get(key)
        if not _same_files(key, before.get(key), plan.base, now.get(key), config.base)
    }


def _defaults(config: Config) -> dict[str, Any]:
    """The default of every setting, flat; groups and targets have none."""
    plain = Config(data=DataSettings(config.data.groups), base=config.base).to_dict()
    del plain["data"]["groups"], plain["data"]["targets"]
    return dict(_flat(plain))


def _same_files(key: str, before: Any, base: str | None, now: Any, new_base: Path) -> bool:
    """Whether two settings name the same files, one of them perhaps from another directory."""
    if base is None or before is None or now is None or not key.endswith(PATHS):
        return False
    if isinstance(before, str):
        before, now = [before], [now]
    return [Path(base) / path for path in before] == [new_base / path for path in now]


def _check_kept(plan: Plan, config: Config) -> None:
    now = [*config.methods, *(choice.located(config.base) for choice in config.methods)]
    identities = [choice.identity for choice in now]
    old_base = Path(plan.base or ".")
    methods = [
        choice.label
        for choice in read_methods(plan.config["methods"])
        if choice.identity not in identities and choice.located(old_base).identity not in identities
    ]
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
            f"{corpus.fingerprint}): restore the files, or name another directory with --out. A single run "
            "can go on with the text as it is now: `aioli train ... --resume --from NAME=NAME`, NAME a group"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every setting but the methods and seeds; an empty mapping is a value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif prefix or key not in ("methods", "seeds"):
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
