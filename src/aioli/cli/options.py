"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "ConfigPath", "DryRun", "Out", "Quiet", "Resume", "Set", "Track", "Workers"]

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML config.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Output directory; default: named from the config, in runs/."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue what is in the output directory; else it must be unused.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any key, as train.steps=200. Repeatable."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print config, token counts, epochs and expected time; write nothing."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only results, notes and failures.")]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME[:option=value]",
        help="Follow the runs in tensorboard, wandb, mlflow or trackio. Repeatable.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Runs at a time; default: what the cores allow."),
]
