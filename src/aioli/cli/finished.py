"""Options that say where finished runs are: a sweep here, or tables of runs made anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aioli.errors import InputError

if TYPE_CHECKING:
    from aioli.table import Table

__all__ = ["Losses", "Mixtures", "OneTable", "StepTokens", "SweepDirectory", "read_finished"]

SweepDirectory = Annotated[
    Path | None, typer.Argument(metavar="[SWEEP]", help="The output directory of `aioli sweep run`.")
]
OneTable = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="FILE", help="Runs in one table, columns mixture/GROUP and loss/TARGET ..."
    ),
]
Mixtures = Annotated[
    Path | None, typer.Option("--mixtures", metavar="FILE", help="... or the mixtures in one table ...")
]
Losses = Annotated[
    Path | None,
    typer.Option("--losses", metavar="FILE", help="... and the losses in another, joined on `index`."),
]
StepTokens = Annotated[
    float | None, typer.Option("--step-tokens", metavar="N", help="Tokens of a step, for a column `steps`.")
]


def read_finished(
    directory: Path | None,
    table: Path | None,
    mixtures: Path | None,
    losses: Path | None,
    step_tokens: float | None,
) -> Table:
    """The runs of a sweep, of one table, or of two.

    Raises:
        InputError: none or several of them named, or content that cannot be used.
    """
    from aioli.jobs.sweep_results import read_sweep
    from aioli.table_files import read_table

    named = [one for one in (directory, table, mixtures) if one is not None]
    if len(named) != 1 or (losses is not None) != (mixtures is not None):
        raise InputError(
            "say where the runs are in one way: a sweep's directory, --table FILE, or --mixtures FILE with "
            "--losses FILE"
        )
    if directory is not None:
        return read_sweep(directory)
    return read_table(named[0], losses, step_tokens=step_tokens)
