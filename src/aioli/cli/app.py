"""The command `aioli`: its verbs, and one message instead of a traceback for what the user can mend."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from aioli import __version__
from aioli.cli.compare import compare
from aioli.cli.demo import demo
from aioli.cli.diagnose import diagnose
from aioli.cli.export import export
from aioli.cli.fit import fit
from aioli.cli.methods import methods
from aioli.cli.mixture import mixture
from aioli.cli.offline import offline
from aioli.cli.predict import predict
from aioli.cli.replay import replay
from aioli.cli.report import report
from aioli.cli.similar import similar
from aioli.cli.solve import solve
from aioli.cli.sweep import sweep
from aioli.cli.tokenize import tokenize
from aioli.cli.track import track
from aioli.cli.train import train
from aioli.cli.watch import watch
from aioli.errors import InputError
from aioli.files import FULL
from aioli.sweep.memory import out_of_memory

__all__ = ["app", "main"]

MISTAKE = 2
INTERRUPTED = 130
OFFLINE = {"clarabel", "lightgbm", "pyarrow", "scipy", "sklearn", "threadpoolctl"}
"""Packages of the extra `offline`, which only its verbs import."""

app = typer.Typer(
    name="aioli",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in (
    demo,
    tokenize,
    similar,
    train,
    compare,
    report,
    diagnose,
    mixture,
    fit,
    predict,
    solve,
    offline,
    export,
    methods,
    replay,
    track,
    watch,
):
    app.command()(_verb)
app.add_typer(sweep, name="sweep")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aioli {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the best training-data mixture for a language model, while it trains or before."""


def main() -> None:
    """Run the command line and exit: 0 done, 2 a mistake or a full disk, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_close_output(_run()))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 1  # the reader of standard output, such as `head`, has gone
    except Exception as error:
        told = _explain(error)
        if told is None:
            raise
        return _say(told)
    return 0


def _explain(error: Exception) -> str | None:
    """What the user can do about an error; None for a bug."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in OFFLINE:
        return f"this needs the package {error.name}, which is not installed: pip install 'aioli[offline]'"
    if isinstance(error, OSError) and error.errno in FULL:
        writer = list(traceback.walk_tb(error.__traceback__))[-1][0].f_globals["__name__"]
        if not writer.startswith("aioli."):  # a file's error comes from aioli itself, or was explained there
            return f"cannot write to standard output: {error.strerror}"
        where = f" for {error.filename}" if error.filename else ""
        return f"no room left{where} ({error.strerror}): free some space, then run the command again"
    return out_of_memory(error)


def _close_output(code: int) -> int:
    """Flush standard output; a failure there (a full disk, a closed pipe) is an error as well."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return code or 1
        return code or _say(f"cannot write to standard output: {error.strerror}")
    return code


def _say(message: str) -> int:
    with contextlib.suppress(OSError):  # standard error may be gone, too
        print(f"aioli: {message}", file=sys.stderr, flush=True)
    return MISTAKE
