"""`aioli train CONFIG --method NAME`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from aioli.cli.options import AsJson, ConfigPath, DryRun, Out, Quiet, Resume, Set

__all__ = ["train"]


def train(
    config: ConfigPath,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="A method, or a label from the config.")
    ],
    seed: Annotated[int | None, typer.Option("--seed", help="Default: the config's first seed.")] = None,
    out: Out = None,
    resume: Resume = False,
    overrides: Set = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train once with one method."""
    from aioli.cli.forecast import print_forecast
    from aioli.cli.output import print_results, showing
    from aioli.config import load
    from aioli.jobs.names import choose_method, train_out
    from aioli.jobs.run import train as run

    checked = load(config, overrides or [], methods=False)  # only the chosen one has to fit
    choice = choose_method(checked, method)
    seed = checked.seeds[0] if seed is None else seed
    out = out or train_out(config, checked.title, choice.label, seed)
    if dry_run:
        single = replace(checked, methods=(choice,), seeds=(seed,))
        print_forecast(single, out, 1, as_json=as_json)
        return
    with showing(quiet) as display:
        results = run(checked, method=method, seed=seed, out=out, resume=resume, watch=display.watch)
    print_results(results, out, as_json=as_json)
