"""What the verbs print: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from aioli.cli.display import Display, PlainDisplay

__all__ = ["print_json", "print_results", "showing", "warnings_of"]


@contextmanager
def showing(quiet: bool) -> Iterator[Display]:
    """A display while a job runs; on Ctrl-C, say how to resume and exit with code 130.

    Bars on a terminal, plain lines elsewhere, and with `quiet` only what went wrong.
    """
    from aioli.cli.live import LiveDisplay

    live = sys.stderr.isatty() and not quiet
    with LiveDisplay() if live else PlainDisplay(quiet=quiet) as display:
        try:
            yield display
        except KeyboardInterrupt:
            display.close()
            typer.echo(
                "aioli: stopped; finished runs and checkpoints are kept. Continue with:\n  " + _again(),
                err=True,
            )
            raise typer.Exit(130) from None


def _again() -> str:
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["aioli", *arguments, "--resume"])


def print_json(content: Any) -> None:
    """Print plain JSON to standard output."""
    typer.echo(json.dumps(content, indent=1))


def print_results(results: dict[str, Any], out: Path, *, as_json: bool) -> None:
    """The table and where the page is, or results.json as it was written; then the runs' warnings."""
    if as_json:
        print_json(results)
    else:
        _print_table(results, out)
    for note in warnings_of(results):
        typer.echo(f"note: {note}", err=True)


def warnings_of(results: dict[str, Any]) -> list[str]:
    """What the runs warned of, each text once for every label."""
    return list(
        dict.fromkeys(
            f"{run['label']}: {text}"
            for run in results["runs"].values()
            for text in run.get("warnings") or ()
        )
    )


def _print_table(results: dict[str, Any], out: Path) -> None:
    from rich.console import Console

    from aioli.report.table import print_table

    print_table(results, Console())
    typer.echo(f"\npage: {out / 'report.html'}\ndata: {out / 'results.json'}, {out / 'results.csv'}")
