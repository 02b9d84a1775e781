"""The stages of the study, through `aioli`'s own jobs. All are resumable and find each other's runs by id.

Every setting has one directory of runs that its stages share: `OUT/SETTING/runs`, linked from each job's
output directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.paper_study.plan import (
    SETTINGS,
    Entry,
    Plan,
    compared_laws,
    learners,
    static,
    sweep_mixtures,
    with_aioli,
)
from benchmarks.paper_study.store import keep_points, keep_runs

import aioli
from aioli.config import Config, load, read_methods
from aioli.jobs.checkpoints import Settings
from aioli.jobs.diagnose import diagnose
from aioli.jobs.fitting import fit_runs
from aioli.jobs.mixture import mixture_of, take
from aioli.jobs.solving import solve_fit
from aioli.jobs.sweep import read_sweep, run_design
from aioli.jobs.wishes import Wishes

__all__ = ["OUT_OF_DOMAIN", "STAGES", "Study"]

OUT_OF_DOMAIN = "out_of_domain"
PERSONS_CHOICE = ("anarchism-faq", "sotu", "sword-web", "film-dialogues")
"""Groups of prose and talk, a quarter each: what a person picks to learn about a novel."""


@dataclass(frozen=True)
class Study:
    """Where the study reads and writes.

    Attributes:
        corpora: configs of `benchmarks.corpora`, built where they are missing. out: runs go here.
        results: stored lines go here. workers: runs at a time.
    """

    plan: Plan
    corpora: Path
    out: Path
    results: Path
    workers: int | None

    def source(self, setting: str) -> Path:
        path = self.corpora / f"{setting}.yaml"
        if not path.exists():
            build = ["benchmarks.corpora", "--settings", setting, "--out", str(self.corpora)]
            subprocess.run([sys.executable, "-m", *build], check=True)
        return path

    def overrides(self, setting: str, *more: str) -> list[str]:
        tokens = f"data.tokens={self.out / setting / 'tokens'}"
        return [*self.plan.overrides, tokens, "objective=mean_loss", *more]

    def directory(self, setting: str, job: str) -> Path:
        """The output directory of a job, which shares the runs of its setting."""
        path, runs = self.out / setting / job, self.out / setting / "runs"
        path.mkdir(parents=True, exist_ok=True)
        runs.mkdir(exist_ok=True)
        if not (path / "runs").is_symlink():
            (path / "runs").symlink_to(runs.resolve(), target_is_directory=True)
        return path

    def compare(
        self, setting: str, job: str, methods: Sequence[Entry], seeds: Sequence[int], *more: str
    ) -> dict[str, Any]:
        asked = [f"methods={json.dumps(methods)}", f"seeds={list(seeds)}", *more]
        return aioli.compare(
            self.source(setting),
            out=self.directory(setting, job),
            workers=self.workers,
            resume=True,
            overrides=self.overrides(setting, *asked),
        )

    def sweep(self, setting: str, job: str, count: int, *more: str) -> Path:
        """The directory of a finished sweep."""
        config: Config = load(self.source(setting), self.overrides(setting, *more), methods=False)
        groups = list(config.data.groups)
        design = [dict(zip(groups, row.tolist(), strict=True)) for row in sweep_mixtures(len(groups), count)]
        out = self.directory(setting, job)
        run_design(config, design, out=out, seeds=[self.plan.search_seed], workers=self.workers, resume=True)
        return out


def unrestricted(study: Study, setting: str) -> None:
    """Every method with every seed; grid search and DML take their mixture from one sweep of ten runs."""
    plan = study.plan
    sweep = study.sweep(setting, "sweep", plan.searched)
    keep_runs(sweep, study.results / "sweep" / f"{setting}.jsonl", validation=True)
    searched = [static(label, mixture) for label, mixture in searched_mixtures(sweep).items()]
    methods = [*plan.methods(SETTINGS[setting]), *searched]
    study.compare(setting, "unrestricted", methods, plan.seeds)
    keep_runs(
        study.out / setting / "unrestricted",
        study.results / "unrestricted" / f"{setting}.jsonl",
        charged={"grid search": sweep, "dml": sweep},
    )


def searched_mixtures(sweep: Path) -> dict[str, dict[str, float]]:
    """What grid search and DML conclude from a sweep: the mixtures of least mean validation loss."""
    table = read_sweep(sweep)
    best = table.mixtures[table.losses.mean(axis=1).argmin()]
    fitted = fit_runs(table, "log_linear", replicates=0)
    solved = solve_fit(fitted, Wishes())
    return {
        "grid search": dict(zip(table.groups, best.tolist(), strict=True)),
        "dml": {name: float(value) for name, value in solved["proportions"].items()},
    }


def laws(study: Study, setting: str) -> None:
    """The true dynamic law at checkpoints of the stratified runs, and every method's own beside it."""
    plan = study.plan
    study.compare(setting, "baseline", ["stratified"], plan.few_seeds)
    content = diagnose(
        study.out / setting / "baseline",
        Settings(at=plan.at, horizons=plan.horizons),
        method="stratified",
        seeds=plan.few_seeds,
        compared=read_methods(compared_laws(plan)),
        method_steps=plan.horizons[-2],
        out=study.directory(setting, "laws"),
        resume=True,
        workers=study.workers,
    )
    keep_points(content, study.results / "laws" / f"{setting}.jsonl")


