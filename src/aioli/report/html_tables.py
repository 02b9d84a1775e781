"""The page's tables: what each cell shows, and the value it sorts by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aioli.analysis.numbers import (
    MISSING,
    bounds,
    count,
    duration,
    fixed,
    percent,
    quantity,
    ratio,
    seeds_told,
    signed,
)
from aioli.analysis.reading import verdict

__all__ = ["Cell", "Table", "cost_table", "epochs_table", "ledger_table", "summary_table", "target_table"]

WORDS = {
    "lower": "better",
    "higher": "worse",
    "equal": "equal within margin",
    "undecided": "undecided",
    "unknown": "no interval",
}
Results = Mapping[str, Any]


class Cell(NamedTuple):
    """One cell of a table: text, a smaller second line, the value it sorts by, a mark for its style."""

    text: str
    below: str = ""
    value: float | str | None = None
    mark: str = ""


class Table(NamedTuple):
    """Column headings (the first column names the row) and rows of cells."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def summary_table(results: Results) -> Table:
    """Test perplexity, paired differences and verdict of every method."""
    compared = results["baseline"] is not None
    columns = ["Method", "Test perplexity"]
    columns += ["Change", "Verdict", "Difference", "Detectable", "Wins"] if compared else []
    rows = []
    for method in results["methods"]:
        test, kind = method["test"], verdict(method)
        level = test["perplexity"]["mean"]
        row = [_name(method), _spread(test["perplexity"], "fixed", level)]
        if compared and kind == "baseline":
            row += [_own_spread(method), Cell("baseline", mark="quiet"), Cell("", value=0.0), *[Cell("")] * 2]
        elif compared:
            row += [
                _spread(method["relative"], "percent"),
                Cell(WORDS[kind], _decided(method), WORDS[kind], mark=kind),
                _spread(method["difference"]["perplexity"], "signed", level),
                _detectable(method.get("noise")),
                Cell(f"{method['wins']} of {method['of']}", value=method["wins"]),
            ]
        bits = test["bits_per_byte"]["mean"]
        row.append(Cell(MISSING if bits is None else f"{bits:.4f}", value=bits))
        if compared:
            slower = method["cost"].get("seconds_ratio")
            row.append(Cell(ratio(slower), value=slower))
        rows.append(tuple(row))
    columns += ["Bits per byte", *(["Time"] if compared else [])]
    caption = "Mean over targets, then over seeds; below each mean its 95% interval."
    stopped = bool(results.get("stopping"))
    if stopped:
        caption += " Differences have anytime-valid intervals, since seeds were added until decided."
    if any(method.get("noise") for method in results["methods"]):
        caption += (
            " Detectable: the smallest true change that these seeds show four times out of five; below it "
            f"how many {'decide if it goes on so' if stopped else 'would show the measured one'}."
        )
    return Table(caption, tuple(columns), tuple(rows))


def _own_spread(method: Mapping[str, Any]) -> Cell:
    """How much the baseline itself differs from seed to seed."""
    spread = method.get("spread")
    return (
        Cell("") if spread is None else Cell(f"±{percent(spread).lstrip('+')}", "its own seeds", 0.0, "quiet")
    )


def _decided(method: Mapping[str, Any]) -> str:
    """After how many seeds, where they were added until decided."""
    stand = method.get("decided")
    return f"after {stand['pairs']} seeds" if stand else ""


def _detectable(noise: Mapping[str, Any] | None) -> Cell:
    if noise is None:
        return Cell("")
    return Cell(percent(noise["detectable"]).lstrip("+"), seeds_told(noise), noise["detectable"])


def target_table(results: Results) -> Table:
    """Test perplexity of every method on every target."""
    methods = results["methods"]
    rows = []
    for position, target in enumerate(results["targets"]):
        cells = []
        for method in methods:
            values = method["test"]["perplexity"]["per_target"]
            value = values[position] if values else None
            cells.append(_spread(value, "fixed", value["mean"] if value else None))
        rows.append((Cell(target, value=target), *cells))
    return Table(
        "Test perplexity of each method on each target.",
        ("Target", *(method["label"] for method in methods)),
        tuple(rows),
    )


