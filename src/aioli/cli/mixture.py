"""`aioli mixture DIR`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from aioli.cli.options import AsJson

__all__ = ["mixture"]


def mixture(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="An output directory, or that of one run.", show_default=False),
    ],
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="LABEL", help="Of a comparison: the run of this method ..."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="... and of this seed.")] = None,
    kind: Annotated[
        Literal["answer", "mean", "final"] | None,
        typer.Option("--take", help="What to write; default: the answer where there is one, else the mean."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it to a .json or .yaml, for --proportions."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the mixture that a finished run concludes with, was trained on, and ended on."""
    from aioli.cli.output import print_json
    from aioli.jobs.mixture import mixture_of, take, write_mixture

    found = mixture_of(directory, method=method, seed=seed)
    chosen = take(found, kind)
    if out is not None:
        write_mixture(chosen, out)
    if as_json:
        print_json(found)
        return
    _print(found)
    if out is not None:
        typer.echo(f"\nwritten: {out}")


def _print(found: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    kinds = [kind for kind in ("answer", "mean", "final") if found[kind] is not None]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(f"{found['label']} seed {found['seed']}")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for group in found["groups"]:
        table.add_row(group, *(f"{found[kind][group]:.4f}" for kind in kinds))
    Console().print(table)
