"""The top of an output directory: what was planned, and the results as JSON, CSV and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aioli.analysis.comparison import compare_runs
from aioli.analysis.tidy import write_csv
from aioli.config import Config, to_yaml
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.methods import registry
from aioli.report.page import write_page
from aioli.sweep.local import Failure
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store, read_spec

__all__ = ["Plan", "write_plan", "write_results"]

PLAN = "plan.json"


class Plan:
    """What an output directory is for: the config's plain values, the runs, and where the corpus is."""

    def __init__(self, out: Path) -> None:
        """Read the plan that `write_plan` left in `out`.

        Raises:
            InputError: no plan there, or a damaged one.
        """
        path = out / PLAN
        try:
            plan = json.loads(path.read_bytes())
            self.config: dict[str, Any] = plan["config"]
            self.corpus = out / plan["corpus"]
            self.specs = [
                replace(read_spec(out / "runs" / run["id"]), label=run["label"])
                for run in plan["runs"]
                if (out / "runs" / run["id"]).is_dir()
            ]
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"no results in {out}: expected a directory that `aioli compare` or `aioli train` wrote "
                f"(with a {PLAN} in it)"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is damaged ({error}): run the comparison again with --resume") from None


def write_plan(store: Store, config: Config, specs: Sequence[RunSpec], corpus: Path) -> None:
    """Write `plan.json` and `config.resolved.yaml`."""
    inside = corpus.is_relative_to(store.out)
    plan = {
        "version": 1,
        "config": config.to_dict(),
        "corpus": str(corpus.relative_to(store.out) if inside else corpus.absolute()),
        "runs": [{"id": spec.id, "label": spec.label, "seed": spec.seed} for spec in specs],
    }
    replace_file(store.out / "config.resolved.yaml", to_yaml(config))
    replace_file(store.out / PLAN, json.dumps(plan, indent=1) + "\n")


def write_results(
    out: Path,
    config: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    failures: Sequence[Failure],
    corpus: Corpus | None,
) -> dict[str, Any]:
    """Compare the finished runs and write `results.json`, `results.csv` and `report.html`."""
    labels = {str(result["label"]): str(result["method"]) for result in results}
    content = compare_runs(
        list(results),
        baseline=next((label for label, method in labels.items() if method == "stratified"), None),
        corpus_index=corpus.index if corpus else None,
        config=dict(config),
        citations={name: str(registry.describe(name).citation) for name in set(labels.values())},
    )
    content["failures"] = [
        {"label": failure.spec.label, "seed": failure.spec.seed, "message": failure.message}
        for failure in failures
    ]
    replace_file(out / "results.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_csv(content, out / "results.csv")
    write_page(content, out / "report.html")
    return content
