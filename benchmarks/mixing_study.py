"""Mixing methods against stratified sampling on real text: `python -m benchmarks.mixing_study [--quick]`.

Builds one setting of `benchmarks.corpora`, trains every method with the same seeds through
`aioli.compare` (so the study is resumable run by run), and prints one JSON object as its last line. The
table, `results.json` and the page lie in `--out`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.corpora.settings import SETTINGS

import aioli

STRATIFIED = "stratified"
MATCHED = {"matched": {"objective": "mean_perplexity"}, "label": "matched"}
STUDY = [
    STRATIFIED,
    "proportional",
    MATCHED,
    "aioli",
    {"aioli": {"objective": "mean_perplexity"}, "label": "aioli (mean perplexity)"},
    {"aioli_ema": {}, "label": "aioli (released)"},
    "aioli_static",
    "aioli_diagonal",
    "aioli_detrend",
]
SHAKEN = {"static": {"proportions": [0.334, 0.333, 0.333]}, "label": "stratified, shaken"}
"""Three groups: what changes when nothing does but the order in which groups are dealt."""
ONLINE = [
    STRATIFIED,
    "proportional",
    MATCHED,
    "aioli",
    {"aioli_ema": {}, "label": "aioli (released)"},
    "aioli_static",
    "aioli_diagonal",
    "aioli_detrend",
    {"odm": {"warmup_steps": 100}, "label": "odm"},
    "ado",
    "directional",
    "neyman",
    {"guarded": {"method": "aioli", "default": "stratified"}, "label": "guarded aioli"},
    {
        "lmo": {"estimator": "alignment", "solver": {"exponentiated_gradient": {"eta": 0.2}}},
        "label": "alignment, accumulated",
    },
    "sheared",
    {"skill_it": {}, "run_steps": 0.2, "label": "skill_it"},
    "doremi",
    {"doge": {"mu": 0.16}, "label": "doge"},
]
"""Every online method. DoGE's mu keeps the published ratio of learning rate to mu; Skill-It's graph runs are
a fifth as long; the bandit waits for the end of the learning-rate warm-up."""
PILOT = [
    STRATIFIED,
    MATCHED,
    *({"aioli": {"eta": eta}, "label": f"aioli eta {eta}"} for eta in (0.2, 0.5, 1, 2)),
    *({"aioli_detrend": {"eta": eta}, "label": f"detrend eta {eta}"} for eta in (0.2, 0.5)),
]
PLANS: dict[str, tuple[list[Any], list[int], list[str]]] = {
    "study": (STUDY, [0, 1, 2, 3, 4], []),
    "online": (ONLINE, [0, 1, 2, 3, 4], []),
    "control": ([STRATIFIED, SHAKEN], [0, 1, 2, 3, 4], []),
    "similar": ([STRATIFIED, "similar", {"similar": {"tau": 0.3}}], [0, 1, 2], []),
    "pilot": (PILOT, [100, 101, 102], ["train.steps=1000", "train.warmup=60"]),
    "quick": ([STRATIFIED, MATCHED, "aioli"], [0, 1], ["train.steps=150", "train.warmup=20"]),
}
"""Methods, seeds and overrides. The pilot chooses step sizes, so it shares neither seeds nor setting with
the study."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", default="code_encyclopedic_multilingual", choices=list(SETTINGS))
    parser.add_argument("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, default=None)
    plan = parser.add_mutually_exclusive_group()
    plan.add_argument("--quick", action="store_const", dest="plan", const="quick", help="a few minutes")
    plan.add_argument("--online", action="store_const", dest="plan", const="online", help="every method")
    plan.add_argument(
        "--control", action="store_const", dest="plan", const="control", help="stratified against itself"
    )
    plan.add_argument(
        "--similar", action="store_const", dest="plan", const="similar", help="for --setting out_of_domain"
    )
    plan.add_argument("--pilot", action="store_const", dest="plan", const="pilot", help="step sizes of Aioli")
    parser.set_defaults(plan="study")
    given = parser.parse_args(arguments)
    corpora = given.corpora.resolve()
    config = corpora / f"{given.setting}.yaml"
    if not config.exists():
        build = [
            sys.executable,
            "-m",
            "benchmarks.corpora",
            "--settings",
            given.setting,
            "--out",
            str(corpora),
        ]
        subprocess.run(build, check=True)
    methods, seeds, changes = PLANS[given.plan]
    overrides = [f"methods={json.dumps(methods)}", f"seeds={seeds}", "objective=mean_loss"]
    overrides += [*changes, *given.overrides]
    out = given.out or Path("runs") / f"mixing_{given.plan}" / given.setting
    results = aioli.compare(config, out=out, workers=given.workers, resume=True, overrides=overrides)
    print(json.dumps(summary(results, given.setting)))


def summary(results: dict[str, Any], setting: str) -> dict[str, Any]:
    """Perplexity, its paired change and the cost of every method."""
    rows = {}
    for method in results["methods"]:
        difference = method["difference"]
        rows[method["label"]] = {
            "perplexity": method["test"]["perplexity"]["mean"],
            "change": None
            if difference is None
            else [difference["perplexity"][key] for key in ("mean", "low", "high")],
            "noise": method["noise"],
            "wins": [method["wins"], method["of"]],
            "evaluation_tokens": method["cost"]["evaluation_tokens"],
            "probe_steps": method["cost"]["probe_steps"],
            "seconds_ratio": method["cost"]["seconds_ratio"],
            "extra_runs": method["extra_runs"],
        }
    return {"benchmark": "mixing_study", "setting": setting, "reading": results["reading"], "methods": rows}


if __name__ == "__main__":
    main()
