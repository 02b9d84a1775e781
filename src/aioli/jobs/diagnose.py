"""The true dynamic law at checkpoints of runs: branches off them, and the methods' own laws beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aioli.analysis.diagnosis import pooled
from aioli.analysis.static import static_effects, static_quality
from aioli.config import Config, MethodChoice, load
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import write_errors_explained, write_json
from aioli.jobs.checkpoints import Checkpoint, Settings
from aioli.jobs.output import PLAN, Plan
from aioli.jobs.planning import Adopted
from aioli.jobs.references import adopt, check_references, find_references, find_run
from aioli.jobs.runs import KEPT, RunsFailed
from aioli.jobs.sweep_results import SUMMARY, TABLE, read_sweep
from aioli.jobs.watch import Watch
from aioli.objectives import get_objective
from aioli.protocol import Array
from aioli.report.law_page import write_diagnosis_page
from aioli.sweep import local
from aioli.sweep.runner import Runner
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = ["Settings", "diagnose", "diagnose_sweep", "is_sweep"]

QUIET = Watch()
LEAST_STEPS, SHARE = 60, 20


def diagnose(
    run: Path,
    settings: Settings | None = None,
    *,
    method: str | None = None,
    seeds: Sequence[int] = (),
    compared: Sequence[MethodChoice] = (),
    method_steps: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    workers: int | None = None,
    runner: Runner = local.run,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Branch finished runs at checkpoints, fit the linear dynamic law there, and return diagnosis.json.

    A run is trained again up to each step (a trunk), unless that was done before. From there every branch
    goes on with a mixture of its own, on the same data order and held-out sequences. A compared method
    begins anew at the checkpoint, trains for exactly one estimate, and its law is held against the branches'.

    Args:
        run: an output directory, or that of one run in it. method: which of several runs. seeds: one run
            each, pooled with standard errors over them; none: the only run there is.
        compared: methods whose own law is measured at the same checkpoints.
        method_steps: steps that those get there which are not made of law, estimator and solver; None: a
            twentieth of the run, at least 60. More where a method needs a longer run.
        out: where branches and diagnosis.json go; None: `diagnosis` in the output directory.

    Raises:
        InputError: a run that cannot be branched there, a used directory, or branches that failed.
    """
    settings = settings or Settings()
    found = _runs(run, method, seeds)
    spec, home = found[0].spec, found[0].directory.parent.parent
    plan = Plan(home)
    corpus = Corpus.open(plan.corpus)
    steps = settings.at or (spec.train.steps // 2,)
    for each in found:
        _check(each.spec, settings, steps)
    _check_labels(compared)
    config = _config(plan, compared, [each.spec.seed for each in found])
    references = find_references(config)
    check_references(references, config, corpus)
    points = [Checkpoint(each.spec, settings, step, corpus) for step in steps for each in found]
    if compared:
        other_steps = method_steps or max(LEAST_STEPS, spec.train.steps // SHARE)
        for point in points:
            point.add_methods(config, corpus, references, other_steps)
    with Store(out or home / "diagnosis", resume=resume) as store, write_errors_explained(store.out, KEPT):
        adopt(store, {(each.spec.label, each.spec.seed): each for each in found} | references)
        results = _carry_out(points, corpus, store, workers, runner, watch)
        weights = _weights(spec, corpus)
        contents = [
            point.content(results, weights) | {"mixture": _mixture_at(each, point.step)}
            for point, each in zip(points, found * len(steps), strict=True)
        ]
        content = {
            "version": 1,
            "run": spec.id,
            "label": spec.label or spec.method,
            "seed": spec.seed,
            "seeds": [each.spec.seed for each in found],
            "groups": list(corpus.groups),
            "targets": list(corpus.targets),
            "steps": spec.train.steps,
            "orders": settings.orders,
            "weights": weights.tolist(),
            "points": contents,
            "pooled": pooled(contents),
        }
        write_json(store.out / "diagnosis.json", content)
        write_diagnosis_page(content, store.out / "diagnosis.html")
    return content


def is_sweep(path: Path) -> bool:
    """Whether a directory holds a finished sweep, whose law is that of whole runs."""
    return (path / SUMMARY).exists() and (path / TABLE).exists()


def diagnose_sweep(sweep: Path) -> dict[str, Any]:
    """How well static laws describe the whole runs of a sweep, and A: log-linear, and linear beside it.

    Raises:
        InputError: no sweep there, or runs on too few mixtures.
    """
    table = read_sweep(sweep)
    content = static_quality(table)
    for name, effects in static_effects(table).items():
        content["laws"][name] |= effects
    return {"version": 1, "sweep": str(sweep), "runs": len(table.mixtures), **content}


def _runs(run: Path, method: str | None, seeds: Sequence[int]) -> list[Adopted]:
    if len(set(seeds)) < len(seeds):
        raise InputError(f"every seed is named once, got {list(seeds)}")
    _check_seeds(run, method, seeds)
    found = [find_run(run, seed, method) for seed in seeds] or [find_run(run, None, method)]
    for seed, each in zip(seeds, found, strict=False):
        if each.spec.seed != seed:
            raise InputError(f"the run in {run} is of seed {each.spec.seed}, not of {seed}")
    return found


def _check_seeds(run: Path, method: str | None, seeds: Sequence[int]) -> None:
    """Refuse a seed that no run of an output directory has."""
    if not (run / PLAN).exists():
        return
    known = sorted({each["seed"] for each in Plan(run).runs if method in (None, each["label"])})
    missing = sorted(set(seeds) - set(known))
    if known and missing:
        of = "" if method is None else f" of {method!r}"
        raise InputError(
            f"{run} has no run{of} of seed {missing[0]}: its seeds are {', '.join(map(str, known))}"
        )


def _config(plan: Plan, compared: Sequence[MethodChoice], seeds: Sequence[int]) -> Config:
    """The config of the runs, with the compared methods in place of its own: checked, and files read."""
    entries = [choice.to_entry() for choice in compared] or ["stratified"]
    return load(plan.config | {"methods": entries, "seeds": list(seeds), "stopping": None})


def _check_labels(compared: Sequence[MethodChoice]) -> None:
    labels = [choice.label for choice in compared]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InputError(f"methods are told apart by their labels, got twice: {', '.join(twice)}")


def _carry_out(
    points: Sequence[Checkpoint],
    corpus: Corpus,
    store: Store,
    workers: int | None,
    runner: Runner,
    watch: Watch,
) -> dict[str, dict[str, Any]]:
    """Train what is not there yet: trunks first, then branch by branch, so that early ends are of use."""
    specs = list({each.id: each for point in points for each in point.specs}.values())
    watch.planned(specs, corpus.groups)
    outcome = runner(specs, corpus.directory, store, workers=workers, on_event=watch.run)
    if outcome.failures:
        raise RunsFailed(outcome.failures, len(specs), None)
    return {result["id"]: result for result in outcome.results}


def _mixture_at(run: Adopted, step: int) -> list[float]:
    """[m] what a run was trained on at `step`: its latest mixture outside probes, at first an equal one."""
    told = json.loads((run.directory / "result.json").read_bytes())
    steps, values = told["proportions"]["step"], told["proportions"]["values"]
    known = [row for at, row in zip(steps, values, strict=True) if at <= step]
    return list(known[-1]) if known else [1 / len(told["groups"])] * len(told["groups"])


def _weights(spec: RunSpec, corpus: Corpus) -> Array:
    """[n] of the targets, of mean 1, as the mean loss weighs them."""
    given = spec.target_weights or {}
    weights = np.array([given.get(name, 1.0) if given else 1.0 for name in corpus.targets])
    return weights * len(weights) / weights.sum()


def _check(spec: RunSpec, settings: Settings, steps: Sequence[int]) -> None:
    if spec.history or spec.branch:
        what = "changed its groups on the way" if spec.history else "is itself a branch"
        raise InputError(f"run {spec.id} {what} and cannot be branched")
    get_objective(spec.objective)
    late = [step for step in steps if step + settings.horizons[0] > spec.train.steps]
    if late:
        raise InputError(
            f"the run has {spec.train.steps} steps: no branch of {settings.horizons[0]} steps, the shortest "
            f"horizon, fits after step {late[0]}"
        )
