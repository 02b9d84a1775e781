"""`aioli export MIXTURE --format NAME`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from aioli.cli.options import AsJson

__all__ = ["export"]


def export(
    mixture: Annotated[
        Path | None,
        typer.Argument(
            metavar="MIXTURE",
            help="A mixture (.json, .yaml), a solution of `aioli solve`, or a finished run's directory.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[str | None, typer.Option("--format", metavar="NAME", help="See --list.")] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show the formats, what they count and what they need.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Read a trainer's file instead; writes a mixture."),
    ] = None,
    paths: Annotated[
        Path | None,
        typer.Option("--paths", metavar="FILE", help="Path, paths or {path: tokens} of every group."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="CONFIG", help="Or a config, for its data.groups.")
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="FILE", help="Tokens by group, or a tokenised corpus."),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            "--lengths", metavar="N|FILE", help="Mean tokens of an example: one number, or by group."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="TOKENS", help="Tokens that will be trained.")
    ] = None,
    kind: Annotated[
        Literal["answer", "mean", "final"] | None,
        typer.Option("--take", help="Of a run; default: the answer where there is one, else the mean."),
    ] = None,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Of a run: its proportions over the steps, in stages.")
    ] = False,
    stages: Annotated[int, typer.Option("--stages", help="With --schedule: at most so many.")] = 8,
    steps: Annotated[
        int | None, typer.Option("--steps", help="With --schedule: stretch it over the trainer's steps.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="With --schedule: sequences a step of the trainer.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", metavar="LABEL", help="Of a comparison: the run of this method.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="And of this seed.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a mixture in the format of another trainer, or read it back."""
    from aioli.errors import InputError, MixingWarning
    from aioli.export.formats import get_format
    from aioli.jobs.export import read_beside

    if show_list:
        _list_formats(as_json)
        return
    if format is None:
        raise InputError("name the format: --format NAME (`aioli export --list` shows them)")
    get_format(format)
    if (mixture is None) == (source is None):
        raise InputError("expected a mixture to export, or --from FILE to read back")
    beside = read_beside(paths=paths, config=config, tokens=tokens, lengths=lengths)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", MixingWarning)
        if mixture is None:
            assert source is not None
            _read_back(source, format, beside, out)
        else:
            of_run = {"method": method, "seed": seed, "budget": budget}
            spread = {"most": stages, "steps": steps, "batch": batch} if schedule else None
            if spread is None and (steps is not None or batch is not None):
                raise InputError("--steps and --batch go with --schedule")
            if spread is not None and kind is not None:
                raise InputError("--take and --schedule exclude each other")
            _write(mixture, format, beside, of_run | (spread or {"kind": kind}), out)
    for note in notes:
        typer.echo(f"note: {note.message}", err=True)


def _write(mixture: Path, name: str, beside: Any, options: dict[str, Any], out: Path | None) -> None:
    from aioli.export.formats import export_text
    from aioli.jobs.export import blend_of, schedule_blend

    if "most" not in options:
        _put(export_text(blend_of(mixture, beside, **options), name), out)
        return
    blend, merged = schedule_blend(mixture, beside, **options)
    _put(export_text(blend, name), out)
    typer.echo(
        f"note: {len(merged.stages)} stages; on average {merged.mean_error:.2%} of a step's tokens are of "
        f"another group than in the run, at most {merged.largest_error:.2%}",
        err=True,
    )


def _read_back(source: Path, name: str, beside: Any, out: Path | None) -> None:
    from aioli.cli.output import print_json
    from aioli.jobs.export import read_back
    from aioli.jobs.mixture import write_mixture

    shares = read_back(source, name, beside)
    if out is None:
        print_json(shares)
        return
    write_mixture(shares, out)
    typer.echo(f"written: {out}")


def _put(text: str, out: Path | None) -> None:
    from aioli.files import replace_file

    if out is None:
        typer.echo(text, nl=False)
        return
    replace_file(out, text)
    typer.echo(f"written: {out}")


def _list_formats(as_json: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from aioli.cli.output import print_json
    from aioli.export.formats import FORMATS

    if as_json:
        print_json(
            [
                {
                    "name": entry.name,
                    "title": entry.title,
                    "unit": entry.unit,
                    "needs": list(entry.needs),
                    "uses": list(entry.uses),
                    "stages": entry.staged,
                    "reads": entry.read is not None,
                }
                for entry in FORMATS.values()
            ]
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in ("format", "writes", "counts", "needs (may use)", "stages"):
        table.add_column(head, overflow="fold")
    for entry in FORMATS.values():
        uses = f"({', '.join(entry.uses)})" if entry.uses else ""
        stages = "yes" if entry.staged else ""
        table.add_row(entry.name, entry.title, entry.unit, f"{', '.join(entry.needs)} {uses}".strip(), stages)
    Console().print(table)
