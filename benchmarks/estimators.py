"""Fidelity against cost for every estimator: `python -m benchmarks.estimators [--quick] [--setting NAME]`.

Settings of `benchmarks.corpora` are trained stratified, and every run is branched at several steps
(`aioli.jobs.diagnose`): the branches give the true law by horizon, and each estimator makes one estimate from
the same checkpoint. All estimators of a checkpoint are paired with each other. Runs are found again by their
ids, so the bench is resumable. Table, plots and one small JSON for every run go to `--results`; the last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.corpora.settings import SETTINGS
from benchmarks.estimators_report import write_report

import aioli
from aioli.analysis.fidelity import fidelity_of
from aioli.config import read_methods
from aioli.jobs.checkpoints import Settings
from aioli.jobs.diagnose import diagnose

DEFAULT = ("code_encyclopedic_multilingual", "seven", "out_of_domain")
REFERENCE = "probes 2x4"
"""The estimator that the others are compared with, at the same checkpoints: about Aioli's own sizes."""
SOLVER = {"exponentiated_gradient": {"eta": 0.2}}
NULL, BRANCHES = "random numbers", "branches"
MOST_STEPS = 400
"""An estimator that would train longer is left out."""
PROBES = ((1, 4), (2, 4), (4, 4), (1, 20), (2, 20), (1, 75))
BLOCKS = ((2, 20), (4, 20), (2, 75), (4, 50))
PEEKS = ("alignment", "doge_score", "directional")


def sentence(label: str, estimator: Any) -> dict[str, Any]:
    return {"lmo": {"estimator": estimator, "solver": SOLVER}, "label": label}


