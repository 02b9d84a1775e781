"""A single run that goes on with other groups or targets, from its last checkpoint.

The new groups are tokenised into a directory of their own, with the run's tokenizer; then the run that goes
on is written beside the old one, under an id of its own; last, the plan of the output directory is replaced.
Until then the old run is the one to resume, and it stays as it is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aioli.config import Config, read_methods
from aioli.data.predecessor import Predecessor
from aioli.data.shards import Corpus, check_sequences
from aioli.data.tokenize import tokenize
from aioli.errors import InputError
from aioli.files import write_errors_explained
from aioli.jobs.extend import GROUPS, changed_keys, check_corpus, check_plan, found_plan
from aioli.jobs.names import TOKENS
from aioli.jobs.output import Plan, write_plan
from aioli.jobs.planning import RunPlan, plan_runs
from aioli.jobs.watch import Watch
from aioli.regroup import check_parents
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store, read_spec

if TYPE_CHECKING:
    from aioli.training.changing import ChangedRun

__all__ = ["continued", "read_origins", "regroup"]

Parents = Mapping[str, Sequence[str]]
CHANGEABLE = (*GROUPS, "target_weights.", "reference_losses.", "constraints.")
"""Beginnings of the keys that may change with the groups; parameters of the method by group may, too."""
REMEDY = "the run is as it was; free some space and run the same command again"


def read_origins(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read `NEW=OLD[,OLD]`, as of `--from`.

    >>> read_origins(["all=law,code"])
    {'all': ('law', 'code')}

    Raises:
        InputError: a text of another form, or a new group given twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        old = tuple(part.strip() for part in given.split(","))
        if not equals or not name.strip() or not all(old):
            raise InputError(f"--from needs NEW=OLD or NEW=OLD,OLD, such as statutes=law, got {text!r}")
        if name.strip() in found:
            raise InputError(
                f"--from names {name.strip()!r} twice; give all its old groups at once, NEW=OLD,OLD"
            )
        found[name.strip()] = old
    return found


def regroup(config: Config, store: Store, parents: Parents, watch: Watch) -> None:
    """Change the groups of the one run in `store` to those of `config`, if they are others.

    Args:
        parents: new group -> old groups that it comes from.

    Raises:
        InputError: a change that cannot be made; the run is as it was.
    """
    plan = found_plan(store.out)
    if plan is None:
        if parents:
            raise InputError(
                f"there is no run in {store.out} yet whose groups could change: leave out --from"
            )
        return
    if not changed_keys(plan, config, GROUPS) and (not parents or _done(store, plan, parents)):
        return
    old_spec = _one_run(store, plan, config)
    old = Corpus.open(plan.corpus)
    check_corpus(plan, old)
    with write_errors_explained(store.out, REMEDY):
        new = _new_corpus(config, store, plan, old, parents, watch)
        spec = plan_runs(config, new.fingerprint).compared[0]
        if new.fingerprint == old.fingerprint:
            shutil.rmtree(new.directory)
            write_plan(store, config, [replace(spec, history=old_spec.history)], old)
            return
        changed = _change_run(store, old_spec, old, spec, new, parents)
        for line in told(changed):
            watch.message(line)
        write_plan(store, config, [changed.spec], new)


def _change_run(
    store: Store, old_spec: RunSpec, old: Corpus, spec: RunSpec, new: Corpus, parents: Parents
) -> ChangedRun:
    from aioli.training.changing import change_run  # noqa: PLC0415 - loads torch, for nothing else here

    return change_run(store.directory(old_spec), old, spec, new, parents)


def continued(plan: RunPlan, before: Plan) -> RunPlan:
    """The planned run with the history of the one that the output directory holds.

    Raises:
        InputError: more than that run is planned.
    """
    if len(plan.compared) != 1 or len(before.runs) != 1:
        raise InputError(
            f"{before.out} holds a run whose groups changed on the way, which nothing can be compared with: "
            "name another directory with --out"
        )
    history = read_spec(before.out / "runs" / before.runs[0]["id"]).history
    return plan._replace(compared=(replace(plan.compared[0], history=history),))


def _one_run(store: Store, plan: Plan, config: Config) -> RunSpec:
    """The run to change, after making sure that nothing but groups differs and that it is not over.

    Raises:
        InputError: so.
    """
    check_plan(plan, config, free=CHANGEABLE)
    choices = read_methods(plan.config["methods"])
    if len(plan.runs) != 1:
        raise InputError(
            f"{store.out} holds a comparison of {len(plan.runs)} runs: only a run of `aioli train` can go on "
            "with other groups; name another directory with --out"
        )
    old, new = choices[0], config.methods[0]
    names = [*plan.config["data"]["groups"], *(plan.config["data"]["targets"] or ())]
    now = [*config.data.groups, *config.data.targets]
    if old.name != new.name or not _same(old.identity[1], new.identity[1], names, now):
        raise InputError(
            f"the run in {store.out} is of {old.label}, not of {new.label}: with its groups a run can change "
            "only those parameters of its method that are given by group or target"
        )
    if list(config.seeds) != list(plan.config["seeds"]):
        raise InputError(f"the run in {store.out} has seed {plan.config['seeds'][0]}, got {config.seeds[0]}")
    directory = store.out / "runs" / plan.runs[0]["id"]
    if (directory / "result.json").exists():
        raise InputError(
            f"the run in {store.out} is finished: its groups cannot change any more; name another directory "
            "with --out"
        )
    if not (directory / "checkpoint.pt").exists():
        raise InputError(
            f"the run in {store.out} has no checkpoint yet, so there is nothing to go on from: start it with "
            "its new groups in another directory"
        )
    return read_spec(directory)


def _same(before: Any, now: Any, names: Sequence[str], new_names: Sequence[str]) -> bool:
    """Whether two parameters differ in nothing but numbers by group or target."""
    if before == now:
        return True
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        if before and set(before) <= set(names) and set(now) <= set(new_names):
            return True
        return set(before) == set(now) and all(_same(before[k], now[k], names, new_names) for k in before)
    return isinstance(before, list) and isinstance(now, list)


def _done(store: Store, plan: Plan, parents: Parents) -> bool:
    """Whether the change that is asked for is the last one made: the command was killed after it.

    Raises:
        InputError: `parents` given for groups that are what they were.
    """
    history = read_spec(store.out / "runs" / plan.runs[0]["id"]).history if plan.changes else ()
    given = {name: list(old) for name, old in parents.items()}
    return bool(history) and json.dumps(history[-1]["parents"]) == json.dumps(given)


def _new_corpus(
    config: Config, store: Store, plan: Plan, old: Corpus, parents: Parents, watch: Watch
) -> Corpus:
    """The new groups, tokenised beside the old ones."""
    check_parents(old.groups, tuple(config.data.groups), parents)
    before = Predecessor(old, {name: tuple(given) for name, given in parents.items()})
    where = store.out / f"{TOKENS}-{plan.changes + 2}"
    new = tokenize(config.data, config.base, where, before=before, progress=watch.tokenizing)
    for message in new.index.get("messages", ()):
        watch.message(str(message))
    check_sequences(new, config.model.context)
    return new


def told(changed: ChangedRun) -> list[str]:
    """A line for each group, and for each target that is new or gone: what becomes of it."""
    lines = []
    for group in changed.carried:
        read = f"{group.rows - group.left} of {group.rows} sequences read"
        if group.same and group.parents == (group.name,):
            lines.append(f"{group.name}: kept ({read})")
        elif group.same:
            lines.append(f"{group.name}: {group.parents[0]} under another name ({read})")
        elif not group.parents:
            lines.append(f"{group.name}: added ({group.rows} sequences)")
        else:
            made = "changed" if group.parents == (group.name,) else f"from {' and '.join(group.parents)}"
            left = f"{group.left} sequences to read before any of its {group.rows} comes again"
            lines.append(f"{group.name}: {made} ({left})")
    lines += [f"{name}: removed" for name in changed.change.removed]
    old, new = changed.change.old, changed.change.new
    if not (old.targets_are_groups and new.targets_are_groups):
        lines += [f"target {name}: added" for name in new.targets if name not in old.targets]
        lines += [f"target {name}: removed" for name in old.targets if name not in new.targets]
    return lines
