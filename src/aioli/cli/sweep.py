"""`aioli sweep design | run | graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.design import TargetTokens, design
from aioli.cli.options import AsJson, ConfigPath, Quiet, Resume, Set, Workers
from aioli.cli.runners import Attempts, RunnerName, named_runner
from aioli.cli.sweep_import import import_table
from aioli.sweep.runner import ATTEMPTS

__all__ = ["sweep"]

sweep = typer.Typer(no_args_is_help=True, help="Many runs, each on a mixture of its own.")


sweep.command()(design)
sweep.command("import")(import_table)


@sweep.command()
def run(
    config: ConfigPath,
    mixtures: Annotated[
        Path, typer.Option("--design", metavar="FILE", help="The list of mixtures.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Output directory.", show_default=False)],
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", metavar="N", help="Repeatable: repetitions of every run. Default: the config's first."
        ),
    ] = None,
    runner: RunnerName = "local",
    workers: Workers = None,
    attempts: Attempts = ATTEMPTS,
    resume: Resume = False,
    target_tokens: TargetTokens = None,
    overrides: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a run on every mixture of a design, and write the table that `aioli fit` takes."""
    from aioli.cli.output import showing
    from aioli.cli.tables import print_sweep
    from aioli.config import load
    from aioli.jobs.design_files import read_design
    from aioli.jobs.runs import RunsFailed
    from aioli.jobs.sweep import run_design

    checked = load(config, overrides or [], methods=False)
    listed = read_design(mixtures, tuple(checked.data.groups))
    try:
        with showing(quiet) as display:
            results = run_design(
                checked,
                listed,
                out=out,
                seeds=seeds or (),
                workers=workers,
                resume=resume,
                target_tokens=None if target_tokens is None else round(target_tokens),
                attempts=attempts,
                runner=named_runner(runner),
                watch=display.watch,
            )
    except RunsFailed as failed:
        if failed.results:
            print_sweep(failed.results, out, as_json=as_json)
        raise
    print_sweep(results, out, as_json=as_json)


@sweep.command()
def graph(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The output directory of a sweep.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> None:
    """Write Skill-It's graph of how groups help targets, from a finished one-hot sweep."""
    from aioli.cli.output import print_json
    from aioli.files import write_json
    from aioli.jobs.sweep import graph as read_graph

    found = read_graph(directory)
    if out is None:
        print_json(found)
        return
    write_json(out, found)
    typer.echo(f"use it with: {{skill_it: {{graph: {out}}}}}")
