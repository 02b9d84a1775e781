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
from aioli.config import Config

__all__ = ["print_data", "print_forecast"]


def print_forecast(
    config: Config, out: Path, workers: int | None, *, as_json: bool, data_only: bool = False
) -> None:
    """Print the resolved config, tokens, epochs and expected time to standard output."""
    from aioli.jobs.forecast import forecast

    content = forecast(config, out, workers, data_only=data_only)
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
    if content["seconds"]:
        typer.echo()
        _print_time(config, content)
    typer.echo(f"output: {out}")


def _print_time(config: Config, content: Mapping[str, Any]) -> None:
    seconds, runs = content["seconds"], content["runs"]
    extra = content["extra_runs"]
    told = f" ({extra} of them extra, read by others)" if extra else ""
    rule = config.stopping
    typer.echo(
        f"{'at most ' * bool(rule)}{runs} run{'s' * (runs != 1)}{told} of {config.train.steps} steps, "
        f"{content['workers']} at a time; a step takes {1000 * seconds['step']:.0f} ms here: "
        f"{'at most ' * bool(rule)}about {duration(seconds['total'])}"
    )
    if rule:
        typer.echo(
            f"each method gets seeds until it is decided: {rule.first} at least, {len(config.seeds)} at most"
        )
    measuring = {label: each for label, each in seconds["measuring"].items() if each}
    if not measuring:
        typer.echo("with the test at the end; no method measures held-out losses")
        return
    told = ", ".join(f"{label} {duration(each)}" for label, each in measuring.items())
    most = config.evaluation.sequences == "auto"
    each = config.evaluation.max_sequences if most else config.evaluation.sequences
    typer.echo(
        f"with the test at the end and measuring held-out losses, a run: {told} (assumes {each} sequences of "
        f"each target{', the most that auto may take,' if most else ''} at a third of a training step's time)"
    )


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
