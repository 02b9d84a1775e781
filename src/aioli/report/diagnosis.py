"""A diagnosis in a terminal: the law by horizon, then how near each method's own law is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aioli.analysis.numbers import MISSING, quantity
from aioli.report.law_reading import curved

__all__ = ["print_diagnosis", "print_static"]


def print_diagnosis(content: Mapping[str, Any], console: Console) -> None:
    """Print the content of diagnosis.json."""
    for point in content["points"]:
        console.print(
            Text(f"{content['label']} seed {point['seed']}, step {point['step']} of {content['steps']}")
        )
        console.print(_laws(content, point))
        console.print()
        if point["fidelity"]:
            console.print(_fidelity(point))
            console.print()
    if len(content["seeds"]) > 1:
        console.print(_pooled(content))
        console.print()
    console.print(
        Text(
            "Gain: by how much the targets' losses fall, summed, over the horizon for each unit of a group's "
            "share, less the mean over groups, in hundredths of a nat, with its standard error. Curved: "
            "targets whose residual curvature is beyond its 95% interval. R2 is of the sum of targets, held "
            "out with each branch predicted from the others. Errors come from how the branches scatter "
            "around the linear law, so what it cannot express counts as noise there: --orders 2 tells the "
            "two apart.",
            style="dim",
        )
    )
    console.print(Text(_took(content), style="dim"))


def _took(content: Mapping[str, Any]) -> str:
    points = content["points"]
    branches, trunks = (
        {key: sum(p[kind][key] for p in points) for key in ("train_tokens", "evaluation_tokens", "seconds")}
        for kind in ("cost", "trunk_cost")
    )
    return (
        f"Took {quantity(branches['train_tokens'])} training tokens in branches and "
        f"{quantity(trunks['train_tokens'])} in trunks, {quantity(branches['evaluation_tokens'])} read, "
        f"{branches['seconds'] + trunks['seconds']:.0f} s."
    )


def print_static(content: Mapping[str, Any], console: Console) -> None:
    """Print how well static laws describe the runs of a sweep."""
    console.print(Text(f"{content['runs']} whole runs on mixtures of {', '.join(content['groups'])}"))
    table = _table("law", "target", "R2", "held-out R2", "MSE", "curvature (error)")
    for name, law in content["laws"].items():
        for i, target in enumerate(content["targets"]):
            bend = law["curvature"][i]
            table.add_row(
                name,
                target,
                _number(law["r2"][i]),
                _number(law["held_out_r2"][i]),
                f"{law['mse'][i]:.2e}",
                MISSING if bend is None else f"{bend:+.4f} ({law['curvature_error'][i]:.4f})",
            )
    console.print(table)
    console.print()
    console.print(_effects(content))
    told = ", ".join(f"{name} {value:.3f}" for name, value in content["published"].items())
    console.print(Text(f"R2 as published (arXiv 2411.05735): {told}.", style="dim"))


def _effects(content: Mapping[str, Any]) -> Table:
    """A of the static laws, group by group."""
    table = _table("A of", "target", *content["groups"])
    for name, law in content["laws"].items():
        for target, effects, errors in zip(
            content["targets"], law["effects"], law["effect_errors"], strict=True
        ):
            pairs = zip(effects, errors, strict=True)
            cells = [f"{100 * a:+.2f}" + ("" if e is None else f" ({100 * e:.2f})") for a, e in pairs]
            table.add_row(name, target, *cells)
    table.caption = (
        "By how much a target's final loss falls for each unit of a group's share at the mean mixture, less "
        "the mean over groups, hundredths of a nat, with standard errors (bootstrap)."
    )
    table.caption_justify = "left"
    return table


def _pooled(content: Mapping[str, Any]) -> Table:
    table = _table(
        "all seeds",
        "step",
        "horizon",
        "R2",
        "held out",
        *content["groups"],
        *content["pooled"][0]["fidelity"],
    )
    for row in content["pooled"]:
        pairs = zip(row["gains"], row["gain_errors"], strict=True)
        table.add_row(
            str(row["seeds"]),
            str(row["step"]),
            str(row["horizon"]),
            _number(row.get("fitted_r2")),
            _number(row["r2"]),
            *(f"{100 * value:+.2f} ({100 * error:.2f})" for value, error in pairs),
            *(_with_error(found) for found in row["fidelity"].values()),
        )
    table.caption = "Gains and centred similarity, means over seeds with their standard errors over seeds."
    table.caption_justify = "left"
    return table


def _with_error(found: Mapping[str, Any]) -> str:
    return MISSING if found["mean"] is None else f"{found['mean']:+.2f} ({found['error']:.2f})"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=not number)
    return table


def _laws(content: Mapping[str, Any], point: Mapping[str, Any]) -> Table:
    table = _table(
        "horizon", "branches", "R2", "held out", "curved", *(f"gain {group}" for group in content["groups"])
    )
    for law in point["laws"]:
        gains = [
            f"{100 * value:+.2f} ({100 * error:.2f})"
            for value, error in zip(law["gains"], law["gain_errors"], strict=True)
        ]
        bent = curved(law)
        table.add_row(
            str(law["horizon"]),
            str(law["branches"]),
            _number(law["sums_r2"]),
            _number(law["sums_held_out_r2"]),
            MISSING if bent is None else f"{bent} of {len(law['curvature'])}",
            *gains,
        )
    return table


def _fidelity(point: Mapping[str, Any]) -> Table:
    horizons = [law["horizon"] for law in point["laws"]]
    labels = list(dict.fromkeys(row["label"] for row in point["fidelity"]))
    table = _table("method", *(f"at {horizon}" for horizon in horizons), "probe steps", "eval tokens")
    for label in labels:
        rows = {row["horizon"]: row for row in point["fidelity"] if row["label"] == label}
        cost = rows[horizons[0]]["cost"]
        table.add_row(
            label,
            *(_similarity(rows[horizon]["centred"]) for horizon in horizons),
            str(cost["probe_steps"]),
            quantity(cost["evaluation_tokens"]),
        )
    table.caption = "Similarity of centred column sums to the branches', and 95% of it over redraws of A*."
    table.caption_justify = "left"
    return table


def _similarity(found: Mapping[str, Any]) -> str:
    if found["similarity"] is None:
        return MISSING
    between = "" if found["low"] is None else f" ({found['low']:+.2f} to {found['high']:+.2f})"
    return f"{found['similarity']:+.2f}{between}"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
