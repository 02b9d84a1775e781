"""`aioli tokenize CONFIG`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from aioli.cli.options import AsJson, ConfigPath, DryRun, Out, Quiet, Resume, Set

__all__ = ["tokenize"]

Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes; default: what the cores allow.")
]


def tokenize(
    config: ConfigPath,
    out: Out = None,
    workers: Workers = None,
    resume: Resume = False,
    overrides: Set = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Turn the config's texts into tokens, ready for train and compare."""
    from aioli.cli.forecast import print_data, print_forecast
    from aioli.cli.output import print_json, showing
    from aioli.config import load
    from aioli.jobs.forecast import data_table
    from aioli.jobs.names import default_out
    from aioli.jobs.run import tokenize as run

    checked = load(config, overrides or [], methods=False)
    out = out or default_out(config, checked.title)
    if dry_run:
        print_forecast(checked, out, workers, as_json=as_json, data_only=True)
        return
    with showing(quiet) as display:
        corpus = run(checked, out=out, workers=workers, resume=resume, watch=display.watch)
    if as_json:
        print_json(corpus.index)
        return
    print_data(data_table(checked, corpus))
    typer.echo(f"\ntokens: {corpus.directory}")
    reuse = shlex.quote(f"data.tokens={corpus.directory.absolute()}")
    typer.echo(f"use them in any output directory with: --set {reuse}")
