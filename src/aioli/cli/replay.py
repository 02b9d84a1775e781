"""`aioli replay RUN --method METHOD`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.cli.options import AsJson

__all__ = ["replay"]

Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A journal, a run's directory, or an output directory of one run."),
]
Under = Annotated[
    str, typer.Option("--method", metavar="METHOD", help="A name, or a mapping such as 'aioli: {eta: 0.5}'.")
]


def replay(run: Run, method: Under, as_json: AsJson = False) -> None:
    """Show what another method would have asked for, told what a recorded run measured."""
    from aioli.cli.output import print_json
    from aioli.config.yaml_text import parse_yaml
    from aioli.journal import Journal
    from aioli.methods import registry
    from aioli.methods.asked import asked_along

    journal = Journal.read(_journal(run))
    built = registry.build_value(parse_yaml(method, "--method"))
    asked = [
        {"step": step, "steps": request.steps, "phase": request.phase, "proportions": request.proportions}
        for step, request in asked_along(built, journal)
        if request.steps
    ]
    if as_json:
        lines = [line | {"proportions": [round(float(p), 6) for p in line["proportions"]]} for line in asked]
        print_json({"recorded": journal.method, "groups": list(journal.problem.groups), "asked": lines})
        return
    typer.echo(f"recorded: {journal.method}\n")
    typer.echo("  step  phase    " + "  ".join(f"{name:>8}" for name in journal.problem.groups))
    for line in asked:
        shares = "  ".join(
            f"{p:{max(8, len(g))}.3f}"
            for g, p in zip(journal.problem.groups, line["proportions"], strict=True)
        )
        typer.echo(f"{line['step']:6d}  {line['phase']:7s}  {shares}")


def _journal(run: Path) -> Path:
    """The journal that RUN names.

    Raises:
        InputError: a directory without a journal, or with several.
    """
    from aioli.errors import InputError

    if not run.is_dir():
        return run
    found = (
        [run / "journal.jsonl"]
        if (run / "journal.jsonl").exists()
        else sorted(run.glob("runs/*/journal.jsonl"))
    )
    if len(found) != 1:
        some = ", ".join(str(path.parent) for path in found[:3])
        raise InputError(
            f"expected one journal in {run}, found {len(found)}: name a run's directory"
            + (f", such as {some}" if some else "")
        )
    return found[0]
