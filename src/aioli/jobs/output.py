"""The top of an output directory: what was planned, and the results as JSON, CSV and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aioli.analysis.comparison import compare_runs
from aioli.analysis.extra import with_extra
from aioli.analysis.sequential import Stopping
from aioli.analysis.tidy import write_csv
from aioli.config import Config, MethodChoice, read_methods, to_yaml
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.methods import registry
from aioli.report.page import write_page
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store, read_spec

__all__ = [
    "PLAN",
    "Plan",
    "diagnosis_files",
    "read_diagnoses",
    "results_content",
    "write_plan",
    "write_results",
]

PLAN = "plan.json"


class Plan:
    """What an output directory is for.

    Attributes:
        config: plain values, with exactly the methods and seeds of the runs.
        base: directory that its relative paths start from, None where not noted.
        runs: {id, label, seed} of each.
        corpus: where it lies. fingerprint: of its text, None where not noted.
        changes: how often the groups of its one run have changed on the way.
    """

    def __init__(self, out: Path) -> None:
        """Read the plan that `write_plan` left in `out`.

        Raises:
            InputError: no plan there, or a damaged one.
        """
        path, self.out = out / PLAN, out
        try:
            plan = json.loads(path.read_bytes())
            self.config: dict[str, Any] = plan["config"]
            self.corpus = out / plan["corpus"]
            self.base: str | None = plan.get("base")
            self.fingerprint: str | None = plan.get("fingerprint")
            self.changes = int(plan.get("changes", 0))
            self.runs = [{key: run[key] for key in ("id", "label", "seed")} for run in plan["runs"]]
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"no results in {out}: expected a directory that `aioli compare` or `aioli train` wrote "
                f"(with a {PLAN} in it)"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is damaged ({error!r}): delete it and run the same job again with --resume; "
                "finished runs are kept"
            ) from None

    def specs(self) -> list[RunSpec]:
        """The runs that were begun, under the labels of the plan.

        Raises:
            InputError: a damaged `spec.json`.
        """
        begun = [run for run in self.runs if (self.out / "runs" / run["id"]).is_dir()]
        specs = [read_spec(self.out / "runs" / run["id"]) for run in begun]
        return [
            replace(spec, label=run["label"], validation=False)  # to show results, no more is needed
            for spec, run in zip(specs, begun, strict=True)
        ]


def write_plan(store: Store, config: Config, specs: Sequence[RunSpec], corpus: Corpus) -> None:
    """Write `plan.json` and `config.resolved.yaml`."""
    where = corpus.directory
    inside = where.is_relative_to(store.out)
    plan = {
        "version": 1,
        "config": config.to_dict(),
        "base": str(config.base),
        "corpus": str(where.relative_to(store.out) if inside else where.absolute()),
        "fingerprint": corpus.fingerprint,
        "runs": [{"id": spec.id, "label": spec.label, "seed": spec.seed} for spec in specs],
    }
    changes = max((len(spec.history) for spec in specs), default=0)
    if changes:
        plan["changes"] = changes
    replace_file(store.out / "config.resolved.yaml", to_yaml(config))
    replace_file(store.out / PLAN, json.dumps(plan, indent=1) + "\n")


def write_results(
    out: Path,
    config: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    corpus: Corpus | None,
) -> dict[str, Any]:
    """Compare the finished runs and write `results.json`, `results.csv` and `report.html`.

    Args:
        failures: {label, seed, message} of the runs that did not finish.
    """
    content = results_content(out, config, results, failures, corpus)
    replace_file(out / "results.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_csv(content, out / "results.csv")
    write_page(content, out / "report.html", read_diagnoses(out))
    return content


def diagnosis_files(out: Path) -> list[Path]:
    """What `aioli diagnose` left in an output directory."""
    return sorted(out.glob("diagnosis*/diagnosis.json"))


def read_diagnoses(out: Path) -> list[dict[str, Any]]:
    """The diagnoses of runs in an output directory; those of another version, or cut short, are left out."""
    found = []
    for path in diagnosis_files(out):
        with suppress(OSError, ValueError):
            content = json.loads(path.read_bytes())
            if content.get("version") == 1 and content.get("points"):
                found.append(content)
    return found


def results_content(
    out: Path,
    config: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    corpus: Corpus | None,
) -> dict[str, Any]:
    """The content of `results.json` for the finished runs; arguments as for `write_results`."""
    choices = {choice.label: choice for choice in read_methods(config["methods"])}
    named = [_as_chosen(result, choices, out) for result in results]
    labels = {str(result["label"]): str(result["method"]) for result in named}
    found = {name: registry.describe(name).citation for name in dict.fromkeys(labels.values())}
    return compare_runs(
        named,
        baseline=next((label for label, method in labels.items() if method == "stratified"), None),
        corpus_index=corpus.index if corpus else None,
        config=dict(config),
        citations={name: str(cited) for name, cited in found.items() if cited.arxiv},
        failures=failures,
        stopping=Stopping(**config["stopping"]) if config.get("stopping") else None,
        order=config.get("seeds", ()),
    )


def _as_chosen(result: Mapping[str, Any], choices: Mapping[str, MethodChoice], out: Path) -> dict[str, Any]:
    """A run's result under the name of the method that it is the result of, with what its extra runs cost."""

    def find(run: str) -> dict[str, Any] | None:
        try:
            return json.loads((out / "runs" / run / "result.json").read_bytes())
        except (OSError, ValueError):
            return None

    found = with_extra(result, find)
    choice = choices.get(str(result["label"]))
    if choice is None:
        return found
    return found | {"method": choice.name, "parameters": choice.identity[1] | choice.extras}
