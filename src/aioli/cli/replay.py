"""`aioli replay RUN --method METHOD`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aioli.cli.options import AsJson

if TYPE_CHECKING:
    from aioli.trust import Score

__all__ = ["replay"]

Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A journal, a run's directory, or an output directory of one run."),
]
Under = Annotated[
    str, typer.Option("--method", metavar="METHOD", help="A name, or a mapping such as 'aioli: {eta: 0.5}'.")
]


def replay(run: Run, method: Under, as_json: AsJson = False) -> None:
    """Show what another method would have asked for, told what a recorded run measured.

    That run must have measured the signals that the method reads (`aioli methods` lists them).
    Where the method has a law: how well that would have predicted the losses measured so far.
    """
    from aioli.cli.display import law
    from aioli.cli.output import print_json
    from aioli.config.yaml_text import parse_yaml
    from aioli.journal import Journal
    from aioli.methods import registry
    from aioli.methods.scored import scored_along

    path = _journal(run)
    journal = Journal.read(path)
    built = registry.build_value(parse_yaml(method, "--method"))
    requests, score = scored_along(built, journal, _paired(path))
    asked: list[dict[str, Any]] = [
        {
            "step": step,
            "steps": request.steps,
            "phase": request.phase,
            "proportions": request.proportions,
            "law": {"r2": before.r2, "coverage": before.coverage},
        }
        for step, request, before in requests
        if request.steps
    ]
    if as_json:
        lines = [line | {"proportions": [round(float(p), 6) for p in line["proportions"]]} for line in asked]
        content = {"recorded": journal.method, "groups": list(journal.problem.groups), "asked": lines}
        print_json(content | {"trust": _figures(score) if score.laws else None})
        return
    typer.echo(f"recorded: {journal.method}\n")
    typer.echo("  step  phase    " + "  ".join(f"{name:>8}" for name in journal.problem.groups))
    for line in asked:
        shares = "  ".join(
            f"{p:{max(8, len(g))}.3f}"
            for g, p in zip(journal.problem.groups, line["proportions"], strict=True)
        )
        told = law(line["law"])
        r2 = f"  {told}" if told else ""
        typer.echo(f"{line['step']:6d}  {line['phase']:7s}  {shares}{r2}")
    if len(asked) < 2:
        typer.echo("\nthat run measured once, at its end: a method is asked anew only after a measurement")
    if score.laws:
        typer.echo(f"\n{_told(_figures(score))}")


def _figures(score: Score) -> dict[str, Any]:
    """The score of a law as a run's result has it."""
    return {"r2": score.r2, "r2_trend": score.r2_trend, "coverage": score.coverage, "scored": score.spans}


def _told(figures: dict[str, Any]) -> str:
    if not figures["scored"]:
        return "law: no loss was measured that it had predicted"
    covered = figures["coverage"]
    known = [
        f"{name} {figures[key]:.2f}"
        for key, name in (("r2", "R2 against no change"), ("r2_trend", "against the targets' trends"))
        if figures[key] is not None
    ]
    known += [] if covered is None else [f"{covered:.0%} of losses within their 95% intervals"]
    return f"law: {', '.join(known)}, over {figures['scored']} predictions"


def _paired(journal: Path) -> bool:
    """Whether each measurement of the run read the same sequences; taken to be so where nothing says."""
    try:
        spec = json.loads((journal.parent / "spec.json").read_bytes())
        return spec["evaluation"]["sequences"] != "auto"
    except (OSError, ValueError, KeyError, TypeError):
        return True


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
