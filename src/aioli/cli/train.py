"""`aioli train CONFIG --method NAME`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from aioli.cli.options import AsJson, ConfigPath, DryRun, Out, Quiet, Resume, Set, Track, Workers

__all__ = ["train"]


def train(
    config: ConfigPath,
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="METHOD", help="A label from the config, a name, or 'aioli: {eta: 0.5}'."
        ),
    ],
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the config's first seed.")] = None,
    use: Annotated[
        Literal["mixture", "model"] | None,
        typer.Option(
            "--use", help="Of a proxy method: train on its mixture (default), or keep its own model."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="DIR|METHOD",
            help="Finished run to read as reference, or a method to train for it.",
        ),
    ] = None,
    proportions: Annotated[
        Path | None,
        typer.Option(
            "--proportions", metavar="FILE", help="Mixture to train on, as `aioli mixture` writes it."
        ),
    ] = None,
    out: Out = None,
    workers: Workers = None,
    resume: Resume = False,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="NEW=OLD[,OLD]",
            help="With --resume: a new group is made of old ones (renamed, split, merged). Repeatable.",
        ),
    ] = None,
    overrides: Set = None,
    track: Track = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train once with one method, after the runs that it needs first."""
    from aioli.cli.forecast import print_forecast
    from aioli.cli.output import print_results, showing
    from aioli.config import load
    from aioli.jobs.names import choose_method, train_out
    from aioli.jobs.regroup import read_origins
    from aioli.jobs.run import train as run
    from aioli.jobs.track import with_trackers

    checked = load(config, overrides or [], methods=False)  # only the chosen one has to fit
    checked = with_trackers(checked, track or [])
    how = {"use": use, "reference": reference, "proportions": proportions}
    choice = choose_method(checked, method, **how)
    seed = checked.seeds[0] if seed is None else seed
    out = out or train_out(config, checked.title, choice.label, seed)
    if dry_run:
        single = replace(checked, methods=(choice,), seeds=(seed,), stopping=None)
        print_forecast(single, out, workers, as_json=as_json)
        return
    with showing(quiet) as display:
        results = run(
            checked,
            method=method,
            seed=seed,
            out=out,
            resume=resume,
            parents=read_origins(origins or []),
            workers=workers,
            watch=display.watch,
            **how,
        )
    print_results(results, out, as_json=as_json)
