"""Results as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from aioli.analysis.numbers import count, quantity
from aioli.analysis.tidy import csv_text
from aioli.files import replace_file
from aioli.report.costs import cost_section
from aioli.report.html_tables import (
    cost_table,
    epochs_table,
    ledger_table,
    summary_table,
    target_table,
)
from aioli.report.matrices import matrix_sections
from aioli.report.section import Section
from aioli.report.targets import target_section
from aioli.report.trajectories import loss_section, mixture_section

__all__ = ["render_page", "write_page"]

Results = Mapping[str, Any]


def write_page(results: Results, path: Path) -> None:
    """Write the page for `results` (the content of results.json), replacing `path` in one step.

    Raises:
        OSError: the page could not be written; what `path` held before is untouched.
    """
    replace_file(path, render_page(results))


def render_page(results: Results) -> str:
    """The page as text: the same results give the same bytes."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("aioli.report").joinpath("template.html").read_text(encoding="utf-8")
    )
    config = results.get("config")
    return template.render(
        title=results["title"],
        facts=_facts(results),
        baseline=results["baseline"],
        illustration=results["illustration"],
        reading=_typeset(results["reading"]),
        summary=summary_table(results),
        targets=target_section(results),
        by_target=target_table(results),
        sections=_sections(results),
        costs=cost_section(results),
        cost_table=cost_table(results),
        ledger=ledger_table(results),
        epochs=epochs_table(results),
        config=yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True) if config else "",
        assumptions=results.get("assumptions") or {},
        citations=_citations(results),
        warnings=_warnings(results),
        machines=[
            ", ".join(f"{key} {value}" for key, value in m.items()) for m in results.get("machines", [])
        ],
        csv="data:text/csv;charset=utf-8," + quote(csv_text(results)),
        data=_embedded(results),
        svg=Markup,
        minus=_typeset,
    )


def _sections(results: Results) -> list[Section]:
    drawn = [mixture_section(results), loss_section(results), *matrix_sections(results)]
    return [section for section in drawn if section is not None]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _embedded(results: Results) -> Markup:
    """The results as JSON that cannot end the script element it stands in."""
    text = json.dumps(results, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))


def _typeset(text: str) -> str:
    """Hyphens before digits become minus signs, an x after a ratio a multiplication sign."""
    signs = re.sub(r"(?<![\w)])-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r"(?<=\d\.\d\d)x\b", "\N{MULTIPLICATION SIGN}", signs)


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