def estimators(groups: int, targets_are_groups: bool, left: int, quick: bool = False) -> list[dict[str, Any]]:
    """Methods that make one estimate each, as a config names them.

    Args:
        left: steps of the run after the last checkpoint.
    """
    most = min(MOST_STEPS, left - 1)
    peeks = [*PEEKS, "excess_over_reference"] if targets_are_groups else PEEKS
    probes = [{"sweeps": sweeps, "probe_steps": steps} for sweeps, steps in PROBES]
    found = [
        sentence(f"probes {each['sweeps']}x{each['probe_steps']}", {"probes": each})
        for each in probes
        if each["sweeps"] * each["probe_steps"] * groups <= most
    ]
    found += [
        sentence(f"blocks {pairs}x{steps}", {"blocks": {"pairs": pairs, "block_steps": steps}})
        for pairs, steps in BLOCKS
        if 2 * pairs * steps <= most
    ]
    if quick:
        return [*found[:2], sentence("directional 0", {"directional": {"measure_steps": 0}})]
    size = {"sweeps": 2, "probe_steps": 4}
    found.append(sentence("probes 2x4 detrended", {"probes": size | {"detrend": True}}))
    if targets_are_groups:
        found.append(sentence("probes 2x4 diagonal", {"probes": size | {"diagonal": True}}))
        found.append({"sheared": {}, "label": "excess over target"})
    for peek in peeks:
        found += [sentence(f"{peek} {steps}", {peek: {"measure_steps": steps}}) for steps in (0, 20)]
    found.append({"skill_it": {}, "run_steps": 0.2, "label": "one-hot graph"})
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="minutes: short runs, three estimators")
    parser.add_argument("--setting", action="append", choices=list(SETTINGS), help=f"default: {DEFAULT}")
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help="default: 0 1 2")
    parser.add_argument("--at", type=int, nargs="+", default=None, help="default: 200 500 1000")
    parser.add_argument("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    parser.add_argument(
        "--runs", type=Path, help="finished stratified runs of the setting; default: train them"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/estimators"), help="where runs go")
    parser.add_argument(
        "--results", type=Path, default=None, help="table and plots; default: results in --out"
    )
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args(arguments)
    quick = given.quick
    settings = Settings(
        at=tuple(given.at or ((40, 80) if quick else (200, 500, 1000))),
        horizons=(5, 20) if quick else (5, 20, 75, 300),
    )
    seeds = given.seeds or ([0] if quick else [0, 1, 2])
    overrides = [*(["train.steps=150", "train.warmup=20"] if quick else []), *given.overrides]
    out = given.out / "quick" if quick else given.out
    results = given.results or out / "results"
    report: dict[str, Any] = {"benchmark": "estimators", "settings": {}}
    for name in given.setting or DEFAULT[: 1 if quick else None]:
        runs = given.runs or trained(
            name, given.corpora, out / name / "runs", seeds, overrides, given.workers
        )
        content = measured(runs, settings, seeds, out / name / "store", given.workers, quick)
        keep_runs(out / name / "store", results / name / "runs")
        rows = summary(content)
        write_report(name, content, rows, results / name)
        report["settings"][name] = rows
    print(json.dumps(report))


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


def keep_runs(store: Path, kept: Path) -> None:
    """Copy the result of every run, named by its id."""
    kept.mkdir(parents=True, exist_ok=True)
    for path in sorted(store.glob("runs/*/result.json")):
        shutil.copyfile(path, kept / f"{path.parent.name}.json")


def summary(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each estimator and horizon: means over checkpoints and seeds with standard errors, and cost.

    `change` is that of the centred similarity against `REFERENCE` at the same checkpoints, nan where a
    similarity is not defined.
    """
    rows = []
    horizons = sorted({law["horizon"] for point in content["points"] for law in point["laws"]})
    for horizon in horizons:
        found = [at_horizon(point, horizon) for point in content["points"]]
        found = [each for each in found if each]
        base = np.array([each.get(REFERENCE, EMPTY)["centred"] for each in found])
        for label in dict.fromkeys(label for each in found for label in each):
            mine = [each.get(label, EMPTY) for each in found]
            centred = np.array([each["centred"] for each in mine])
            change, change_error = mean_error(centred - base)
            mean, error = mean_error(centred)
            raw, _ = mean_error(np.array([each["raw"] for each in mine]))
            costs = [each["cost"] for each in mine if each["cost"]]
            rows.append(
                {
                    "estimator": label,
                    "horizon": horizon,
                    "checkpoints": int(np.isfinite(centred).sum()),
                    "centred": mean,
                    "centred_error": error,
                    "raw": raw,
                    "change": change,
                    "change_error": change_error,
                    "cost": {key: float(np.mean([cost[key] for cost in costs])) for key in costs[0]}
                    if costs
                    else {},
                }
            )
    return rows


EMPTY: dict[str, Any] = {"centred": np.nan, "raw": np.nan, "cost": {}}


def at_horizon(point: Mapping[str, Any], horizon: int) -> dict[str, dict[str, Any]]:
    """Similarities and cost by estimator at one checkpoint; {} where no branch is so long."""
    laws = {law["horizon"]: law for law in point["laws"]}
    if horizon not in laws:
        return {}
    truth, errors = (np.array(laws[horizon][key]) for key in ("sums", "sum_errors"))
    found = {}
    for row in point["fidelity"]:
        if row["horizon"] == horizon:
            raw = None if row["raw"] is None else row["raw"]["similarity"]
            both = {"centred": row["centred"]["similarity"], "raw": raw}
            known = {key: np.nan if value is None else value for key, value in both.items()}
            found[row["label"]] = known | {"cost": row["cost"]}
    rng = np.random.default_rng([point["seed"], point["step"], horizon])
    draws = [fidelity_of(each, truth, centre=True).similarity for each in rng.normal(size=(400, truth.size))]
    found[NULL] = {"centred": float(np.mean(draws)), "raw": np.nan, "cost": {}}
    for other, law in laws.items():
        if other < horizon:
            sums = np.array(law["sums"])
            found[f"{BRANCHES} of {other} steps"] = {
                "centred": fidelity_of(sums, truth, errors, centre=True).similarity,
                "raw": fidelity_of(sums, truth).similarity,
                "cost": {},
            }
    return found


def mean_error(values: Any) -> tuple[float | None, float | None]:
    """Mean and standard error of the finite values; None where there are too few."""
    kept = values[np.isfinite(values)]
    if not kept.size:
        return None, None
    return float(kept.mean()), float(kept.std(ddof=1) / np.sqrt(kept.size)) if kept.size > 1 else None


if __name__ == "__main__":
    main()
