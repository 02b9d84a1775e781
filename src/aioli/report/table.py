"""The comparison in a terminal: one wide table, or two that fit 80 columns, and the reading below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aioli.analysis.numbers import MISSING, bounds, fixed, percent, quantity, ratio, signed
from aioli.analysis.reading import verdict

__all__ = ["print_table"]

WIDE = 124
LONGEST_NAME = 20
STYLES = {"lower": "green", "higher": "red"}

WORDS = {
    "lower": "better",
    "higher": "worse",
    "equal": "equal",
    "undecided": "undecided",
    "unknown": "undecided",
}

Summary = Mapping[str, Any]
Column = tuple[str, Callable[[Summary], Text]]


def print_table(results: Mapping[str, Any], console: Console) -> None:
    """Print the comparison: test perplexity, difference to the baseline, wins, costs, and the reading.

    A second line in a cell is the 95% interval over seeds. Colour appears only on a terminal.
    """
    extra = any(method["extra_runs"] for method in results["methods"])
    groups = [_quality(results["baseline"]), _costs(results["baseline"], extra)]
    if console.width >= WIDE:
        groups = [[*groups[0], *groups[1]]]
    for columns in groups:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
        table.add_column("method", max_width=LONGEST_NAME, overflow="fold")
        for name, _ in columns:
            table.add_column(name, justify="right", no_wrap=True)
        for method in results["methods"]:
            table.add_row(Text(method["label"]), *(cell(method) for _, cell in columns))
        console.print(table)
        console.print()
    if any(method["test"]["perplexity"]["low"] is not None for method in results["methods"]):
        note = "Below each mean: its 95% interval over seeds."
        if any(method.get("noise") for method in results["methods"]):
            note += " Below each change: the smallest that these seeds show."
        if results.get("stopping"):
            note += " Seeds were added until decided: intervals of differences are anytime-valid."
        console.print(Text(note, style="dim"), soft_wrap=False)
    console.print(Text(results["reading"]))


def _quality(baseline: str | None) -> list[Column]:
    columns: list[Column] = [("test perplexity", _perplexity)]
    if baseline is not None:
        columns += [("difference", _difference), ("change", _change), ("wins", _wins)]
    return [*columns, ("bits/byte", _bits)]


def _costs(baseline: str | None, extra: bool) -> list[Column]:
    columns: list[Column] = [
        ("train tokens", _cost("train_tokens")),
        ("eval tokens", _cost("evaluation_tokens")),
        ("probe steps", _cost("probe_steps")),
    ]
    if baseline is not None:
        columns.append(("time", lambda method: Text(ratio(method["cost"].get("seconds_ratio")))))
    return [*columns, ("extra runs", _extra)] if extra else columns


def _with_bounds(mean: str, between: str, style: str = "") -> Text:
    text = Text(mean, style=style)
    return text.append(f"\n{between}", style="dim") if between else text


def _perplexity(method: Summary) -> Text:
    value = method["test"]["perplexity"]
    return _with_bounds(fixed(value["mean"]), bounds(value["low"], value["high"], "fixed", value["mean"]))


def _difference(method: Summary) -> Text:
    kind = verdict(method)
    if kind == "baseline":
        return Text("baseline", style="dim")
    change, level = method["difference"]["perplexity"], method["test"]["perplexity"]["mean"]
    between = bounds(change["low"], change["high"], "signed", level)
    return _with_bounds(signed(change["mean"], level), between, STYLES.get(kind, ""))


def _change(method: Summary) -> Text:
    """The percent change, and below it the smallest that the seeds show."""
    if not method["relative"]:
        return Text("")
    noise = method.get("noise")
    least = percent(noise["detectable"]).lstrip("+") if noise else ""
    return _with_bounds(percent(method["relative"]["mean"]), least)


def _wins(method: Summary) -> Text:
    """Seeds with lower perplexity; below them what was decided, where seeds were added until then."""
    if method["of"] is None:
        return Text("")
    stopped = method.get("decided") is not None
    return _with_bounds(f"{method['wins']} of {method['of']}", WORDS[verdict(method)] if stopped else "")


def _bits(method: Summary) -> Text:
    value = method["test"]["bits_per_byte"]["mean"]
    return Text(MISSING if value is None else f"{value:.4f}")


def _extra(method: Summary) -> Text:
    """How many, and below the tokens trained in all: relative to the baseline's, without one their number."""
    total = method["cost"]["total"]
    if not method["extra_runs"]:
        return Text("0")
    relative = total.get("train_tokens_ratio")
    tokens = quantity(total["train_tokens"]) if relative is None else ratio(relative)
    return _with_bounds(str(method["extra_runs"]), f"{tokens} tokens")


def _cost(key: str) -> Callable[[Summary], Text]:
    return lambda method: Text(quantity(method["cost"].get(key)))
