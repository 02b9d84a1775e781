"""Sections of a diagnosis: the measured law, the methods' own beside it, and how near they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aioli.analysis.numbers import MISSING, count, quantity
from aioli.protocol import Array
from aioli.report.html_tables import Cell, Table
from aioli.report.law_reading import conclude, critical_of_gains, curved
from aioli.report.law_series import similarity_over_time
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
    return LawPart(
        id=name,
        title=f"Law of {run}",
        reading=conclude(diagnosis),
        help=(
            "Short runs branch off a checkpoint, each on a mixture of its own, with the same data order. The "
            "linear dynamic law fitted to them says by how much a target's loss falls over the horizon (the "
            "branches' length) for each unit of a group's share."
            + (f" Pictures are of seed {diagnosis['seed']}." if len(diagnosis["seeds"]) > 1 else "")
        ),
        quality=_quality(diagnosis),
        gains=_gains(diagnosis),
        matrices=_panels(diagnosis, f"{name}-matrices", _matrices),
        similarity=_panels(diagnosis, f"{name}-similarity", _similarity),
        over_time=similarity_over_time(diagnosis, name),
        fidelity=_fidelity(diagnosis) if methods else None,
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


def _every(diagnosis: Diagnosis) -> list[tuple[Mapping[str, Any], Mapping[str, Any], tuple[Cell, ...]]]:
    """(checkpoint, law, its first cells) of all seeds."""
    return [
        (
            point,
            law,
            (
                Cell(count(point["step"]), _of_seed(diagnosis, point), point["step"]),
                Cell(count(law["horizon"]), value=law["horizon"]),
            ),
        )
        for point in diagnosis["points"]
        for law in point["laws"]
    ]


def _of_seed(diagnosis: Diagnosis, point: Mapping[str, Any]) -> str:
    return f"seed {point['seed']}" if len(diagnosis["seeds"]) > 1 else ""


def _panels(diagnosis: Diagnosis, name: str, make: Any) -> Panels:
    places = _places(diagnosis)
    chosen = [make(diagnosis, point, law, title) for point, law, title in places]
    choices = [
        Choice(title, section.help, section.figures, chosen=number == len(places) - 1)
        for number, (section, (_, _, title)) in enumerate(zip(chosen, places, strict=True))
        if section is not None
    ]
    return Panels(name, "Checkpoint and horizon", tuple(choices))


def _quality(diagnosis: Diagnosis) -> Table:
    rows = []
    for _, law, begin in _every(diagnosis):
        bent = curved(law)
        rows.append(
            (
                *begin,
                Cell(count(law["branches"]), value=law["branches"]),
                _number(law["sums_r2"]),
                _number(law["sums_held_out_r2"]),
                _middle(law["r2"]),
                _middle(law["held_out_r2"]),
                Cell(MISSING if bent is None else f"{bent} of {len(law['curvature'])}", value=bent),
                _middle(law["noise"], digits=4),
            )
        )
    caption = (
        "R2: share of the variance between branches that the law explains; held out: each branch predicted "
        "from the others. Sums: of the weighted sum of targets. By target: the median, below it the range. "
        "Curved: targets whose residual curvature is beyond its 95% interval, which a linear law misses."
    )
    headings = ("Checkpoint", "Horizon", "Branches", "R2 of sums", "R2 of sums, held out")
    targets = ("R2 by target", "R2 by target, held out", "Curved", "Noise, nats")
    return Table(caption, headings + targets, tuple(rows))


def _gains(diagnosis: Diagnosis) -> Table:
    rows = []
    for _, law, begin in _every(diagnosis):
        gains, errors = np.array(law["gains"]), np.array(law["gain_errors"])
        half = critical_of_gains(law) * errors
        cells = [
            Cell(
                f"{100 * value:+.2f}",
                f"± {100 * error:.2f}",
                float(value),
                "undecided" if abs(value) <= bound else "lower" if value > 0 else "higher",
            )
            for value, error, bound in zip(gains, errors, half, strict=True)
        ]
        rows.append((*begin, *cells))
    caption = (
        "Column sums of A* less their mean, with curvature allowed for, hundredths of a nat, with standard "
        "errors. "
        "Coloured where the 95% interval excludes 0."
    )
    return Table(caption, ("Checkpoint", "Horizon", *diagnosis["groups"]), tuple(rows))


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


def _fidelity(diagnosis: Diagnosis) -> Table:
    rows = []
    for point in diagnosis["points"]:
        for row in point["fidelity"]:
            cost = row["cost"]
            rows.append(
                (
                    Cell(row["label"], value=row["label"]),
                    Cell(count(point["step"]), _of_seed(diagnosis, point), point["step"]),
                    Cell(count(row["horizon"]), value=row["horizon"]),
                    *(_similar(row[key]) for key in ("centred", "raw")),
                    *(_number((row[key] or {}).get("cosine")) for key in ("centred", "raw")),
                    _number(row["centred"]["spearman"]),
                    Cell(count(cost["probe_steps"]), value=cost["probe_steps"]),
                    Cell(quantity(cost["evaluation_tokens"]), value=cost["evaluation_tokens"]),
                )
            )
    headings = ("Method", "Checkpoint", "Horizon", "Centred", "Raw", "Cosine, centred", "Cosine, raw")
    caption = (
        "Similarity, its range over redraws of A*, its halves, and what it took the method to know its law."
    )
    return Table(caption, (*headings, "Rank correlation", "Probe steps", "Evaluation tokens"), tuple(rows))


def _similar(found: Mapping[str, Any] | None) -> Cell:
    if found is None or found["similarity"] is None:
        return Cell(MISSING)
    between = "" if found["low"] is None else f"{found['low']:+.2f} to {found['high']:+.2f}"
    return Cell(f"{found['similarity']:+.2f}", between, found["similarity"])


def _number(value: float | None) -> Cell:
    return Cell(MISSING if value is None else f"{value:.3f}", value=value)


def _middle(values: Sequence[float | None], digits: int = 3) -> Cell:
    known = [value for value in values if value is not None]
    if not known:
        return Cell(MISSING)
    middle = float(np.median(known))
    return Cell(f"{middle:.{digits}f}", f"{min(known):.{digits}f} to {max(known):.{digits}f}", middle)
