"""Where runs are carried out, by the name given to `--runner`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aioli.sweep.runner import Runner

__all__ = ["Attempts", "RunnerName", "named_runner"]

RunnerName = Annotated[
    str,
    typer.Option(
        "--runner",
        metavar="NAME",
        help="local: processes of this machine; ray, or ray://HOST:PORT: a Ray cluster.",
    ),
]
Attempts = Annotated[
    int,
    typer.Option(
        "--attempts",
        metavar="N",
        help="How often a run is started that was killed, or lost by its machine, disk or network.",
    ),
]


def named_runner(name: str) -> Runner:
    """The runner of that name.

    Raises:
        InputError: an unknown name.
    """
    from aioli.errors import InputError
    from aioli.sweep import local, ray

    if name == "local":
        return local.run
    if name != "ray" and not name.startswith("ray://"):
        raise InputError(f"the runner is local, ray or ray://HOST:PORT, got {name!r}")
    return partial(ray.run, address=None if name == "ray" else name)
