"""A table of runs in the terminal: what it holds, the best and the worst of each target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

__all__ = ["print_described", "print_sweep"]


def print_sweep(content: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """The sweep's table in short and where it is, or sweep.json as it was written; then its warnings."""
    from aioli.cli.display import duration
    from aioli.cli.output import print_json
    from aioli.jobs.sweep_results import SUMMARY

    if as_json:
        print_json(content)
    else:
        print_described(content)
        cost = content["cost"]
        typer.echo(f"\n{cost['train_tokens']:,} tokens trained in {duration(cost['seconds'])} of training")
        typer.echo(f"losses: {content['losses']}")
        if content["count"] < content["planned"]:
            typer.echo(f"the table has {content['count']} of {content['planned']} planned runs")
        typer.echo(f"table: {out / content['table']}\ndata: {out / SUMMARY}")
    warned = [f"{run['index']}: {text}" for run in content["runs"] for text in run["warnings"]]
    for note in dict.fromkeys([*content["notes"], *warned]):
        typer.echo(f"note: {note}", err=True)


def print_described(found: Mapping[str, Any]) -> None:
    """Print what `aioli.jobs.sweep_results.describe` found."""
    from rich.console import Console
    from rich.table import Table

    count, mixtures = found["count"], found["mixtures"]
    repeated = f", {count - mixtures} of them repetitions" if count > mixtures else ""
    typer.echo(f"{count} run{'s' * (count != 1)} on {mixtures} mixture{'s' * (mixtures != 1)}{repeated}")
    for name in ("size", "tokens"):
        typer.echo(f"{name}: {_span(found[name])}")
    shares = Table("group", "least", "most", box=None)
    for name, each in found["groups"].items():
        shares.add_row(name, f"{each['lowest']:.4g}", f"{each['highest']:.4g}")
    noise = any(each["noise"] is not None for each in found["targets"].values())
    losses = Table("target", "best", "run", "worst", "run", *(["noise"] if noise else []), box=None)
    for name, each in found["targets"].items():
        cells = [f"{each['lowest']:.4f}", each["lowest_run"], f"{each['highest']:.4f}", each["highest_run"]]
        losses.add_row(name, *cells, *([f"{each['noise']:.4f}"] if noise else []))
    console = Console()
    for table in (shares, losses):
        typer.echo()
        console.print(table)


def _span(ends: list[float] | None) -> str:
    if ends is None:
        return "not recorded"
    low, high = (f"{value:,.0f}" if value >= 1 else f"{value:g}" for value in ends)
    return low if low == high else f"{low} to {high}"
