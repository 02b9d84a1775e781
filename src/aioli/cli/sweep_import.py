"""`aioli sweep import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson

__all__ = ["import_table"]


def import_table(
    mixtures: Annotated[
        Path,
        typer.Option(
            "--mixtures",
            metavar="FILE",
            help="CSV, TSV, JSON or Parquet: a row for each run, a column for each group; perhaps index, "
            "size, tokens, or steps with step_tokens. With losses in it: mixture/GROUP and loss/TARGET.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The checked table.", show_default=False)
    ],
    losses: Annotated[
        Path | None,
        typer.Option(
            "--losses",
            metavar="FILE",
            help="A column for each target; joined on the index where both have one, else row by row.",
        ),
    ] = None,
    step_tokens: Annotated[
        float | None,
        typer.Option("--step-tokens", metavar="N", help="Tokens of a step, where there are steps only."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check losses that were measured elsewhere, and write them as one table for `aioli fit`."""
    from aioli.cli.output import print_json
    from aioli.cli.tables import print_described
    from aioli.jobs.sweep_results import describe
    from aioli.table_files import read_table, write_table
    from aioli.table_formats import check_writable

    check_writable(out)
    table = read_table(mixtures, losses, step_tokens=step_tokens)
    write_table(out, table)
    if as_json:
        print_json(describe(table))
        return
    print_described(describe(table))
    typer.echo(f"\ntable: {out}")
