"""The study's page: one self-contained file in the look of the project's own pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.paper_study.claims import HOLDS, NOT_HERE, RULE, UNDECIDED, claims
from benchmarks.paper_study.plan import PUBLISHED, SETTINGS
from benchmarks.paper_study.sentences import findings
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from aioli.analysis.numbers import MISSING, bounds, percent
from aioli.protocol import Array
from aioli.report.filling import typeset
from aioli.report.html_tables import Cell, Table
from aioli.report.plots import Line, dot_chart, line_chart, style
from aioli.report.section import NEUTRAL, Figure, Key, Section, limits

__all__ = ["fill_page"]

LOWER, HIGHER = style(0), style(1)
MARKS = {"better": "lower", "worse": "higher", "undecided": "undecided"}
ANSWERED = {HOLDS: "lower", NOT_HERE: "higher", UNDECIDED: "undecided"}
"""Marks of the styles in which the page writes a verdict."""
Answers = Mapping[str, Any]


def fill_page(found: Answers) -> str:
    """The page as text: equal answers give equal bytes."""
    sections: list[Section] = []
    if found["unrestricted"]:
        sections.append(_changes(found["unrestricted"]))
    if found["laws"] and found["laws"]["correlation"]:
        sections.append(_correlation(found["laws"]))
    if found["laws"] and found["laws"]["order"]:
        sections.append(_gains(found["laws"]))
    if found["restricted"]:
        sections.append(_cases(found["restricted"]))
    if found["out_of_domain"]:
        sections.append(_outside(found["out_of_domain"]))
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=ChoiceLoader(
            [FileSystemLoader(Path(__file__).parent), PackageLoader("aioli.report", "templates")]
        ),
    )

    def inlined(name: str) -> Markup:
        assert environment.loader is not None
        return Markup(environment.loader.get_source(environment, name)[0].strip())

    return environment.get_template("page.html").render(
        title="The paper's study on real text",
        settings=len((found["unrestricted"] or {"settings": ()})["settings"]),
        findings=[typeset(each) for each in findings(found)],
        claims=_claims(found),
        summary=_summary(found["unrestricted"]) if found["unrestricted"] else None,
        sections=sections,
        live=None,
        scripts=("sort.js", "setup.js"),
        inlined=inlined,
        svg=Markup,
        minus=typeset,
    )


def _claims(found: Answers) -> Table | None:
    rows = [
        (
            Cell(claim.text, value=claim.text),
            Cell(claim.verdict, value=claim.verdict, mark=ANSWERED[claim.verdict]),
            Cell(claim.published, value=claim.published),
            Cell(claim.here, claim.detail, claim.here),
        )
        for claim in claims(found)
    ]
    return Table(RULE, ("The paper says", "Holds?", "Its figure", "Here"), tuple(rows)) if rows else None


def _summary(found: Answers) -> Table:
    """Methods by settings: percent changes, their intervals below."""
    names = [name for name in SETTINGS if name in found["settings"]]
    rows = []
    for label, overall in found["methods"].items():
        row = [Cell(label, value=label)]
        for name in names:
            each = found["settings"][name]["methods"].get(label)
            row.append(_cell(each["percent"], MARKS[each["verdict"]]) if each else Cell(MISSING))
        row.append(_cell(overall["percent"], ""))
        row.append(Cell(f"{overall['flops']:.2f}x", value=overall["flops"]))
        rows.append(tuple(row))
    columns = ("Method", *(SETTINGS[name].title for name in names), "All settings", "FLOPs in all")
    caption = "Change of mean test perplexity against stratified, paired by seed; below it the 95% interval."
    return Table(caption, columns, tuple(rows))


def _cell(triple: Sequence[float | None], mark: str) -> Cell:
    return Cell(percent(triple[0]), bounds(triple[1], triple[2], "percent"), triple[0], mark)


def _dots(title: str, names: Sequence[str], rows: Array, axis: tuple[float, float], x_label: str) -> Figure:
    colours = [LOWER if high < 0 else HIGHER if low > 0 else NEUTRAL for _, low, high in rows]
    told = "; ".join(f"{name} {percent(value)}" for name, value in zip(names, rows[:, 0], strict=True))
    svg = dot_chart(names, rows, f"{title}: {told}", x_label=x_label, limits=axis, colours=colours, zero=True)
    return Figure(title, svg)


def _triples(rows: Sequence[Sequence[float | None]]) -> Array:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _changes(found: Answers) -> Section:
    figures = []
    for label, overall in found["methods"].items():
        mine = {
            n: each["methods"][label] for n, each in found["settings"].items() if label in each["methods"]
        }
        rows = _triples([*(row["percent"] for row in mine.values()), overall["percent"]])
        names = [*(SETTINGS[name].title for name in mine), "all settings"]
        axis = limits(rows, 0.0)
        figures.append(_dots(label, names, rows, axis, "change of mean test perplexity, %"))
    text = (
        "Each method against stratified sampling in every setting, and their mean. Dots are means of "
        "paired changes over seeds, bars 95% intervals; left of the line is better. Blue is better and "
        "orange worse by an interval that excludes zero. Every panel has a scale of its own."
    )
    return Section("unrestricted", "Every method in every setting", text, tuple(figures))


def _correlation(found: Answers) -> Section:
    figures, keys = [], []
    horizons = list(found["correlation"])
    every = [
        dot for forms in found["correlation"].values() for each in forms.values() for dot in each["dots"]
    ]
    labels = list(dict.fromkeys(dot["method"] for dot in every))
    keys = [Key(label, style(number), filled=True) for number, label in enumerate(labels)]
    for horizon in dict.fromkeys([horizons[0], horizons[-1]]):
        for form, each in found["correlation"][horizon].items():
            if not each["dots"]:
                continue
            lines = [
                Line(
                    style(labels.index(dot["method"])), np.array([dot["similarity"]]), np.array([dot["gain"]])
                )
                for dot in each["dots"]
            ]
            gains = np.array([dot["gain"] for dot in each["dots"]])
            fit = "no line" if each["r2"] is None else f"R2 {each['r2']:.2f}"
            title = f"{form}, over {horizon} steps: {fit}"
            svg = line_chart(
                lines,
                f"Improvement against similarity, {title}",
                x_label="similarity to A*",
                y_label="improvement over stratified, %",
                x_limits=(-1.08, 1.08),
                y_limits=limits(gains, 0.0),
            )
            figures.append(Figure(title, svg))
    text = (
        "A dot for each method and setting: how alike the column sums of the method's law and of the "
        "true law at the same checkpoints of the stratified runs are, and by how much the method "
        "improved on stratified sampling. The published figure (raw, at the method's own checkpoints) "
        f"has R2 {PUBLISHED['similarity_r2']}. Raw sums contain the trend common to all groups, centred "
        "ones only what tells groups apart. With two groups the raw form compares what each gains from "
        "itself beyond the other, and a centred similarity is 1 or -1."
    )
    return Section("fidelity", "Does a faithful law help?", text, tuple(figures), tuple(keys))


def _gains(found: Answers) -> Section:
    figures = []
    for name, each in found["order"].items():
        horizon = list(each)[-1]
        row = each[horizon]
        steps = np.array(row["steps"], dtype=np.float64)
        values = np.array([row["gains"][step] for step in row["steps"]]) * 1000
        lines = []
        for number in range(len(row["groups"])):
            errors = [row["errors"][step] for step in row["steps"]]
            spread = np.array([0.0 if e is None else 2000 * e[number] for e in errors])
            y = values[:, number]
            lines.append(Line(style(number), steps, y, y - spread, y + spread))
        reach = np.concatenate([np.concatenate([line.low, line.high]) for line in lines])
        title = f"{SETTINGS[name].title}, over {horizon} steps"
        svg = line_chart(
            lines,
            f"Gains of groups by checkpoint, {title}",
            x_label="checkpoint, optimiser step",
            y_label="gain, thousandths of a nat",
            x_limits=(float(steps.min()) - 50, float(steps.max()) + 50),
            y_limits=limits(reach, 0.0),
        )
        legend = tuple(Key(group, style(number)) for number, group in enumerate(row["groups"]))
        figures.append(Figure(title, svg, legend))
    text = (
        "Column sums of the true law less their mean: by how much more the sum of the targets' losses "
        "falls when a group's share is one instead of average. Bands are two standard errors over seeds. "
        "Lines that cross would mean that the best group changes during training."
    )
    return Section("gains", "Gains of the groups over training", text, tuple(figures))


def _cases(found: Answers) -> Section:
    labels = list(dict.fromkeys(case["method"] for case in found["cases"]))
    figures = [_repairs(found["cases"], labels)]
    for label in labels:
        mine = [case for case in found["cases"] if case["method"] == label]
        rows = _triples([case["gain"]["percent"] for case in mine])
        mean = np.array([[rows[:, 0].mean(), np.nan, np.nan]])
        names = [*(SETTINGS[case["setting"]].title for case in mine), "mean"]
        rows = np.concatenate([rows, mean])
        figures.append(
            _dots(f"after {label}", names, rows, limits(rows, 0.0), "Aioli's change of test perplexity, %")
        )
    text = (
        "Mixtures that a method learned in runs of half the length: the change when Aioli begins from "
        "the mixture instead of keeping it. Dots are means over seeds, bars 95% intervals; left is "
        "better. The first picture has every case: the worse the mixture, the more it gains."
    )
    keys = tuple(Key(label, style(number), filled=True) for number, label in enumerate(labels))
    return Section("restricted", "Aioli on top of learned mixtures", text, tuple(figures), keys)


def _repairs(cases: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Figure:
    """Aioli's change over how far the mixture is from stratified."""
    x, y = (np.array([case[key]["percent"][0] for case in cases]) for key in ("alone", "gain"))
    lines = [
        Line(style(labels.index(case["method"])), x[[number]], y[[number]])
        for number, case in enumerate(cases)
    ]
    svg = line_chart(
        lines,
        "Aioli's change of test perplexity over how far the kept mixture is above stratified sampling",
        x_label="kept mixture above stratified, %",
        y_label="Aioli's change, %",
        x_limits=limits(x, 0.0),
        y_limits=limits(y, 0.0),
    )
    return Figure("every case", svg)


def _outside(found: Answers) -> Section:
    ordered = sorted(found["methods"].items(), key=lambda item: item[1]["perplexity"])
    rows = _triples([row["percent"] for _, row in ordered])
    figure = _dots(
        f"target: {found['target']}",
        [label for label, _ in ordered],
        rows,
        limits(rows, 0.0),
        "change of test perplexity, %",
    )
    text = "Twelve groups, none of them the target. Change against stratified, mean and 95% interval."
    return Section("out-of-domain", "A target outside the groups", text, (figure,))
