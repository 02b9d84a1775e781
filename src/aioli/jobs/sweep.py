"""Sweeps: many runs, each on a mixture of its own, and what is read from their results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.config import Config, MethodChoice, read_plain
from aioli.config.yaml_text import dump_yaml
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.jobs.names import TOKENS
from aioli.jobs.output import Plan
from aioli.jobs.runs import carry_out
from aioli.jobs.watch import Watch
from aioli.methods.recipes import one_hot, skill_graph
from aioli.protocol import Constraints
from aioli.simplex import as_proportions
from aioli.sweep.store import Store

__all__ = ["graph", "one_hot_design", "read_design", "run_design", "write_design"]

QUIET = Watch()
Design = Sequence[Mapping[str, float]]


def one_hot_design(groups: Iterable[str]) -> list[dict[str, float]]:
    """One run on each group alone."""
    names = list(groups)
    return [one_hot(group, names)["proportions"] for group in names]


def write_design(design: Design, path: Path) -> None:
    """Write a design as YAML: `runs`, a list of mixtures by group."""
    replace_file(path, design_text(design))


def design_text(design: Design) -> str:
    return dump_yaml({"runs": [dict(mixture) for mixture in design]})


def read_design(path: Path, groups: Sequence[str]) -> list[dict[str, float]]:
    """The mixtures of a design file, checked.

    Raises:
        InputError: a file that cannot be read or has another shape, a mixture that does not fit the groups,
            or the same mixture twice.
    """
    content = read_plain(path, "the design")
    runs = content.get("runs") if isinstance(content, Mapping) else content
    if not isinstance(runs, list) or not runs:
        raise InputError(f"{path}: expected `runs`, a list of mixtures (proportions by group), got {runs!r}")
    design: list[dict[str, float]] = []
    for number, mixture in enumerate(runs, start=1):
        try:
            found = dict(zip(groups, as_proportions(mixture, groups).tolist(), strict=True))
        except InputError as error:
            raise InputError(f"{path}, run {number}: {error}") from None
        if found in design:
            raise InputError(f"{path}: runs {design.index(found) + 1} and {number} have the same mixture")
        design.append(found)
    return design


def run_design(
    config: Config,
    design: Design,
    *,
    out: Path,
    seed: int | None = None,
    workers: int | None = None,
    resume: bool = False,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train a run on every mixture of a design, and return the content of `results.json`.

    The runs record their validation losses before the first and after the last step.

    Args:
        config: its methods and constraints are left out: the mixtures are those of the design.
        seed: None: the config's first.

    Raises:
        InputError: unusable data, an output directory that is used or busy, or runs that failed.
    """
    methods = tuple(
        MethodChoice("static", {"proportions": dict(mixture)}, _label(mixture, number))
        for number, mixture in enumerate(design, start=1)
    )
    seeds = (config.seeds[0] if seed is None else seed,)
    with Store(out, resume=resume, ignore=(TOKENS,)) as store:
        planned = replace(config, methods=methods, seeds=seeds, constraints=Constraints())
        return carry_out(planned, store, workers, watch, validation=True)


def _label(mixture: Mapping[str, float], number: int) -> str:
    alone = _alone(mixture)
    return f"run {number}" if alone is None else f"only {alone}"


def _alone(mixture: Mapping[str, float]) -> str | None:
    """The group that a mixture consists of; None when there are several."""
    groups = [group for group, share in mixture.items() if share > 0]
    return groups[0] if len(groups) == 1 else None


def graph(out: Path) -> dict[str, Any]:
    """Skill-It's graph from a finished sweep: {"groups", "targets", "graph" [n, m]}, mean over its seeds.

    Raises:
        InputError: no sweep there, one that is not finished, or one without a run on each group alone.
    """
    results = _results(out)
    groups, targets = results[0]["groups"], results[0]["targets"]
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for result in results:
        alone = _alone(dict(zip(groups, result["mixture"]["mean"], strict=True)))
        if alone is not None:
            found.setdefault(result["seed"], {})[alone] = result
    if not found:
        raise InputError(f"no run in {out} was trained on one group alone: make a design with --one-hot")
    for seed, runs in found.items():
        missing = [group for group in groups if group not in runs]
        if missing:
            raise InputError(f"{out} has no run of seed {seed} on these alone: {', '.join(missing)}")
    graphs = [skill_graph({group: runs[group] for group in groups}) for runs in found.values()]
    return {"groups": groups, "targets": targets, "graph": np.mean(graphs, axis=0).tolist()}


def _results(out: Path) -> list[dict[str, Any]]:
    plan = Plan(out)
    results = []
    for run in plan.runs:
        path = out / "runs" / run["id"] / "result.json"
        try:
            results.append(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise InputError(
                f"{run['label']} seed {run['seed']} in {out} is not finished: continue it with --resume"
            ) from None
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}): run the sweep again with --resume") from None
    return results
