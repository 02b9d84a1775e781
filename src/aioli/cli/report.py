"""`aioli report DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson

__all__ = ["report"]


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An output directory.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Write results.json, results.csv and report.html again from the finished runs of DIR."""
    from aioli.cli.output import print_results
    from aioli.jobs.run import report as run

    print_results(run(directory), directory, as_json=as_json)
