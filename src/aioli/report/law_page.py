"""A diagnosis, or a fit, as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aioli.analysis.numbers import MISSING, count
from aioli.files import replace_file
from aioli.report.filling import fill
from aioli.report.html_tables import Cell, Table
from aioli.report.law import law_part
from aioli.report.what_if import what_if_of_fit

if TYPE_CHECKING:
    from aioli.fitting.fit import Fit

__all__ = ["write_diagnosis_page", "write_fit_page"]


def write_diagnosis_page(diagnosis: Mapping[str, Any], path: Path) -> None:
    """Write the page of a diagnosis (the content of diagnosis.json), replacing `path` in one step.

    Raises:
        OSError: the page could not be written; what `path` held before is untouched.
    """
    steps = dict.fromkeys(point["step"] for point in diagnosis["points"])
    facts = [
        f"{len(diagnosis['groups'])} groups",
        f"{len(diagnosis['targets'])} targets",
        f"checkpoints: {', '.join(count(step) for step in steps)} of {count(diagnosis['steps'])} steps",
    ]
    values = {"title": f"Diagnosis of {diagnosis['label']}", "facts": facts, "law": law_part(diagnosis)}
    replace_file(path, fill("law.html", values))


def write_fit_page(fit: Fit, path: Path) -> None:
    """Write the page of a law fitted to whole runs: what-if, scores and warnings.

    Raises:
        OSError: the page could not be written; what `path` held before is untouched.
    """
    table = fit.table
    values = {
        "title": f"The {fit.law.name.replace('_', ' ')} law",
        "facts": [
            f"{count(len(table))} runs",
            f"{len(table.groups)} groups",
            f"{len(table.targets)} targets",
        ],
        "reading": _reading(fit),
        "what_if": what_if_of_fit(fit),
        "scores": _scores(fit),
        "warnings": list(fit.warnings),
    }
    replace_file(path, fill("fit.html", values))


def _reading(fit: Fit) -> str:
    if fit.scores is None:
        return "No run could be held out, so nothing here says how well the law predicts."
    found = fit.scores.summary()["spearman"]["objective"]
    if found is None:
        return "The held-out runs cannot be ranked."
    return f"On runs not seen, the law ranks the objective with a rank correlation of {found:.3f}."


def _scores(fit: Fit) -> Table:
    headings = ("Target", "R2", "Mean absolute error", "Rank correlation")
    if fit.scores is None:
        return Table("No run could be held out.", headings, ())
    told = fit.scores.summary()
    rows = [
        (Cell(name, value=name), *(_number(told[kind][name]) for kind in ("r2", "mae", "spearman")))
        for name in told["r2"]
    ]
    return Table("On held-out runs; errors in nats per token.", headings, tuple(rows))


def _number(value: float | None) -> Cell:
    return Cell(MISSING if value is None else f"{value:.4f}", value=value)
