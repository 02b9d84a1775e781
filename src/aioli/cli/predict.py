"""`aioli predict FIT`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.finished import StepTokens
from aioli.cli.options import AsJson

__all__ = ["predict"]

FitFile = Annotated[
    Path, typer.Argument(metavar="FIT", help="What `aioli fit --out` wrote.", show_default=False)
]


def predict(
    fit: FitFile,
    mixtures: Annotated[
        Path, typer.Option("--mixtures", metavar="FILE", help="The mixtures, a row each.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the predicted losses here.")
    ] = None,
    losses: Annotated[
        Path | None, typer.Option("--losses", metavar="FILE", help="Compare with these measured losses.")
    ] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Also write TARGET/low and TARGET/high: 95% of one run.")
    ] = False,
    size: Annotated[
        float | None,
        typer.Option("--size", metavar="N", help="Parameters of the model, if not in the table."),
    ] = None,
    at_tokens: Annotated[
        float | None, typer.Option("--at-tokens", metavar="D", help="Tokens trained, if not in the table.")
    ] = None,
    step_tokens: StepTokens = None,
    as_json: AsJson = False,
) -> None:
    """Predict the losses of mixtures with a fit; with --losses, compare with what was measured."""
    from aioli.cli.output import print_json
    from aioli.cli.solution import warn
    from aioli.errors import InputError
    from aioli.fitting.files import load_fit
    from aioli.jobs.fitting import aligned, compare, predict_runs, write_losses
    from aioli.table import Table
    from aioli.table_files import read_runs, read_table

    if out is None and losses is None:
        raise InputError("say what the predictions are for: --out FILE, --losses FILE to compare, or both")
    found = load_fit(fit)
    read = read_runs(mixtures, step_tokens=step_tokens)
    if losses is not None:
        read = read_table(mixtures, losses, step_tokens=step_tokens)
    runs = aligned(found, read)
    prediction = predict_runs(found, runs, size=size, tokens=at_tokens)
    if out is not None:
        write_losses(out, found, runs, prediction, intervals=intervals)
    outside = int((prediction.outside > 0).sum())
    scores = compare(found, prediction, runs) if isinstance(runs, Table) else None
    if as_json:
        print_json({"runs": len(runs), "outside": outside, "scores": scores})
    elif scores is not None:
        _print(scores)
    if outside:
        furthest = prediction.outside.max()
        warn(
            [
                f"{outside} of {len(runs)} mixtures are outside those that were trained (up to {furthest:.1%}"
                " of the data): extrapolated"
            ]
        )
    warn(found.warnings)
    if out is not None and not as_json:
        typer.echo(f"written: {out}")


def _print(scores: Mapping[str, Mapping[str, float | None]]) -> None:
    from rich.console import Console

    from aioli.cli.solution import print_table

    keys = ("spearman", "mae", "r2", "covered")
    columns = {
        key: ["" if row[key] is None else f"{row[key]:.4f}" for row in scores.values()] for key in keys
    }
    print_table("target", list(scores), columns, Console())
    typer.echo("covered: share of runs within their 95% interval")