def restricted(study: Study, setting: str) -> None:
    """Mixtures learned in runs of half the length, trained as they are and with Aioli beginning from them."""
    plan = study.plan
    sweep = study.sweep(setting, "half_sweep", plan.searched, *plan.half)
    keep_runs(sweep, study.results / "half_sweep" / f"{setting}.jsonl", validation=True)
    found = searched_mixtures(sweep)
    study.compare(setting, "half", learners(plan), [plan.search_seed], *plan.half)
    half = study.out / setting / "half"
    keep_runs(half, study.results / "half" / f"{setting}.jsonl")
    labels = [entry["label"] for entry in learners(plan) if isinstance(entry, dict)]
    found |= {label: take(mixture_of(half, method=label), None) for label in labels}
    methods: list[Entry] = ["stratified"]
    for label, mixture in found.items():
        methods += [static(label, mixture), with_aioli(f"{label} + aioli", mixture)]
    study.compare(setting, "restricted", methods, plan.few_seeds)
    keep_runs(study.out / setting / "restricted", study.results / "restricted" / f"{setting}.jsonl")


def out_of_domain(study: Study, setting: str = OUT_OF_DOMAIN) -> None:
    """A target outside the groups: priors, a person's choice, the best of many mixtures, Aioli."""
    plan = study.plan
    groups = load(study.source(setting), study.overrides(setting), methods=False).data.groups
    choice = {name: (name in PERSONS_CHOICE) / len(PERSONS_CHOICE) for name in groups}
    methods: list[Entry] = ["stratified", "proportional", "similar", "aioli"]
    methods.append(static("person's choice", choice))
    results = study.compare(setting, "comparison", methods, plan.few_seeds)
    prior = _mean_mixture(results, "similar")
    sweep = study.sweep(setting, "sweep", plan.statics)
    keep_runs(sweep, study.results / "sweep" / f"{setting}.jsonl", validation=True)
    table = read_sweep(sweep)
    best = dict(zip(table.groups, table.mixtures[table.losses[:, 0].argmin()].tolist(), strict=True))
    methods += [with_aioli("similar + aioli", prior), static(f"best of {plan.statics}", best)]
    study.compare(setting, "comparison", methods, plan.few_seeds)
    keep_runs(
        study.out / setting / "comparison",
        study.results / "out_of_domain" / f"{setting}.jsonl",
        charged={f"best of {plan.statics}": sweep},
    )


def _mean_mixture(results: Mapping[str, Any], label: str) -> dict[str, float]:
    run = next(run for run in results["runs"].values() if run["label"] == label)
    return dict(zip(results["groups"], run["mixture"]["mean"], strict=True))


STAGES: dict[str, Callable[[Study, str], None]] = {
    "unrestricted": unrestricted,
    "laws": laws,
    "restricted": restricted,
    OUT_OF_DOMAIN: out_of_domain,
}
