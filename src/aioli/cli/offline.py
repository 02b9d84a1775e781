"""`aioli offline NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.finished import Losses, Mixtures, OneTable, StepTokens, SweepDirectory, read_finished
from aioli.cli.options import AsJson
from aioli.cli.wishes import (
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

__all__ = ["offline"]


def offline(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="regmix, dml, olmix_base, climb, mixmin.", show_default=False),
    ],
    directory: SweepDirectory = None,
    table: OneTable = None,
    mixtures: Mixtures = None,
    losses: Losses = None,
    step_tokens: StepTokens = None,
    likelihoods: Annotated[
        Path | None,
        typer.Option(
            "--likelihoods",
            metavar="FILE",
            help="mixmin: a document a row, `tokens` and a column of log-likelihoods a source.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the method. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of trees and candidates.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the solution here.")
    ] = None,
    propose: Annotated[
        int | None, typer.Option("--propose", metavar="N", help="climb: also choose the next N runs ...")
    ] = None,
    design_out: Annotated[
        Path | None, typer.Option("--design-out", metavar="FILE", help="... and write them as a design here.")
    ] = None,
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
    as_json: AsJson = False,
) -> None:
    """Go from finished runs to a mixture with one published method (`aioli methods` lists them)."""
    given = dict(locals())
    from aioli.cli.output import print_json
    from aioli.cli.solution import print_solution
    from aioli.config.overrides import apply_overrides
    from aioli.errors import InputError
    from aioli.jobs.offline import offline as run
    from aioli.jobs.offline import offline_documents, propose_runs
    from aioli.jobs.solutions import check_out, write_solution

    parameters = apply_overrides({}, settings or [])
    if out is not None:
        check_out(out)
    if (propose is None) != (design_out is None):
        raise InputError("--propose N and --design-out FILE go together")
    if likelihoods is not None:
        content = offline_documents(name, likelihoods, parameters=parameters)
    else:
        wishes, notes = read_wishes(config, given | {"caution": None})
        runs = read_finished(directory, table, mixtures, losses, step_tokens)
        content = run(name, runs, wishes, parameters=parameters, seed=seed)
        content["warnings"] = [*notes, *content["warnings"]]
        if propose is not None and design_out is not None:
            propose_runs(name, runs, wishes, propose, design_out, parameters=parameters, seed=seed)
    if out is not None:
        write_solution(content, out)
    if as_json:
        print_json(content)
    else:
        print_solution(content)
        for written in (out, design_out):
            if written is not None:
                typer.echo(f"written: {written}")
