"""`aioli sweep design | run | graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson, ConfigPath, Quiet, Resume, Set, Workers

__all__ = ["sweep"]

sweep = typer.Typer(no_args_is_help=True, help="Many runs, each on a mixture of its own.")


@sweep.command()
def design(
    config: ConfigPath,
    one_hot: Annotated[bool, typer.Option("--one-hot", help="One run on each group alone.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")
    ] = None,
    overrides: Set = None,
) -> None:
    """Write a list of mixtures to train on."""
    from aioli.config import load
    from aioli.errors import InputError
    from aioli.jobs.sweep import design_text, one_hot_design, write_design

    groups = load(config, overrides or [], methods=False).data.groups
    if not one_hot:
        raise InputError("name the design: --one-hot is one run on each group alone")
    runs = one_hot_design(groups)
    if out is None:
        typer.echo(design_text(runs), nl=False)
        return
    write_design(runs, out)
    typer.echo(f"{len(runs)} run{'s' * (len(runs) != 1)}: {out}")


@sweep.command()
def run(
    config: ConfigPath,
    design: Annotated[
        Path, typer.Option("--design", metavar="FILE", help="The list of mixtures.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Output directory.", show_default=False)],
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the config's first seed.")] = None,
    workers: Workers = None,
    resume: Resume = False,
    overrides: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a run on every mixture of a design."""
    from aioli.cli.output import print_results, showing
    from aioli.config import load
    from aioli.jobs.sweep import read_design, run_design

    checked = load(config, overrides or [], methods=False)
    mixtures = read_design(design, tuple(checked.data.groups))
    with showing(quiet) as display:
        results = run_design(
            checked, mixtures, out=out, seed=seed, workers=workers, resume=resume, watch=display.watch
        )
    print_results(results, out, as_json=as_json)


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
