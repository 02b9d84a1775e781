"""Results as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from aioli.analysis.numbers import count, quantity
from aioli.analysis.tidy import csv_text
from aioli.files import replace_file
from aioli.report.costs import cost_section
from aioli.report.filling import embedded, fill, typeset
from aioli.report.html_tables import (
    cost_table,
    epochs_table,
    ledger_table,
    summary_table,
    target_table,
)
from aioli.report.law import law_part
from aioli.report.live import Live
from aioli.report.matrices import matrix_panels
from aioli.report.section import Section
from aioli.report.targets import target_section
from aioli.report.trajectories import loss_section, mixture_section
from aioli.report.trust import trust_section

__all__ = ["fill_page", "page_parts", "render_page", "write_page"]

Results = Mapping[str, Any]
Diagnosis = Mapping[str, Any]
FEW = 3
"""Most intervals that a sentence of the reading repeats."""


def write_page(results: Results, path: Path, diagnoses: Sequence[Diagnosis] = ()) -> None:
    """Write the page for `results` (the content of results.json), replacing `path` in one step.

    Args:
        diagnoses: contents of diagnosis.json of runs in it.

    Raises:
        OSError: the page could not be written; what `path` held before is untouched.
    """
    replace_file(path, render_page(results, diagnoses))


def render_page(results: Results, diagnoses: Sequence[Diagnosis] = ()) -> str:
    """The page as text: the same results give the same bytes."""
    return fill_page(page_parts(results, diagnoses))


def page_parts(results: Results, diagnoses: Sequence[Diagnosis] = ()) -> dict[str, Any]:
    """What the template is filled with; drawing it is what takes the time."""
    config = results.get("config")
    return {
        "title": results["title"],
        "facts": _facts(results),
        "baseline": results["baseline"],
        "stopping": results.get("stopping"),
        "illustration": results["illustration"],
        "reading": _reading(results["reading"]),
        "summary": summary_table(results),
        "targets": target_section(results),
        "by_target": target_table(results),
        "sections": _sections(results),
        "matrices": matrix_panels(results),
        "costs": cost_section(results),
        "cost_table": cost_table(results),
        "ledger": ledger_table(results),
        "epochs": epochs_table(results),
        "config": yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True) if config else "",
        "assumptions": results.get("assumptions") or {},
        "citations": _citations(results),
        "warnings": _warnings(results),
        "machines": [
            ", ".join(f"{key} {value}" for key, value in m.items()) for m in results.get("machines", [])
        ],
        "csv": "data:text/csv;charset=utf-8," + quote(csv_text(results)),
        "data": embedded(results),
        "laws": [law_part(diagnosis, number) for number, diagnosis in enumerate(diagnoses)],
        "run_names": list(_run_names(results).items()),
        "run_pair": _run_pair(results),
    }


def fill_page(parts: Mapping[str, Any] | None, live: Live | None = None) -> str:
    """The page as text.

    Args:
        parts: of `page_parts`; None while nothing has finished, which only a live page shows.
        live: runs that go on; the page then asks its server for changes by itself.
    """
    given = {"title": live.title, "reading": [live.reading]} if live else {}
    values = given | dict(parts or {"laws": ()}) | {"finished": parts is not None}
    return fill("comparison.html", values, live=live)


def _reading(text: str) -> list[str]:
    """A paragraph for each sentence; of many methods a sentence leaves the intervals to the table below."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", text)
    brief = [
        re.sub(r" \([^()]* interval [^()]*\)", "", each) if each.count(" interval ") > FEW else each
        for each in sentences
    ]
    return [typeset(each) for each in brief]


def _sections(results: Results) -> list[Section]:
    drawn = [
        mixture_section(results),
        loss_section(results),
        trust_section(results),
    ]
    return [section for section in drawn if section is not None]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _run_names(results: Results) -> dict[str, str]:
    """Every finished run by its id, as method and seed."""
    names = {}
    for method in results["methods"]:
        for run in method["runs"]:
            names[run] = f"{method['label']}, seed {results['runs'][run]['seed']}"
    return names | {
        run: f"{content['label']}, seed {content['seed']}"
        for run, content in results["runs"].items()
        if run not in names
    }


def _run_pair(results: Results) -> tuple[str, str]:
    """The runs shown first: the baseline's (or the first method's) and another method's, of one seed."""
    methods = [method for method in results["methods"] if method["runs"]]
    if not methods:
        first = next(iter(results["runs"]))
        return first, first
    ours = next((m for m in methods if m["label"] == results["baseline"]), methods[0])
    other = next((method for method in methods if method is not ours), ours)
    return ours["runs"][0], other["runs"][-1 if other is ours else 0]


def _facts(results: Results) -> list[str]:
    groups, targets = len(results["groups"]), len(results["targets"])
    seeds = sorted({run["seed"] for run in results["runs"].values()})
    facts = [f"{groups} group{'s' * (groups != 1)}"]
    if results["targets"] != results["groups"]:
        facts.append(f"{targets} target{'s' * (targets != 1)}")
    facts.append(f"{len(seeds)} seed{'s' * (len(seeds) != 1)}")
    facts.append(f"{count(results['steps'])} steps")
    if results.get("parameters_count"):
        facts.append(f"{quantity(results['parameters_count'])} parameters")
    if results.get("objective"):
        facts.append(f"objective: {str(results['objective']).replace('_', ' ')}")
    return [*facts, str(results["created"]).replace("T", " ").replace("+00:00", " UTC")]


def _warnings(results: Results) -> list[str]:
    said: dict[str, None] = {}
    for run in results["runs"].values():
        said |= {f"{run['label']}: {text}": None for text in run.get("warnings") or []}
    failed = results.get("failures") or []
    return [
        *(f"{run['label']}, seed {run['seed']} did not finish: {run['message']}" for run in failed),
        *said,
    ]


def _citations(results: Results) -> dict[str, str]:
    """What was published where: methods of the same source share an entry."""
    labels: dict[str, list[str]] = {}
    for method in results["methods"]:
        if method.get("citation"):
            labels.setdefault(method["citation"], []).append(method["label"])
    return {", ".join(names): source for source, names in labels.items()}
