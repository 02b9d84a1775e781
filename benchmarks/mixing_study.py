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

METHODS = [
    "stratified",
    "proportional",
    {"matched": {"objective": "mean_perplexity"}, "label": "matched"},
    "aioli",
    {"aioli": {"objective": "mean_perplexity"}, "label": "aioli (mean perplexity)"},
    {"aioli_ema": {}, "label": "aioli (released)"},
    "aioli_static",
    "aioli_diagonal",
    "aioli_detrend",
]
SEEDS = [0, 1, 2, 3, 4]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", default="code_encyclopedic_multilingual", choices=list(SETTINGS))
    parser.add_argument("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--quick", action="store_true", help="three methods, two seeds, 150 steps")
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
    methods, seeds, overrides = METHODS, SEEDS, []
    if given.quick:
        methods, seeds = ["stratified", METHODS[2], "aioli"], [0, 1]
        overrides = ["train.steps=150", "train.warmup=20"]
    overrides = [f"methods={json.dumps(methods)}", f"seeds={seeds}", *overrides, *given.overrides]
    out = given.out or Path("runs") / f"mixing_study{'_quick' if given.quick else ''}" / given.setting
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
            "wins": [method["wins"], method["of"]],
            "evaluation_tokens": method["cost"]["evaluation_tokens"],
            "probe_steps": method["cost"]["probe_steps"],
            "seconds_ratio": method["cost"]["seconds_ratio"],
        }
    return {"benchmark": "mixing_study", "setting": setting, "reading": results["reading"], "methods": rows}


if __name__ == "__main__":
    main()
