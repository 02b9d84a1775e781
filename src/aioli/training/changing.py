"""A run's checkpoint turned into that of the run which goes on with other groups or targets.

The old run's directory is only read. The new one's holds the journal and the metrics so far, and its
checkpoint is written last: until that is there, and whoever asked for the change has noted it, the old run is
the one to resume.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aioli.data.regrouping import Carried, regroup_position
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.measure import meter
from aioli.methods.registry import build
from aioli.mixer import Mixer
from aioli.regroup import Regroup, removed_tokens
from aioli.state import decode, unseal
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import read_spec
from aioli.training import records
from aioli.training.checkpoint import load_checkpoint, save_checkpoint
from aioli.training.guards import collected_warnings
from aioli.training.prepare import make_problem
from aioli.training.similar import similar_parameters

__all__ = ["ChangedRun", "change_run"]


@dataclass(frozen=True)
class ChangedRun:
    """The run that goes on: its spec, the change, and what became of the data of each group."""

    spec: RunSpec
    change: Regroup
    carried: tuple[Carried, ...]


def change_run(
    directory: Path, old: Corpus, spec: RunSpec, new: Corpus, parents: Mapping[str, Sequence[str]]
) -> ChangedRun:
    """Write, beside the run in `directory`, the run that goes on from its checkpoint as `spec` says.

    Args:
        old: the corpus of the run so far. new: that of the new groups, made with `old` as its predecessor.
        spec: of the run with its new groups; its history is that of the old run, lengthened here.
        parents: new group -> old groups that it comes from.

    Raises:
        InputError: a run that has no checkpoint or is over, or a change that cannot be made. The new
            directory is not complete then, and nothing else has changed.
    """
    before = read_spec(directory)
    content, plain = _checkpoint(directory, before)
    problem = make_problem(before, old)
    parameters = before.parameters | similar_parameters(before.method, before.parameters, old, problem)
    drawn = decode(unseal("mixer", plain["mixer"])["drawn"], None)
    named = {name: tuple(given) for name, given in parents.items()}
    entry = {
        "run": before.id,
        "step": plain["step"],
        "parents": {name: list(given) for name, given in named.items()},
        "removed_tokens": removed_tokens(problem, new.groups, named, plain["step"], drawn),
        "parameters": parameters,
    }
    spec = replace(spec, history=(*before.history, entry))
    problem_then = make_problem(spec, new)
    derived = similar_parameters(spec.method, spec.parameters, new, problem_then)
    target = _fresh_directory(directory, spec)
    with collected_warnings() as warned, ExitStack() as closing:
        mixer = Mixer(build(before.method, parameters), problem, target / "journal.jsonl")
        closing.callback(mixer.close)
        mixer.load_state_dict(plain["mixer"])
        change = mixer.regroup(problem_then, named, build(spec.method, spec.parameters | derived))
        state = mixer.state_dict()
    loader, carried = regroup_position(plain["loader"], old, new, change, spec.model.context + 1)
    plain |= {
        "mixer": state,
        "loader": loader,
        "meter": meter.carried_state(plain["meter"], _same_targets(old, new)),
        "warnings": list(dict.fromkeys([*plain["warnings"], *warned])),
        "log": records.carried_state(plain["log"], plain["step"], old.groups, new.groups),
    }
    with (target / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": plain["step"], "groups": list(new.groups)}) + "\n")
    save_checkpoint(target / "checkpoint.pt", spec.id, content | {"plain": json.dumps(plain)})
    return ChangedRun(spec, change, tuple(carried))


def _checkpoint(directory: Path, spec: RunSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    path = directory / "checkpoint.pt"
    if spec.inputs:
        raise InputError(
            f"the groups of the run in {directory} cannot change: it reads other runs "
            f"({', '.join(spec.inputs)}), which are of the groups it has"
        )
    if not path.exists():
        raise InputError(
            f"the run in {directory} has no checkpoint yet, so there is nothing to go on from: start it in "
            "another directory with its new groups"
        )
    content = load_checkpoint(path, spec.id)
    return content, json.loads(content["plain"])


def _fresh_directory(old: Path, spec: RunSpec) -> Path:
    """A directory for the new run with its spec and copies of the old run's journal and metrics."""
    target = old.parent / spec.id
    shutil.rmtree(target, ignore_errors=True)
    replace_file(target / "spec.json", json.dumps(spec.to_json(), indent=1) + "\n")
    for name in ("journal.jsonl", "metrics.jsonl"):
        shutil.copyfile(old / name, target / name)
    return target


def _same_targets(old: Corpus, new: Corpus) -> list[str]:
    """Targets whose held-out text is what it was."""
    return [
        name
        for name in new.targets
        if name in old.targets
        if old.split(name, "validation").sha256 == new.split(name, "validation").sha256
    ]
