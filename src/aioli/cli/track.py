"""`aioli track RUN --to NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["track"]


def track(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="An output directory, the directory of one run, or a Mixer's journal.",
            show_default=False,
        ),
    ],
    to: Annotated[
        list[str],
        typer.Option(
            "--to",
            metavar="NAME[:option=value]",
            help="tensorboard, wandb, mlflow or trackio; options after a colon, as "
            "wandb:project=mixing,mode=offline. Repeatable.",
            show_default=False,
        ),
    ],
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Pass what runs have recorded on to a tracker, each step once."""
    from aioli.jobs.track import track as run
    from aioli.trackers.tracker import TrackerChoice

    def warn(text: str) -> None:
        typer.echo(f"note: {text}", err=True)

    told = run(source, [TrackerChoice.parse(text) for text in to], follow=follow, warn=warn)
    typer.echo(f"{told} step{'s' * (told != 1)} passed on" if told else "nothing new to pass on")
