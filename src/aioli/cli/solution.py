"""A solution as tables and sentences on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_solution", "print_table", "warn"]

ROWS = 60
"""Groups and targets printed; the file has all."""


def print_solution(content: Mapping[str, Any]) -> None:
    """The mixture, the losses predicted for it, what binds, what it would cost to move, and warnings."""
    from rich.console import Console

    console = Console()
    _print_groups(content, console)
    if "by_target" in content:
        _print_targets(content, console)
    for line in [*_lines(content), *content.get("sensitivities", ())]:
        console.print(line, highlight=False, markup=False)
    warn(content["warnings"])


def warn(messages: Sequence[str]) -> None:
    """One line each on standard error."""
    for message in messages:
        typer.echo(f"warning: {message}", err=True)


def _print_groups(content: Mapping[str, Any], console: Console) -> None:
    """One row a group, the largest first; columns that say nothing are left out."""
    rows = sorted(content["by_group"].items(), key=lambda pair: -pair[1]["proportion"])
    columns = {
        "mixture": [_share(row["proportion"]) for _, row in rows],
        "within noise": [_range(row.get("near_optimal")) for _, row in rows],
        "reference": [_share(row["reference"]) for _, row in rows],
        "floor": [_share(row["floor"] or None) for _, row in rows],
        "cap": [_share(None if row["cap"] >= 1 else row["cap"]) for _, row in rows],
        "epochs": ["" if row["epochs"] is None else f"{row['epochs']:.2f}" for _, row in rows],
    }
    print_table("group", [name for name, _ in rows], columns, console)


def _print_targets(content: Mapping[str, Any], console: Console) -> None:
    rows = list(content["by_target"].items())
    best = content.get("best_run")
    columns = {
        "predicted": [_loss(row["predicted"]) for _, row in rows],
        "interval": [_range(row.get("interval"), _loss) for _, row in rows],
        "at reference": [_loss(row.get("at_reference")) for _, row in rows],
        f"best run ({best['name']})" if best else "": [
            _loss(best["losses"][name]) if best else "" for name, _ in rows
        ],
    }
    if len({row["weight"] for _, row in rows}) > 1:
        columns["weight"] = [f"{row['weight']:.3g}" for _, row in rows]
    print_table("target", [name for name, _ in rows], columns, console)


def print_table(
    what: str, names: Sequence[str], columns: Mapping[str, Sequence[str]], console: Console
) -> None:
    """Rows by name; columns of nothing but empty texts are left out."""
    from rich import box
    from rich.table import Table

    shown = {key: values for key, values in columns.items() if any(values)}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(what, max_width=48, overflow="fold")
    for key in shown:
        table.add_column(key, justify="right", no_wrap=True)
    for row, name in enumerate(names[:ROWS]):
        table.add_row(name, *(values[row] for values in shown.values()))
    console.print(table)
    if len(names) > ROWS:
        console.print(f"... and {len(names) - ROWS} more (--json has all)")
    console.print()


def _lines(content: Mapping[str, Any]) -> list[str]:
    objective = content["objective"]
    loss = objective.get("loss", objective["value"])
    told = f"{objective['name']} {loss:.4f}"
    if abs(objective["value"] - loss) > 1e-6:
        told += f" ({objective['value']:.4f} as minimised, with penalty or caution)"
    best, reference = content.get("best_run"), content.get("at_reference")
    if reference is not None:
        told += f"; at the reference {reference:.4f}"
    if best:
        broken = "" if best["allowed"] else ", which breaks the constraints"
        told += f"; best run of the table {best['objective']:.4f} ({best['name']}, measured{broken})"
    gap = content["gap"]
    solved = f"{content['status']}, by {content['solver']}" + (f", gap {gap:.1e}" if gap is not None else "")
    lines = [told, f"solved: {solved}"]
    if content.get("distance") and content["distance"]["kl"] is not None:
        distance = content["distance"]
        lines.append(
            f"from the reference: {distance['kl']:.4f} nats, {distance['variation']:.1%} of the data differs"
        )
    if content.get("near_optimal"):
        near = content["near_optimal"]
        told = "" if near["exact"] else ", of the mixtures that were tried"
        lines.append(f"within noise: predicted at most {near['tolerance']:.2g} nats above the best{told}")
    if content.get("reuse"):
        lines += _reused(content["reuse"])
    if content.get("binding"):
        lines.append(f"binding: {', '.join(content['binding'])}")
    return lines


def _reused(reuse: Mapping[str, Any]) -> list[str]:
    """What was frozen, and what was chosen anew."""
    kept = reuse["kept"]
    ratios = ", ".join(f"{name} {ratio:.2%}" for name, ratio in kept["ratios"].items())
    lines = [f"frozen: the ratios of {len(kept['ratios'])} groups, together {kept['share']:.2%}: {ratios}"]
    anew = ", ".join(f"{name} {share:.2%}" for name, share in reuse["affected"].items())
    return [*lines, f"chosen anew: {anew}"] if anew else lines


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _range(pair: Sequence[float] | None, shown: Any = _share) -> str:
    return "" if pair is None else f"{shown(pair[0])} to {shown(pair[1])}"
