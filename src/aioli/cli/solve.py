"""`aioli solve FIT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson
from aioli.cli.reuse import Origins, Reuse, Revised, check_reuse
from aioli.cli.wishes import (
    Caution,
    ConfigOption,
    Fixed,
    Floor,
    Kl,
    Limit,
    MaxKl,
    MaxRepeats,
    MaxVariation,
    Objective,
    Reference,
    ReferenceLoss,
    TargetWeight,
    Tokens,
    TrainTokens,
    read_wishes,
)

__all__ = ["solve"]


def solve(
    fit: Annotated[
        Path, typer.Argument(metavar="FIT", help="What `aioli fit --out` wrote.", show_default=False)
    ],
    config: ConfigOption = None,
    tokens: Tokens = None,
    train_tokens: TrainTokens = None,
    max_repeats: MaxRepeats = None,
    floor: Floor = None,
    fixed: Fixed = None,
    reference: Reference = None,
    kl: Kl = None,
    max_kl: MaxKl = None,
    max_variation: MaxVariation = None,
    target_weight: TargetWeight = None,
    limit: Limit = None,
    objective: Objective = None,
    reference_loss: ReferenceLoss = None,
    caution: Caution = None,
    size: Annotated[
        float | None, typer.Option("--size", metavar="N", help="Parameters of the model to come ...")
    ] = None,
    at_tokens: Annotated[
        float | None,
        typer.Option("--at-tokens", metavar="D", help="... and its tokens; default: --train-tokens."),
    ] = None,
    reuse: Reuse = None,
    origins: Origins = None,
    revised: Revised = None,
    removed: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="OLD", help="With --reuse and a fit of kept groups: it is gone."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of starts, where the law is not convex.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the solution here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the mixture with the lowest predicted losses that data and constraints allow."""
    given = dict(locals())
    from aioli.cli.output import print_json
    from aioli.cli.solution import print_solution
    from aioli.fitting.files import load_fit
    from aioli.jobs.regroup import read_origins
    from aioli.jobs.reusing import read_reuse
    from aioli.jobs.solutions import check_out, write_solution
    from aioli.jobs.solving import solve_fit

    check_reuse(reuse, origins, revised, removed)
    if out is not None:
        check_out(out)
    wishes, notes = read_wishes(config, given)
    found, change = load_fit(fit), None
    if reuse is not None:
        change = read_reuse(
            reuse,
            found.table.groups,
            parents=read_origins(origins or []),
            revised=revised or [],
            removed=removed or [],
        )
    content = solve_fit(found, wishes, size=size, tokens=at_tokens, reuse=change, seed=seed)
    content["warnings"] = [*notes, *content["warnings"]]
    if out is not None:
        write_solution(content, out)
    if as_json:
        print_json(content)
        return
    print_solution(content)
    if out is not None:
        typer.echo(f"written: {out}")
