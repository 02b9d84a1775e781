"""Before step 0: is the directory free, do data and settings fit, what is the problem?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from aioli.constraints import Limits
from aioli.data.repetition import matched_rows
from aioli.data.shards import Corpus, check_sequences
from aioli.errors import InputError, nearest
from aioli.protocol import Constraints, Problem
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import read_spec
from aioli.training.branching import check_branch
from aioli.training.result import machine

__all__ = ["check_device", "check_directory", "make_problem", "rows_of"]


def check_directory(
    directory: Path, spec: RunSpec, resume: bool, device: torch.device
) -> dict[str, Any] | None:
    """Refuse a directory that is used or of another run; return the result of a finished run.

    A run that lacks the validation losses that the spec asks for is not finished: they are read from its
    checkpoint.

    Raises:
        InputError: so, or a result that cannot be read or was computed on another kind of device.
    """
    names = ("spec.json", "journal.jsonl", "checkpoint.pt", "result.json")
    used = [name for name in names if (directory / name).exists()]
    if not used:
        return None
    if not resume:
        raise InputError(
            f"the directory {directory} already holds a run ({', '.join(used)}): continue it with --resume "
            "(resume=True), or give another directory"
        )
    saved = read_spec(directory)
    if saved.id != spec.id:
        mine, other = spec.to_json(), saved.to_json()
        changed = "; ".join(f"{k} was {other[k]!r}, is {mine[k]!r}" for k in mine if mine[k] != other[k])
        raise InputError(
            f"the directory {directory} holds run {saved.id}, this is run {spec.id}: {changed}. Use the "
            "config it was made with, or give another directory"
        )
    if "result.json" not in used:
        return None
    path = directory / "result.json"
    try:
        result = json.loads(path.read_bytes())
        before = result["machine"]["device"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: delete it and resume again") from None
    check_device(before, device, path)
    return None if spec.validation and result.get("validation") is None else result


def check_device(before: str, device: torch.device, path: Path) -> None:
    """Keep apart what the CPU and what CUDA computes: numbers and, by default, precision differ.

    Args:
        before: "cpu" or the name of a GPU, as `machine` recorded it in the file `path`.

    Raises:
        InputError: the run was computed on the one and would go on on the other.
    """
    now = machine(device)["device"]
    if (before == "cpu") != (now == "cpu"):
        raise InputError(
            f"{path} was computed on {before}, this process computes on {now}: continue where the run was "
            f"begun, give another directory, or name the device in train.device, which makes it another run"
        )


def rows_of(spec: RunSpec, corpus: Corpus) -> list[int]:
    """[m] training sequences of each group that the run may see.

    Raises:
        InputError: a run that is too short for the one it stands for.
    """
    rows = [len(corpus.sequences(name, "train", spec.model.context + 1)) for name in corpus.groups]
    if spec.target_tokens is None:
        return rows
    run_tokens = spec.train.steps * spec.train.batch * spec.model.context
    return matched_rows(corpus.groups, rows, run_tokens, spec.target_tokens)


def make_problem(spec: RunSpec, corpus: Corpus) -> Problem:
    """The run as its method sees it; a group's tokens are those of the training sequences it may see.

    A branch is a run of its own steps; what its trunk has drawn does not count, and no method waits in it for
    the end of warm-up.

    Raises:
        InputError: another corpus than the spec's, data too small for the context or the target run, target
            weights or reference losses that do not name the targets, or constraints that cannot be met.
    """
    context = spec.model.context
    if spec.data != corpus.fingerprint:
        raise InputError(
            f"this run is for the corpus with fingerprint {spec.data}, the one in {corpus.directory} has "
            f"{corpus.fingerprint}: was it tokenised again?"
        )
    check_sequences(corpus, context)
    if spec.branch:
        check_branch(spec.branch, spec.train.steps)
    problem = Problem(
        groups=corpus.groups,
        targets=corpus.targets,
        group_tokens=tuple(count * context for count in rows_of(spec, corpus)),
        total_steps=spec.branch.get("steps", spec.train.steps),
        step_tokens=spec.train.batch * context,
        warmup_steps=0 if spec.branch else spec.train.warmup,
        objective=spec.objective,
        target_weights=_by_target("target_weights", spec.target_weights, corpus),
        reference_losses=_by_target("reference_losses", spec.reference_losses, corpus),
        constraints=Constraints(**spec.constraints),
        seed=spec.seed,
        removed_tokens=spec.history[-1]["removed_tokens"] if spec.history else 0,
    )
    Limits.of(problem)
    return problem


def _by_target(key: str, given: dict[str, float] | None, corpus: Corpus) -> tuple[float, ...] | None:
    """[n] values that a spec gives by target, in the corpus's order."""
    if given is None:
        return None
    for name in given:
        if name not in corpus.targets:
            raise InputError(f"{key} name {name!r}; {nearest(name, corpus.targets)}")
    missing = [name for name in corpus.targets if name not in given]
    if missing:
        raise InputError(f"{key} need every target; missing: {', '.join(missing)}")
    return tuple(given[name] for name in corpus.targets)
