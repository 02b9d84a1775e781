"""Options of `aioli fit` and `aioli solve` after a change of groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aioli.errors import InputError

__all__ = ["Origins", "Reuse", "Revised", "check_reuse"]

Reuse = Annotated[
    Path | None,
    typer.Option(
        "--reuse",
        metavar="OLD",
        help="Groups have changed: those that stay keep their ratios in this solution, as one group.",
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="NEW=OLD[,OLD]", help="With --reuse: made of old ones. Repeatable."),
]
Revised = Annotated[
    list[str] | None,
    typer.Option("--revise", metavar="GROUP", help="With --reuse: choose this one anew, too. Repeatable."),
]


def check_reuse(reuse: Path | None, *about: list[str] | None) -> None:
    """Refuse options about a change without the old mixture.

    Raises:
        InputError: such options alone.
    """
    if reuse is None and any(about):
        raise InputError("--from, --revise and --remove need the old mixture: name it with --reuse")
