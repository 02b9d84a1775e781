"""`aioli report DIR` and `aioli report FIT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson

__all__ = ["report"]


def report(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR|FIT", help="An output directory, or a fit (.json).", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Of a fit: where its page goes. Default: beside it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write results.json, results.csv and report.html of DIR again, or the page of a FIT."""
    if directory.suffix == ".json":
        from aioli.jobs.fit_page import report_fit

        typer.echo(f"written: {report_fit(directory, out)}")
        return
    from aioli.cli.output import print_results
    from aioli.errors import InputError
    from aioli.jobs.run import report as run

    if out is not None:
        raise InputError(f"--out is for the page of a fit (.json); the page of {directory} goes into it")
    print_results(run(directory), directory, as_json=as_json)