def cost_table(results: Results) -> Table:
    """Tokens, compute, energy and time of every method."""
    columns = (
        ("Training tokens", "train_tokens", quantity),
        ("Evaluation tokens", "evaluation_tokens", quantity),
        ("Test tokens", "test_tokens", quantity),
        ("Probe steps", "probe_steps", count),
        ("Compute", "flops", lambda value: quantity(value, "FLOP")),
        ("Energy", "joules", lambda value: quantity(value, "J")),
        ("Time", "seconds", duration),
    )
    rows = [
        (
            Cell(method["label"], value=method["label"]),
            *(Cell(form(method["cost"].get(key)), value=method["cost"].get(key)) for _, key, form in columns),
        )
        for method in results["methods"]
    ]
    headings = ("Method", *(heading for heading, _, _ in columns))
    if not any(method["extra_runs"] for method in results["methods"]):
        return Table("Mean over seeds of one run.", headings, tuple(rows))
    rows = [(*row, *_in_all(method)) for row, method in zip(rows, results["methods"], strict=True)]
    caption = (
        "Mean over seeds of one run; in all: with the runs that had to be finished before it, each charged "
        "in full to every method that needs it."
    )
    return Table(
        caption, (*headings, "Extra runs", *(f"{name} in all" for name, _, _ in TOTALS)), tuple(rows)
    )


TOTALS = (
    ("Training tokens", "train_tokens", quantity),
    ("Compute", "flops", lambda value: quantity(value, "FLOP")),
    ("Time", "seconds", duration),
)


def _in_all(method: Mapping[str, Any]) -> tuple[Cell, ...]:
    """How many extra runs, and what they cost together with the run, with the ratio to the baseline below."""
    total = method["cost"]["total"]
    costs = []
    for _, key, form in TOTALS:
        relative = total.get(f"{key}_ratio")
        costs.append(Cell(form(total[key]), "" if relative is None else ratio(relative), total[key]))
    return (Cell(count(method["extra_runs"]), value=method["extra_runs"]), *costs)


def ledger_table(results: Results) -> Table:
    """Tokens and documents of every group and target."""
    columns = [
        ("Training tokens", "train_tokens", quantity),
        ("Validation tokens", "validation_tokens", quantity),
        ("Test tokens", "test_tokens", quantity),
        ("Documents", "documents", count),
        ("Bytes per token", "bytes_per_token", lambda value: fixed(value, like=10)),
    ]
    known = [column for column in columns if any(row.get(column[1]) is not None for row in results["data"])]
    rows = []
    for row in results["data"]:
        cells = [Cell(form(row.get(key)), value=row.get(key)) for _, key, form in known]
        rows.append((Cell(row["name"], value=row["name"]), Cell(row["role"], value=row["role"]), *cells))
    headings = ("Name", "Role", *(heading for heading, _, _ in known))
    return Table("All splits, as tokenised.", headings, tuple(rows))


def epochs_table(results: Results) -> Table:
    """How often each method went through each group."""
    rows = [
        (Cell(name, value=name), *(_epochs(results, method, place) for method in results["methods"]))
        for place, name in enumerate(results["groups"])
    ]
    return Table(
        "Epochs: how often each method went through a group's training data, mean over seeds.",
        ("Group", *(method["label"] for method in results["methods"])),
        tuple(rows),
    )


def _epochs(results: Results, method: Mapping[str, Any], place: int) -> Cell:
    seen = [results["runs"][run]["epochs"][place] for run in method["runs"] if results["runs"][run]["epochs"]]
    known = [value for value in seen if value is not None]
    mean = sum(known) / len(known) if known else None
    return Cell(MISSING if mean is None else f"{mean:.2f}", value=mean)


def _name(method: Mapping[str, Any]) -> Cell:
    missing = ", ".join(map(str, method["missing_seeds"]))
    return Cell(method["label"], f"no result for seed {missing}" if missing else "", method["label"])


def _spread(summary: Mapping[str, Any] | None, form: str, like: float | None = None, mark: str = "") -> Cell:
    if summary is None or summary["mean"] is None:
        return Cell(MISSING)
    shape = {"fixed": fixed, "signed": signed}.get(form)
    text = shape(summary["mean"], like) if shape else percent(summary["mean"])
    return Cell(text, bounds(summary["low"], summary["high"], form, like), summary["mean"], mark)
