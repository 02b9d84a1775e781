"""What `--dry-run` prints, and the table of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from aioli.cli.display import duration
from aioli.cli.output import print_json
from aioli.config import Config, MethodChoice

__all__ = ["print_data", "print_forecast"]


def print_forecast(
    config: Config,
    choices: Sequence[MethodChoice],
    seeds: Sequence[int],
    out: Path,
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    """Print the resolved config, tokens, epochs and expected time to standard output."""
    from aioli.jobs.forecast import forecast

    content = forecast(config, choices, seeds, out, workers)
    text = content.pop("yaml")
    if as_json:
        print_json(content)
        return
    typer.echo(text)
    told = "estimated from file sizes" if content["estimated"] else "measured"
    typer.echo(f"tokens ({told}):")
    print_data(content["data"])
    if content["epochs"]:
        typer.echo("\nepochs of each group if a method's first mixture stayed:")
        _print_epochs(content["epochs"])
        seconds = content["seconds"]
        typer.echo(
            f"\n{content['runs']} runs of {config.train.steps} steps, {content['workers']} at a time; a step "
            f"takes {1000 * seconds['step']:.0f} ms here: about {duration(seconds['total'])}, and measuring"
        )
    typer.echo(f"output: {out}")


def print_data(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tokens of each group and target."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for column in ("train", "validation", "test", "documents"):
        table.add_column(column, justify="right")
    for row in rows:
        label = row["name"] if row["role"] == "group" else f"{row['name']} (target)"
        counts = [row[f"{split}_tokens"] for split in ("train", "validation", "test")]
        documents = row["documents"]
        table.add_row(label, *(f"{n:,}" for n in counts), "?" if documents is None else f"{documents:,}")
    Console().print(table)


def _print_epochs(epochs: Mapping[str, Mapping[str, float | None]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for label in epochs:
        table.add_column(label, justify="right")
    for group in next(iter(epochs.values())):
        values = [epochs[label][group] for label in epochs]
        table.add_row(group, *("none" if value is None else f"{value:.2f}" for value in values))
    Console().print(table)
