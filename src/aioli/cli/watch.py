"""`aioli watch RUN_OR_OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["watch"]


def watch(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_OUT", help="An output directory, or the directory of one run.", show_default=False
        ),
    ],
    port: Annotated[int, typer.Option("--port", help="0: any that is free.", min=0, max=65535)] = 8765,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Show the comparison in a browser on this machine while its runs go, until Ctrl-C."""
    import webbrowser

    from aioli.jobs.live_page import LivePage
    from aioli.jobs.live_server import serve

    def ready(address: str) -> None:
        typer.echo(f"{source}: {address} (Ctrl-C ends)")
        if not no_browser:
            webbrowser.open(address)

    serve(LivePage(source), port, ready)
    typer.echo("stopped", err=True)
