"""`aioli demo`."""

from __future__ import annotations

from pathlib import Path

import typer

from aioli.cli.options import AsJson, Out, Quiet, Resume, Set, Workers

__all__ = ["demo"]


def demo(
    out: Out = None,
    workers: Workers = None,
    resume: Resume = False,
    overrides: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare mixtures on seven small groups of real text, in minutes on a laptop."""
    from aioli.cli.output import print_results, showing
    from aioli.jobs.run import demo as run

    out = out or Path("runs/demo")
    with showing(quiet) as display:
        results = run(out=out, workers=workers, resume=resume, overrides=overrides or [], watch=display.watch)
    print_results(results, out, as_json=as_json)
    typer.echo(f"Look at it: open {out / 'report.html'}", err=True)
