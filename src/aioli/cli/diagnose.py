"""`aioli diagnose RUN`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aioli.cli.options import AsJson, Quiet, Resume, Workers
from aioli.cli.runners import RunnerName

__all__ = ["diagnose"]


def diagnose(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="An output directory, one run in it, or a sweep.", show_default=False
        ),
    ],
    method: Annotated[
        str | None, typer.Option("--method", metavar="LABEL", help="Of several runs: this method's ...")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", help="... and of this seed; repeatable: pooled over seeds."),
    ] = None,
    at: Annotated[
        list[int] | None,
        typer.Option("--at", metavar="STEP", help="Branch here; repeatable. Default: half of the run."),
    ] = None,
    horizon: Annotated[
        list[int] | None,
        typer.Option("--horizon", metavar="STEPS", help="Measure then; repeatable. Default: 5 20 75 300."),
    ] = None,
    fidelity: Annotated[
        list[str] | None,
        typer.Option("--fidelity", metavar="METHOD", help="Hold this method's law against it; repeatable."),
    ] = None,
    focus: Annotated[float, typer.Option("--focus", help="Extra share of what a branch raises.")] = 0.4,
    branches: Annotated[
        int | None,
        typer.Option("--branches", metavar="K", help="So many, each with half of the groups raised."),
    ] = None,
    sequences: Annotated[int, typer.Option("--sequences", help="Held-out ones read of every target.")] = 256,
    orders: Annotated[
        int, typer.Option("--orders", metavar="R", help="Each branch on R orders of the data: safer errors.")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: `diagnosis` beside the runs.")
    ] = None,
    workers: Workers = None,
    runner: RunnerName = "local",
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure the law at a checkpoint of a run: short branches off it, and how near methods' own laws are.

    Of a sweep: how well static laws describe its whole runs.
    """
    from aioli.cli.output import print_json, showing
    from aioli.cli.runners import named_runner
    from aioli.config import read_methods
    from aioli.config.yaml_text import parse_yaml
    from aioli.jobs.diagnose import Settings, diagnose_sweep, is_sweep
    from aioli.jobs.diagnose import diagnose as run_diagnosis

    if is_sweep(run):
        _refuse_for_sweep(run, context)
        content = diagnose_sweep(run)
        print_json(content) if as_json else _print(content)
        return
    settings = Settings(
        at=tuple(at or ()),
        focus=focus,
        branches=branches,
        sequences=sequences,
        orders=orders,
        **({"horizons": tuple(horizon)} if horizon else {}),
    )
    compared = read_methods([parse_yaml(text, "--fidelity") for text in fidelity or ()])
    with showing(quiet) as display:
        content = run_diagnosis(
            run,
            settings,
            method=method,
            seeds=tuple(seed or ()),
            compared=compared,
            out=out,
            resume=resume,
            workers=workers,
            runner=named_runner(runner),
            watch=display.watch,
        )
    if as_json:
        print_json(content)
    else:
        _print(content)
        _tell_left_out(content, horizon or [])


def _tell_left_out(content: Mapping[str, Any], asked: list[int]) -> None:
    """Say which of the horizons that were asked for lie beyond the run."""
    for step in dict.fromkeys(point["step"] for point in content["points"]):
        laws = next(point["laws"] for point in content["points"] if point["step"] == step)
        beyond = sorted(set(asked) - {law["horizon"] for law in laws})
        if beyond:
            told = ", ".join(map(str, beyond))
            typer.echo(f"Left out after step {step} of {content['steps']}: horizon {told}, beyond the run.")


def _refuse_for_sweep(run: Path, context: typer.Context) -> None:
    from aioli.errors import InputError

    names = {
        name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    }
    given = [f"--{name}" for name in context.params if name in names - {"run", "as_json", "quiet"}]
    if given:
        raise InputError(
            f"{run} is a sweep: its static law is that of whole runs, and {', '.join(given)} "
            "says how to branch one; name one of its runs (runs/...) to branch it"
        )


def _print(content: Mapping[str, Any]) -> None:
    from rich.console import Console

    from aioli.report.diagnosis import print_diagnosis, print_static

    (print_static if "laws" in content else print_diagnosis)(content, Console())
