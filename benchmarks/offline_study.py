"""A law fitted to a sweep on real text, its optimum trained: `python -m benchmarks.offline_study [--quick]`.

The whole offline way on one setting of `benchmarks.corpora`: design, sweep, fit, solve for two objectives,
then train each solution with the seeds of the comparison, against stratified sampling and Aioli. What the law
predicted stands beside what was measured. Everything is found again by its content: a stopped study goes on
with the same command, and a comparison made before with `--out` shares its runs.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import aioli
from aioli.config import load
from aioli.fitting.files import save_fit
from aioli.jobs.design import DesignSettings, make_design
from aioli.jobs.fitting import describe_fit, fit_runs
from aioli.jobs.solutions import write_solution
from aioli.jobs.solving import solve_fit
from aioli.jobs.sweep import read_sweep, run_design
from aioli.jobs.wishes import Wishes
from aioli.static_law import FittedLaw

OBJECTIVES = ("mean_loss", "mean_perplexity")
FULL = {"runs": 16, "seeds": [0, 1, 2, 3, 4], "overrides": []}
QUICK = {"runs": 8, "seeds": [0, 1], "overrides": ["train.steps=150", "train.warmup=20"]}
SEQUENCES = 512
"""Held-out sequences of every target that the runs of the sweep are measured on."""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    parser.add_argument("--setting", default="code_encyclopedic_multilingual")
    parser.add_argument("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    parser.add_argument("--out", type=Path, default=Path("runs/offline_study"))
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else FULL
    source = given.corpora.resolve() / f"{given.setting}.yaml"
    out, tokens = given.out.resolve(), f"data.tokens={given.out.resolve() / 'tokens'}"
    overrides = [*plan["overrides"], tokens]
    config = load(source, [*overrides, f"evaluation.sequences={SEQUENCES}"], methods=False)
    settings = DesignSettings("optimal", runs=plan["runs"], law="additive")
    design = make_design(config, source, settings)
    sweep = run_design(config, design.by_group(), out=out / "sweep", workers=given.workers, resume=True)
    fit = fit_runs(read_sweep(out / "sweep"))
    save_fit(fit, out / "fit.json")
    solutions = {}
    for objective in OBJECTIVES:
        solutions[objective] = solve_fit(fit, Wishes(objective=objective))
        write_solution(solutions[objective], out / f"{objective}.json")
    methods = ["stratified", "aioli"]
    methods += [
        {"static": {"proportions": solution["proportions"]}, "label": f"law, {name}"}
        for name, solution in solutions.items()
    ]
    results = aioli.compare(
        source,
        out=out / "comparison",
        workers=given.workers,
        resume=True,
        overrides=[
            *overrides,
            f"methods={json.dumps(methods)}",
            f"seeds={plan['seeds']}",
            "objective=mean_loss",
        ],
    )
    content = report(results, fit.fitted, solutions) | {"fit": describe_fit(fit), "sweep": sweep["cost"]}
    (out / "study.json").write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content))
    return content


def report(results: dict[str, Any], law: FittedLaw, solutions: dict[str, Any]) -> dict[str, Any]:
    """Every mixture's predicted change of each target's loss against stratified, and the measured one."""
    groups = results["groups"]
    even = [1 / len(groups)] * len(groups)
    rows: dict[str, Any] = {}
    for method in results["methods"]:
        rows[method["label"]] = {"perplexity": method["test"]["perplexity"], "relative": method["relative"]}
    differences = {method["label"]: method["difference"] for method in results["methods"]}
    for name, solution in solutions.items():
        mixture = [solution["proportions"][group] for group in groups]
        losses = law.predict(np.array([even, mixture]))
        rows[f"law, {name}"] |= {
            "proportions": solution["proportions"],
            "predicted": (losses[1] - losses[0]).tolist(),
            "measured": [
                [target[key] for key in ("mean", "low", "high")]
                for target in differences[f"law, {name}"]["loss"]["per_target"]
            ],
        }
    return {"benchmark": "offline_study", "targets": results["targets"], "methods": rows}


if __name__ == "__main__":
    main()
