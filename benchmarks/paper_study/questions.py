"""The study's questions, answered from the stored lines alone, in plain values (None where unknown)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.paper_study.differences import out_of_domain, restricted, unrestricted
from benchmarks.paper_study.explained import explained
from benchmarks.paper_study.law_quality import laws
from benchmarks.paper_study.plan import SETTINGS
from benchmarks.paper_study.store import read_lines

__all__ = ["answers"]


def answers(results: Path) -> dict[str, Any]:
    """What every stage says so far; None for a stage without stored runs."""
    compared = _by_setting(results / "unrestricted")
    points = _by_setting(results / "laws")
    sweeps = _by_setting(results / "sweep")
    learned = _by_setting(results / "restricted")
    outside = read_lines(results / "out_of_domain" / "out_of_domain.jsonl")
    first = unrestricted(compared) if compared else None
    return {
        "unrestricted": first,
        "explained": explained(compared, sweeps) if compared and sweeps else None,
        "laws": laws(points, sweeps, first) if points or sweeps else None,
        "restricted": restricted(learned) if learned else None,
        "out_of_domain": out_of_domain(outside) if outside else None,
    }


def _by_setting(directory: Path) -> dict[str, list[dict[str, Any]]]:
    found = {name: read_lines(directory / f"{name}.jsonl") for name in SETTINGS}
    return {name: lines for name, lines in found.items() if lines}
