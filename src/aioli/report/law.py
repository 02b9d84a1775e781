"""Sections of a diagnosis: the measured law, the methods' own beside it, and how near they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aioli.analysis.numbers import count
from aioli.protocol import Array
from aioli.report.html_tables import Table
from aioli.report.law_reading import conclude
from aioli.report.law_series import similarity_over_time
from aioli.report.law_tables import fidelity_table, gain_table, quality_table
from aioli.report.plots import dot_chart, heat_map
from aioli.report.section import NEUTRAL, Choice, Figure, Panels, Section
from aioli.report.what_if import WhatIf, what_if_of_diagnosis

__all__ = ["LawPart", "law_part"]

Diagnosis = Mapping[str, Any]
SHOWN = 12
"""Most groups or targets of a heat map; of more, those with the largest entries."""


class LawPart(NamedTuple):
    """What the page shows of one diagnosis."""

    id: str
    title: str
    reading: str
    help: str
    quality: Table
    gains: Table
    by_seed: tuple[Table, Table] | None
    matrices: Panels
    similarity: Panels
    over_time: Section | None
    fidelity: Table | None
    what_if: WhatIf | None


def law_part(diagnosis: Diagnosis, number: int = 0) -> LawPart:
    """The part of a page on one diagnosis (the content of diagnosis.json); `number` sets several apart."""
    name = f"law-{number}"
    seeds = ", ".join(map(str, diagnosis["seeds"]))
    run = f"{diagnosis['label']}, seed{'s' * (len(diagnosis['seeds']) > 1)} {seeds}"
    methods = any(point["fidelity"] for point in diagnosis["points"])
    several = len(diagnosis["seeds"]) > 1
    by_seed = (
        (quality_table(diagnosis, by_seed=True), gain_table(diagnosis, by_seed=True)) if several else None
    )
    return LawPart(
        id=name,
        title=f"Law of {run}",
        reading=conclude(diagnosis),
        help=(
            "Short runs branch off a checkpoint, each on a mixture of its own, with the same data order. The "
            "linear dynamic law fitted to them says by how much a target's loss falls over the horizon (the "
            "branches' length) for each unit of a group's share."
            + (f" Matrices and ranges of fidelity are of seed {diagnosis['seed']}." if several else "")
        ),
        quality=quality_table(diagnosis),
        gains=gain_table(diagnosis),
        by_seed=by_seed,
        matrices=_panels(diagnosis, f"{name}-matrices", _matrices),
        similarity=_panels(diagnosis, f"{name}-similarity", _similarity),
        over_time=similarity_over_time(diagnosis, name),
        fidelity=fidelity_table(diagnosis) if methods else None,
        what_if=what_if_of_diagnosis(diagnosis, f"what-if-{number}"),
    )


def _places(diagnosis: Diagnosis) -> list[tuple[Mapping[str, Any], Mapping[str, Any], str]]:
    """(checkpoint, law, name) of every checkpoint and horizon of the first seed."""
    return [
        (point, law, f"step {count(point['step'])}, {count(law['horizon'])} steps on")
        for point in diagnosis["points"]
        if point["seed"] == diagnosis["seed"]
        for law in point["laws"]
    ]


def _panels(diagnosis: Diagnosis, name: str, make: Any) -> Panels:
    places = _places(diagnosis)
    chosen = [make(diagnosis, point, law, title) for point, law, title in places]
    choices = [
        Choice(title, section.help, section.figures, chosen=number == len(places) - 1)
        for number, (section, (_, _, title)) in enumerate(zip(chosen, places, strict=True))
        if section is not None
    ]
    return Panels(name, "Checkpoint and horizon", tuple(choices))


def _matrices(diagnosis: Diagnosis, point: Mapping[str, Any], law: Mapping[str, Any], title: str) -> Section:
    """A* with standard errors, then the matrix of every method that keeps one, all centred by row."""
    figures = [
        _heat_map(
            diagnosis,
            np.array(law["contrasts"]),
            "A*, measured by branches",
            title,
            np.array(law["contrast_errors"]),
        )
    ]
    for row in point["fidelity"]:
        if row["horizon"] == law["horizon"] and row["matrix"] is not None:
            matrix = np.array(row["matrix"])
            centred = matrix - matrix.mean(axis=1, keepdims=True)
            figures.append(_heat_map(diagnosis, centred, f"A~ of {row['label']}", title))
    text = (
        "A group (across) that lowers a target's loss (down) more than the mean group is blue, one that "
        "lowers it less is orange. Each panel has a scale of its own, because methods measure over other "
        "numbers of steps: compare the patterns."
    )
    return Section("", title, text, tuple(figures))


def _heat_map(
    diagnosis: Diagnosis, values: Array, name: str, title: str, errors: Array | None = None
) -> Figure:
    size = np.abs(values)
    rows, columns = (_largest(size.max(axis=axis)) for axis in (1, 0))
    cut = np.ix_(rows, columns)
    limit = float(size.max(initial=0.0)) or 1.0
    scale = 10.0 ** (np.floor(np.log10(limit)) - 1)
    svg = heat_map(
        values[cut],
        [diagnosis["targets"][i] for i in rows],
        [diagnosis["groups"][j] for j in columns],
        f"{name}, {title}, centred by row: targets down, groups across",
        limit=limit,
        scale=scale,
        errors=None if errors is None else errors[cut],
    )
    unit = f", unit {scale:g}{'' if errors is None else ' nats'}" if len(columns) <= 8 else ""
    hidden = values.size - len(rows) * len(columns)
    return Figure(f"{name}{unit}{' (largest entries)' if hidden else ''}", svg)


def _largest(sizes: Array) -> list[int]:
    return sorted(int(place) for place in np.argsort(-sizes, kind="stable")[:SHOWN])


def _similarity(
    diagnosis: Diagnosis, point: Mapping[str, Any], law: Mapping[str, Any], title: str
) -> Section | None:
    rows = [row for row in point["fidelity"] if row["horizon"] == law["horizon"]]
    if not rows:
        return None
    figures = []
    for key, name in (("centred", "Centred"), ("raw", "Raw, as published")):
        every = {row["label"]: _interval(row[key]) for row in rows}
        known = {label: interval for label, interval in every.items() if np.isfinite(interval[0])}
        if not known:
            continue
        names = list(known)
        told = "; ".join(
            f"{label} {known[label][0]:.2f}" if label in known else f"{label} unknown" for label in every
        )
        svg = dot_chart(
            names,
            np.array(list(known.values())),
            f"Fidelity of methods, {name.lower()}, {title}: {told}",
            x_label="similarity to A*",
            limits=(-1.05, 1.05),
            colours=[NEUTRAL] * len(names),
            zero=True,
        )
        figures.append(Figure(name, svg))
    text = (
        "Similarity of a method's column sums to the branches', half cosine and half rank correlation, with "
        "the range of 95% of redraws of A* within its errors, which tells from 0 but leans toward it: even a "
        "perfect law's ends below 1. 1 is the same, 0 unrelated, -1 opposite. The raw form "
        "contains the fall of the loss that all groups share; centred, only what tells groups apart counts. "
        "A method without such an estimate is left out."
    )
    return Section("", title, text.replace("-1", "\N{MINUS SIGN}1"), tuple(figures))


def _interval(found: Mapping[str, Any] | None) -> tuple[float, float, float]:
    values = [None if found is None else found[key] for key in ("similarity", "low", "high")]
    mean, low, high = (float("nan") if value is None else float(value) for value in values)
    return mean, low, high
