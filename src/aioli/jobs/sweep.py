"""Sweeps: many runs, each on a mixture of its own, and what is read from their results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.config import Config, MethodChoice
from aioli.errors import InputError
from aioli.jobs.design_files import Design
from aioli.jobs.extend import found_plan
from aioli.jobs.names import TOKENS
from aioli.jobs.output import Plan
from aioli.jobs.runs import carry_out
from aioli.jobs.sweep_results import read_sweep, write_sweep
from aioli.jobs.watch import Watch
from aioli.methods.recipes import skill_graph
from aioli.protocol import Constraints
from aioli.sweep import local
from aioli.sweep.runner import ATTEMPTS, Runner
from aioli.sweep.store import Store

__all__ = ["graph", "read_sweep", "run_design"]

QUIET = Watch()


def run_design(
    config: Config,
    design: Design,
    *,
    out: Path,
    seeds: Sequence[int] = (),
    workers: int | None = None,
    resume: bool = False,
    target_tokens: int | None = None,
    attempts: int = ATTEMPTS,
    runner: Runner = local.run,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train a run on every mixture of a design with every seed, and return the content of `sweep.json`.

    The runs record their validation losses before the first and after the last step; `sweep.csv` is the
    table that laws are fitted to (`read_sweep`).

    Args:
        config: its methods, stopping and constraints are left out: the mixtures are those of the design.
        seeds: none: the config's first.
        attempts: how often a run is started at most. runner: where the runs are carried out.
        target_tokens: length of the run that these are small versions of. Each then sees only as much of
            every group as repeats its data as often as that run will (`aioli.data.repetition`).

    Raises:
        InputError: unusable data, an output directory that is used or busy, runs that failed, a
            target that does not fit, or another one than that of the runs to continue.
    """
    methods = tuple(
        MethodChoice("static", {"proportions": dict(mixture)}, _label(mixture, number))
        for number, mixture in enumerate(design, start=1)
    )
    _check_seeds(seeds)
    with Store(out, resume=resume, ignore=(TOKENS,)) as store:
        planned = replace(
            config,
            methods=methods,
            seeds=tuple(seeds) or config.seeds[:1],
            stopping=None,
            constraints=Constraints(),
        )
        _check_target(store, target_tokens)
        return carry_out(
            planned,
            store,
            workers,
            watch,
            validation=True,
            target_tokens=target_tokens,
            attempts=attempts,
            runner=runner,
            write=write_sweep,
        )


def _check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if seed < 0 or list(seeds).count(seed) > 1:
            raise InputError(f"seeds must be whole numbers >= 0, each once, got {list(seeds)}")


def _check_target(store: Store, target_tokens: int | None) -> None:
    """Refuse to continue runs that stand for another run: their results would be replaced."""
    plan = found_plan(store.out)
    for spec in plan.specs() if plan else []:
        if spec.target_tokens != target_tokens:
            was, now = spec.target_tokens or "not given", target_tokens or "not given"
            raise InputError(
                f"{store.out} holds runs whose target tokens were {was}, now {now}: give the same, or name "
                "another directory with --out"
            )


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
        raise InputError(f"no run in {out} was trained on one group alone: make a design with --kind one-hot")
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
