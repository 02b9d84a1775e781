"""`aioli similar CONFIG`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aioli.cli.options import AsJson, ConfigPath, Out, Quiet, Set

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["similar"]

ROWS = 40
"""Groups printed, the largest proportions first."""
COLUMNS = 4
"""Targets side by side in one table."""
LONGEST_NAME = 24

Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes that tokenise, if that is to be done.")
]


def similar(
    config: ConfigPath,
    out: Out = None,
    workers: Workers = None,
    overrides: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show how near each group's text is to the targets, what they share, and the mixture that follows."""
    from rich.console import Console

    from aioli.cli.output import print_json, showing
    from aioli.jobs.run import similar as run

    with showing(quiet) as display:
        content = run(config, out=out, overrides=overrides or [], workers=workers, watch=display.watch)
    if as_json:
        print_json(content)
        return
    for prior in content["priors"]:
        _print_prior(content["groups"], content["targets"], prior, Console())


def _print_prior(
    groups: Sequence[str], targets: Sequence[str], prior: Mapping[str, Any], console: Console
) -> None:
    order = sorted(range(len(groups)), key=lambda j: -prior["mixture"][j])[:ROWS]
    named = targets if len(targets) > 1 else [""]
    columns = {
        key: [(f"{what} {name}".strip(), prior[key][i]) for i, name in enumerate(named)]
        for key, what in (("divergences", "divergence"), ("overlap", "shared text"))
    }
    if len(targets) == 1:
        _print_table(groups, prior["mixture"], order, columns["divergences"] + columns["overlap"], console)
    else:
        for found in columns.values():
            for start in range(0, len(found), COLUMNS):
                _print_table(groups, prior["mixture"], order, found[start : start + COLUMNS], console)
    if len(groups) > len(order):
        console.print(f"... and {len(groups) - len(order)} groups of smaller proportions (--json has all)\n")
    for line in _lines(targets, prior):
        console.print(line, highlight=False, markup=False)


def _lines(targets: Sequence[str], prior: Mapping[str, Any]) -> list[str]:
    from aioli.cli.display import duration

    settings = prior["settings"]
    told = [
        f"tau {tau:g} for {target}: {reason}."
        for target, tau, reason in zip(targets, prior["tau"], prior["reasons"], strict=True)
    ]
    refused = [
        f"{group} shares more than {settings['max_overlap']:.0%} of the held-out text of {target}: runs with "
        "`similar` are refused unless allow_contamination is true."
        for target, group in prior["refused"]
    ]
    return [
        *told,
        *refused,
        f"\nDivergence in nats ({settings['direction']}) of hashed unigrams and bigrams. Shared text: how "
        f"much of a target's validation and test text lies in a group's training text, in windows of "
        f"{settings['window']} tokens. Took {duration(prior['seconds'])}.",
    ]


def _print_table(
    groups: Sequence[str],
    mixture: Sequence[float],
    order: Sequence[int],
    columns: Sequence[tuple[str, Sequence[float | None]]],
    console: Console,
) -> None:
    """One row a group: its proportion in the mixture, and the numbers of each column."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("group", max_width=LONGEST_NAME, overflow="fold")
    table.add_column("mixture", justify="right", no_wrap=True)
    for name, _ in columns:
        table.add_column(name, justify="right", max_width=LONGEST_NAME, overflow="fold")
    for j in order:
        values = [_number(name, numbers[j]) for name, numbers in columns]
        table.add_row(groups[j], f"{mixture[j]:.1%}", *values)
    console.print(table)
    console.print()


def _number(column: str, value: float | None) -> str:
    if value is None:
        return "no text"
    return f"{value:.2%}" if column.startswith("shared") else f"{value:.3f}"
