"""Finished runs of other output directories, read here as references."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from aioli.config import Config
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.jobs.output import PLAN, Plan
from aioli.jobs.planning import Adopted
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store, read_spec

__all__ = ["adopt", "check_references", "find_references", "find_run"]

FILES = ("spec.json", "journal.jsonl", "metrics.jsonl", "checkpoint.pt", "result.json")
"""Of a finished run; the result comes last, so that half an adopted run is not a finished one."""

References = Mapping[tuple[str, int], Adopted]


def find_references(config: Config) -> dict[tuple[str, int], Adopted]:
    """The runs that the config's methods name as their references, by label and seed.

    Raises:
        InputError: no run there, several that fit, or one that is not finished.
    """
    return {
        (choice.label, seed): find_run(config.base / Path(choice.reference_path).expanduser(), seed)
        for choice in config.methods
        if choice.reference_path is not None
        for seed in config.seeds
    }


def find_run(path: Path, seed: int | None = None, label: str | None = None) -> Adopted:
    """A finished run: `path` is its directory, or an output directory with one run that fits.

    Args:
        seed: of several runs, take the one of this seed. label: of several, take the one of this label.

    Raises:
        InputError: no run there, several that fit, or one that is not finished.
    """
    if (path / "spec.json").exists():
        return _finished(path, read_spec(path))
    if not (path / PLAN).exists():
        raise InputError(
            f"no run in {path}: expected a directory that `aioli train` wrote, or that of one run in it "
            "(runs/...)"
        )
    runs = Plan(path).runs
    labels = list(dict.fromkeys(run["label"] for run in runs))
    if label is not None:
        runs = [run for run in runs if run["label"] == label]
        if not runs:
            raise InputError(f"{path} has no run of {label!r}; it has {', '.join(map(repr, labels))}")
    if len(runs) > 1:
        runs = [run for run in runs if run["seed"] == seed] or runs
    if len(runs) > 1:
        told = ", ".join(f"{run['label']} seed {run['seed']}: runs/{run['id']}" for run in runs[:6])
        raise InputError(f"{path} has {len(runs)} runs that fit; name the directory of one of them ({told})")
    directory = path / "runs" / runs[0]["id"]
    if not (directory / "spec.json").exists():
        raise InputError(f"the run in {path} was not begun: continue it with `aioli train ... --resume`")
    return _finished(directory, replace(read_spec(directory), label=runs[0]["label"]))


def _finished(directory: Path, spec: RunSpec) -> Adopted:
    path = directory / "result.json"
    try:
        found = json.loads(path.read_bytes())["id"]
    except FileNotFoundError:
        raise InputError(
            f"the run in {directory} is not finished: continue it where it was begun, with --resume"
        ) from None
    except (ValueError, KeyError, TypeError):
        found = None
    if found != spec.id:
        raise InputError(f"{path} is damaged, or not the result of run {spec.id}")
    return Adopted(spec, directory)


def check_references(references: References, config: Config, corpus: Corpus) -> None:
    """Refuse references that were trained on other data, or cannot read this run's sequences.

    Raises:
        InputError: another corpus, tokenizer or context, or no model left.
    """
    for (label, _), (spec, directory) in references.items():
        if spec.data != corpus.fingerprint:
            raise InputError(
                f"the reference of {label!r}, {directory}, was trained on another corpus or tokenizer "
                f"(fingerprint {spec.data}, here {corpus.fingerprint}): use the same texts and tokenizer for "
                "both, as with data.tokens"
            )
        if spec.model.context != config.model.context:
            raise InputError(
                f"the reference of {label!r}, {directory}, has a context of {spec.model.context}, this run "
                f"one of {config.model.context}: both read the same sequences, so give them the same one"
            )
        if not (directory / "checkpoint.pt").exists():
            raise InputError(f"the reference of {label!r} has no model: {directory}/checkpoint.pt is missing")


def adopt(store: Store, references: References) -> None:
    """Copy the references into the store; a checkpoint is linked where the file system allows it.

    The runs that they were made from come along, so that their costs are known.
    """
    for spec, directory in references.values():
        _bring(store, spec, directory)


def _bring(store: Store, spec: RunSpec, source: Path) -> None:
    for run in spec.inputs.values():
        before = source.parent / run
        if (before / "result.json").exists():
            _bring(store, read_spec(before), before)
    target = store.directory(spec)
    if target.resolve() == source.resolve() or (target / "result.json").exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (source / name).exists():
            _copy(source / name, target / name, link=name == "checkpoint.pt")


def _copy(source: Path, target: Path, *, link: bool) -> None:
    """Put a file's content at `target` in one step; a link is safe where files are only ever replaced."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        linked = False
        if link:
            with suppress(OSError):  # another file system, or one without links
                os.link(source, temporary)
                linked = True
        if not linked:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
