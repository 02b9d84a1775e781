"""`aioli methods [NAME]`."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aioli.cli.options import AsJson
from aioli.errors import InputError

if TYPE_CHECKING:
    from aioli.methods.registry import MethodInfo

__all__ = ["methods"]

COLUMNS = ("name", "law", "estimator", "solver", "reads", "extra runs", "published")
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this method in full.")]


def methods(name: Name = None, as_json: AsJson = False) -> None:
    """List the mixing methods as law, estimator and solver; with NAME, one of them in full."""
    from aioli.cli.output import print_json
    from aioli.methods import registry

    infos = [registry.describe(name)] if name else _all(registry.names())
    if as_json:
        print_json([asdict(info) | {"citation": str(info.citation)} for info in infos])
    elif name:
        _print_one(infos[0])
    else:
        _print_table(infos)


def _all(names: list[str]) -> list[MethodInfo]:
    """Every method that loads; a package whose method does not is named on standard error."""
    from aioli.methods import registry

    infos = []
    for name in names:
        try:
            infos.append(registry.describe(name))
        except InputError as error:
            typer.echo(f"note: {error}", err=True)
    return infos


def _print_table(infos: list[MethodInfo]) -> None:
    rows = [
        (
            info.name,
            info.law,
            info.estimator,
            info.solver,
            ", ".join(info.signals) or "nothing",
            info.extra_runs,
            f"arXiv {info.citation.arxiv}" if info.citation.arxiv else "",
        )
        for info in infos
    ]
    widths = [max(len(row[i]) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    for row in [COLUMNS, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    typer.echo()
    for info in infos:
        given = [key + ("" if default is None else f"={default}") for key, _, default in info.parameters]
        typer.echo(textwrap.fill(f"{info.name}({', '.join(given)})", 100, subsequent_indent="    "))
        typer.echo(f"    {info.summary}")


def _print_one(info: MethodInfo) -> None:
    typer.echo(f"{info.name}: {info.summary}\n")
    typer.echo(f"  law {info.law}; estimator {info.estimator}; solver {info.solver}")
    typer.echo(f"  reads {', '.join(info.signals) or 'nothing'}; extra full runs: {info.extra_runs}")
    typer.echo(f"  {info.citation}\n")
    for key, kind, default in info.parameters:
        typer.echo(f"  {key}: {kind}" + (" (required)" if default is None else f" = {default}"))
    if not info.parameters:
        typer.echo("  no parameters")
