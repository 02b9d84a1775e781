"""Fidelity against cost for every estimator: `python -m benchmarks.estimators [--quick] [--setting NAME]`.

Settings of `benchmarks.corpora` are trained stratified, and every run is branched at several steps
(`aioli.jobs.diagnose`): the branches give the true law by horizon, and each estimator makes one estimate from
the same checkpoint. All estimators of a checkpoint are paired with each other. Runs are found again by their
ids, so the bench is resumable. One JSON line for every checkpoint and every run, a table and plots go to
`--results`, and what several settings say together beside it; `--report` makes tables and plots again from
the lines. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora.settings import SETTINGS
from benchmarks.estimators.compared import estimators
from benchmarks.estimators.kept import POINTS, RUNS, keep_points, keep_runs
from benchmarks.estimators.report import write_overview, write_report

import aioli
from aioli.config import read_methods
from aioli.errors import InputError
from aioli.jobs.checkpoints import Settings
from aioli.jobs.diagnose import diagnose

DEFAULT = ("code_encyclopedic_multilingual", "seven", "out_of_domain")
QUICK = ("train.steps=150", "train.warmup=20")


def main(arguments: list[str] | None = None) -> None:
    given = parsed(arguments)
    quick = given.quick
    out = given.out / "quick" if quick else given.out
    results = given.results or out / "results"
    names = given.setting or DEFAULT[: 1 if quick else None]
    if not given.report:
        for name in names:
            measure(name, given, out / name, results / name)
    try:
        found = {name: write_report(name, results / name) for name in names}
    except InputError as error:
        sys.exit(f"error: {error}")
    told: dict[str, Any] = {name: scores.rows for name, scores in found.items()}
    if len(found) > 1:
        told["all"] = write_overview(found, results)
    print(json.dumps({"benchmark": "estimators", "settings": told}))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="minutes: short runs, three estimators")
    add("--report", action="store_true", help="train nothing: table and plots from what is kept in --results")
    add("--setting", action="append", choices=list(SETTINGS), help=f"default: {DEFAULT}")
    add("--seeds", type=int, nargs="+", default=None, help="default: 0 1 2")
    add("--at", type=int, nargs="+", default=None, help="default: 200 500 1000")
    add("--orders", type=int, default=1, metavar="R", help="orders of the data for each branch")
    add("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    add("--runs", type=Path, help="finished stratified runs of the setting; default: train them")
    add("--out", type=Path, default=Path("runs/estimators"), help="where runs go, and are found again")
    add("--results", type=Path, default=None, help="lines, table and plots; default: results in --out")
    add("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    add("--workers", type=int, default=None)
    return parser.parse_args(arguments)


def measure(name: str, given: argparse.Namespace, out: Path, results: Path) -> None:
    """Train and branch what is not there yet, and keep a line for every checkpoint and run."""
    quick = given.quick
    settings = Settings(
        at=tuple(given.at or ((40, 80) if quick else (200, 500, 1000))),
        horizons=(5, 20) if quick else (5, 20, 75, 300),
        orders=given.orders,
    )
    seeds = given.seeds or ([0] if quick else [0, 1, 2])
    overrides = [*(QUICK if quick else []), *given.overrides]
    runs = given.runs or trained(name, given.corpora, out / "runs", seeds, overrides, given.workers)
    content = measured(runs, settings, seeds, out / "store", given.workers, quick)
    keep_points(content, results / POINTS)
    keep_runs(out / "store", [run for point in content["points"] for run in point["runs"]], results / RUNS)


def trained(
    setting: str,
    corpora: Path,
    out: Path,
    seeds: Sequence[int],
    overrides: Sequence[str],
    workers: int | None,
) -> Path:
    """The directory of finished stratified runs of a setting."""
    config = corpora.resolve() / f"{setting}.yaml"
    if not config.exists():
        build = ["benchmarks.corpora", "--settings", setting, "--out", str(config.parent)]
        subprocess.run([sys.executable, "-m", *build], check=True)
    asked = ['methods=["stratified"]', f"seeds={list(seeds)}", "objective=mean_loss", *overrides]
    aioli.compare(config, out=out, workers=workers, resume=True, overrides=asked)
    return out


def measured(
    runs: Path, settings: Settings, seeds: Sequence[int], store: Path, workers: int | None, quick: bool
) -> dict[str, Any]:
    """The diagnosis of the stratified runs with every estimator."""
    plan = json.loads((runs / "plan.json").read_text())["config"]
    groups, targets = list(plan["data"]["groups"]), list(plan["data"].get("targets") or ())
    left = plan["train"]["steps"] - settings.at[-1]
    entries = estimators(len(groups), not targets or targets == groups, left, quick)
    return diagnose(
        runs,
        settings,
        method="stratified",
        seeds=seeds,
        compared=read_methods(entries),
        out=store,
        resume=True,
        workers=workers,
    )


if __name__ == "__main__":
    main()
