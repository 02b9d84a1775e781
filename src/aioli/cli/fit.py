"""`aioli fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aioli.cli.finished import Losses, Mixtures, OneTable, StepTokens, SweepDirectory, read_finished
from aioli.cli.options import AsJson
from aioli.cli.reuse import Origins, Reuse, Revised, check_reuse

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["fit"]


def fit(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the fit goes, a .json.")],
    directory: SweepDirectory = None,
    table: OneTable = None,
    mixtures: Mixtures = None,
    losses: Losses = None,
    step_tokens: StepTokens = None,
    law: Annotated[
        str,
        typer.Option("--law", metavar="NAME", help="auto chooses by cross-validation on these runs alone."),
    ] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="law.KEY=VALUE", help="A setting of the law. Repeatable."),
    ] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="Fit this target. Repeatable.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--target-weight", metavar="TARGET=W|FILE", help="Targets not named weigh 0. Repeatable."
        ),
    ] = None,
    to_tokens: Annotated[
        float | None,
        typer.Option("--to-tokens", metavar="D", help="First carry each mixture's losses to D tokens ..."),
    ] = None,
    to_size: Annotated[
        float | None, typer.Option("--to-size", metavar="N", help="... and to a model of N parameters.")
    ] = None,
    reuse: Reuse = None,
    origins: Origins = None,
    revised: Revised = None,
    replicates: Annotated[
        int | None, typer.Option("--replicates", metavar="B", help="Refits for intervals; default: 100.")
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option("--splits", metavar="S", help="Random divisions into folds; default: by the runs."),
    ] = None,
    curve: Annotated[
        bool, typer.Option("--learning-curve", help="Also show what fewer runs would have given.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of splits, replicates and trees.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit a mixing law to finished runs, and say how far it can be trusted."""
    from rich.console import Console

    from aioli.cli.output import print_json
    from aioli.cli.pairs import read_numbers
    from aioli.cli.solution import warn
    from aioli.fitting.files import save_fit
    from aioli.jobs.fitting import check_fit_name, chosen_targets, describe_curve, describe_fit, fit_runs
    from aioli.jobs.nesting import carried
    from aioli.jobs.regroup import read_origins
    from aioli.jobs.reusing import read_reuse

    check_fit_name(out)
    check_reuse(reuse, origins, revised)
    runs = chosen_targets(read_finished(directory, table, mixtures, losses, step_tokens), targets)
    runs, notes = carried(runs, to_tokens=to_tokens, to_size=to_size)
    if reuse is not None:
        change = read_reuse(reuse, runs.groups, parents=read_origins(origins or []), revised=revised or [])
        runs = change.table(runs)
    found = fit_runs(
        runs,
        law,
        settings=_settings(settings),
        weights=read_numbers("--target-weight", weights),
        replicates=replicates,
        splits=splits,
        seed=seed,
    )
    save_fit(found, out)
    content = describe_fit(found) | {"notes": notes, "curve": describe_curve(found) if curve else None}
    if as_json:
        print_json(content)
        return
    _print(content, Console())
    warn([*notes, *content["warnings"]])
    typer.echo(f"written: {out}")


def _settings(given: Sequence[str] | None) -> dict[str, Any]:
    from aioli.config.overrides import apply_overrides
    from aioli.errors import InputError

    found = apply_overrides({"law": {}}, given or [])
    other = [key for key in found if key != "law"]
    if other or not isinstance(found["law"], dict):
        raise InputError(f"--set needs law.KEY=VALUE, as law.huber=0.05, got {(given or [''])[0]!r}")
    return found["law"]


def _print(content: Mapping[str, Any], console: Console) -> None:
    from aioli.cli.solution import print_table

    name = next(iter(content["law"]))
    numbers = content["parameters"]
    told = f"{numbers} numbers a target" if numbers is not None else "no fixed number of parameters"
    console.print(f"law {name} ({told}), {content['runs']} runs\n", highlight=False)
    if content["candidates"]:
        _print_candidates(content, console)
    scores = content["scores"]
    if scores is not None:
        console.print(f"held-out runs, mean of {scores['splits']} splits:", highlight=False)
        names = list(scores["r2"])
        columns = {kind: [_number(scores[kind][one]) for one in names] for kind in ("r2", "mae", "spearman")}
        print_table("target", names, columns, console)
        console.print(
            f"regret of the run ranked best: {scores['regret']:.4f} nats above the best run", highlight=False
        )
    if content["curve"]:
        points = content["curve"]
        columns = {kind: [_number(point[kind]) for point in points] for kind in ("spearman", "mae", "regret")}
        console.print("\nfitted to fewer runs (objective on the others):")
        print_table("runs", [str(point["runs"]) for point in points], columns, console)


def _print_candidates(content: Mapping[str, Any], console: Console) -> None:
    """The laws that were compared, the best first, with why the chosen one was chosen."""
    from aioli.cli.solution import print_table

    tried = sorted((one for one in content["candidates"] if not one["refused"]), key=lambda one: one["error"])
    names = [("* " if one["law"] == content["law"] else "  ") + _law(one["law"]) for one in tried]
    columns = {
        "error": [_number(one["error"]) for one in tried],
        "behind": [
            f"{one['behind']:.4f} ± {one['behind_error']:.4f}" if one["behind"] else "" for one in tried
        ],
        "spearman": [_number(one["scores"]["spearman"]["objective"]) for one in tried],
        "regret": [_number(one["scores"]["regret"]) for one in tried],
        "numbers": ["" if one["parameters"] is None else str(one["parameters"]) for one in tried],
    }
    print_table("law", names, columns, console)
    console.print(
        "error: mean absolute held-out error in standard deviations of the target. Of the laws within one "
        "standard error of the lowest, the one with the fewest numbers is taken (*).\n",
        highlight=False,
    )
    for one in content["candidates"]:
        if one["refused"]:
            console.print(
                f"not compared: {_law(one['law'])}: {one['refused']}", highlight=False, markup=False
            )


def _law(plain: Mapping[str, Any]) -> str:
    """The law's name; of an average, those of its members with their weights."""
    name, settings = next(iter(plain.items()))
    members = settings.get("members")
    if not members:
        return name
    shares = settings.get("weights") or [1 / len(members)] * len(members)
    return " + ".join(f"{share:.2f} {next(iter(one))}" for one, share in zip(members, shares, strict=True))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
