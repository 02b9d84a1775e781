"""`aioli methods [NAME]`."""

from __future__ import annotations

import re
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aioli.cli.options import AsJson
from aioli.errors import InputError

if TYPE_CHECKING:
    from aioli.methods.registry import MethodInfo

__all__ = ["methods"]

COLUMNS = ("name", "law", "estimator", "solver", "reads", "extra runs", "published")
OFFLINE_COLUMNS = ("name", "law", "fitted from", "solver", "reads", "runs before", "published")
OFFLINE_TITLE = "Offline: from finished runs to a mixture (aioli offline NAME)"
CHOICE = re.compile(r"Literal\[(.*)\]")
WORDS = {
    "Method[Any]": "method",
    "Estimator[Any]": "estimator",
    "Solver[Any]": "solver",
    "Law": "law",
    "Proportions": "proportions",
    "tuple[tuple[float, ...], ...]": "rows of numbers",
    "Mapping[str, Mapping[str, float]]": "numbers by two names",
    "Mapping[str, float]": "numbers by name",
    "tuple[float, ...]": "list of numbers",
}
"""What types of parameters are called; the longer ones before those that they contain."""
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this method in full.")]


def methods(name: Name = None, as_json: AsJson = False) -> None:
    """List the mixing methods as law, estimator and solver; with NAME, one of them in full."""
    from aioli.cli.output import print_json
    from aioli.methods import registry
    from aioli.methods.explain import explain

    offline = _offline()
    if name:
        infos = [offline[name]] if name in offline else [registry.describe(name)]
    else:
        infos = [*_all(registry.names()), *offline.values()]
    if as_json:
        print_json(
            [
                asdict(info)
                | {"citation": str(info.citation), "offline": info.name in offline}
                | ({} if info.name in offline else {"texts": explain(info.name).parameters})
                for info in infos
            ]
        )
    elif name:
        _print_one(infos[0], offline=name in offline)
    else:
        _print_table([info for info in infos if info.name not in offline], COLUMNS)
        typer.echo(f"\n{OFFLINE_TITLE}\n")
        _print_table(list(offline.values()), OFFLINE_COLUMNS)


def _offline() -> dict[str, MethodInfo]:
    """The offline methods; without the packages that they need, standard error says so."""
    try:
        from aioli.methods.offline import describe_offline
    except (ModuleNotFoundError, InputError) as error:
        typer.echo(f"note: offline methods are not listed: {error}", err=True)
        return {}
    return describe_offline()


def _all(names: list[str]) -> list[MethodInfo]:
    """Every method that loads; a package whose method does not is named on standard error."""
    from aioli.methods import registry

    infos = []
    for name in names:
        try:
            infos.append(registry.describe(name))
        except InputError as error:
            typer.echo(f"note: {error}", err=True)
    return infos


def _print_table(infos: list[MethodInfo], columns: tuple[str, ...]) -> None:
    rows = [
        (
            info.name,
            info.law,
            info.estimator,
            info.solver,
            ", ".join(info.signals) or "nothing",
            info.extra_runs,
            f"arXiv {info.citation.arxiv}" if info.citation.arxiv else "",
        )
        for info in infos
    ]
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    typer.echo()
    for info in infos:
        given = [key + ("" if default is None else f"={default}") for key, _, default in info.parameters]
        typer.echo(textwrap.fill(f"{info.name}({', '.join(given)})", 100, subsequent_indent="    "))
        typer.echo(f"    {info.summary}")


def _provided(name: str) -> tuple[str, ...]:
    """Parameters that follow from the runs that a method has done before its own."""
    from aioli.methods import registry

    recipe = registry.recipe_of(name)
    return recipe.provides if recipe else ()


def _in_words(kind: str) -> str:
    """A parameter's type as a config's reader knows it.

    >>> _in_words("Method[Any] | None"), _in_words("Literal['prior', 'uniform']")
    ('method or None', "'prior' or 'uniform'")
    """
    if chosen := CHOICE.search(kind):
        return chosen[1].replace(", ", " or ")
    for told, word in WORDS.items():
        kind = kind.replace(told, word)
    return kind.replace(" | ", " or ")


def _print_one(info: MethodInfo, *, offline: bool) -> None:
    from aioli.methods.explain import explain

    typer.echo(f"{info.name}: {info.summary}\n")
    if offline:
        typer.echo(f"  law {info.law}; fitted from {info.estimator}; solver {info.solver}")
        typer.echo(f"  runs before: {info.extra_runs}; command: aioli offline {info.name}")
    else:
        typer.echo(f"  law {info.law}; estimator {info.estimator}; solver {info.solver}")
        typer.echo(f"  reads {', '.join(info.signals) or 'nothing'}; extra full runs: {info.extra_runs}")
    typer.echo(f"  {info.citation}\n")
    provided = () if offline else _provided(info.name)
    written = None if offline else explain(info.name)
    for key, kind, default in info.parameters:
        wanted = " (from its runs)" if key in provided else " (required)"
        typer.echo(f"  {key}: {_in_words(kind)}" + (wanted if default is None else f" = {default}"))
        if written and key in written.parameters:
            _print_wrapped(written.parameters[key], 6)
    if not info.parameters:
        typer.echo("  no parameters")
    for part, (rule, references, departures) in (written.parts if written else {}).items():
        typer.echo(f"\n{part}")
        for heading, text in (("", rule), ("References: ", references), ("Departures: ", departures)):
            if text:
                _print_wrapped(heading + text, 2)


def _print_wrapped(text: str, indent: int) -> None:
    """Paragraphs and numbered points, filled."""
    space = " " * indent
    for paragraph in re.split(r"\n(?=\s*\n|\d\.)", text):
        if words := " ".join(paragraph.split()):
            typer.echo(textwrap.fill(words, 100, initial_indent=space, subsequent_indent=space))
