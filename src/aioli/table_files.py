"""Tables of runs in files: mixtures and losses measured anywhere, and predictions.

A run is a row. In one file, `mixture/GROUP` and `loss/TARGET` tell the columns apart (the form in which
tables are written here); in two files, every column that is not one of these is a group, or a target:

    index (or name)     names the run, and joins the rows of two files
    size                parameters of the model
    tokens              tokens trained, or `steps` (`step`) with `step_tokens` (tokens of a step)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array
from aioli.table import Runs, Table
from aioli.table_formats import Columns, read_columns, write_columns

__all__ = ["LOSS", "MIXTURE", "read_runs", "read_table", "write_predictions", "write_table"]

MIXTURE = "mixture/"
LOSS = "loss/"
NAMES = ("index", "name", "", "__index_level_0__")
"""What names the run, the first that is there; the last two are how pandas writes an index without a name."""
SCALES = ("size", "tokens", "steps", "step_tokens")
SOME = 3


def read_table(mixtures: Path, losses: Path | None = None, *, step_tokens: float | None = None) -> Table:
    """Read runs with their losses, from one file or from two.

    Two files are joined on their index, in the order of the mixtures; where one has none, row by row. The
    file of losses may have several rows of a run, of different sizes or tokens.

    Args:
        step_tokens: tokens of a step, where a column `steps` has no `step_tokens` beside it.

    Raises:
        InputError: a file, line or value that does not fit, see `aioli.table_formats` and `aioli.table`; an
            unknown or missing column; an index that is there twice, or in one file only.
    """
    first = _read(mixtures)
    second = first if losses is None else _read(losses)
    groups = _chosen(first, MIXTURE, LOSS, marked_only=losses is None)
    targets = _chosen(second, LOSS, MIXTURE, marked_only=losses is None)
    left, right = _paired(first, second)
    where = str(mixtures) if losses is None else f"{mixtures} with {losses}"
    shares, reached = _matrix(first, groups)[left], _matrix(second, targets)[right]
    scales = {name: _agreed(name, _at(first, name, left), _at(second, name, right), where) for name in SCALES}
    names = _names(first, left) or _names(second, right) or [str(row + 1) for row in left]
    tokens = _tokens(scales, step_tokens, where)
    try:
        return Table(
            tuple(groups),
            tuple(names),
            shares,
            scales["size"],
            tokens,
            targets=tuple(targets),
            losses=reached,
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def read_runs(mixtures: Path, *, step_tokens: float | None = None) -> Runs:
    """Read runs without their losses; a table with losses is taken too, and they are left out.

    Raises:
        InputError: as of `read_table`.
    """
    found = _read(mixtures)
    groups, rows = _chosen(found, MIXTURE, LOSS), list(range(len(found)))
    scales = {name: _at(found, name, rows) for name in SCALES}
    names = _names(found, rows) or [str(row + 1) for row in rows]
    shares, tokens = _matrix(found, groups), _tokens(scales, step_tokens, str(mixtures))
    try:
        return Runs(tuple(groups), tuple(names), shares, scales["size"], tokens)
    except InputError as error:
        raise InputError(f"{mixtures}: {error}") from None


def write_table(path: Path, table: Table) -> None:
    """Write a table as one file, in the format that the suffix names; `read_table` reads it again.

    Raises:
        InputError: another suffix than .csv, .tsv, .json or .parquet.
    """
    columns = _scale_columns(table)
    columns |= {MIXTURE + name: table.mixtures[:, j].tolist() for j, name in enumerate(table.groups)}
    columns |= {LOSS + name: table.losses[:, i].tolist() for i, name in enumerate(table.targets)}
    write_columns(path, columns)


def write_predictions(path: Path, runs: Runs, targets: Sequence[str], losses: Array) -> None:
    """Write predicted losses [k, n]: `index`, and a column for each target under its own name.

    Size and tokens are written too where a run is there several times, to tell its rows apart.

    Raises:
        InputError: another suffix than .csv, .tsv, .json or .parquet.
    """
    columns = _scale_columns(runs) if len(set(runs.names)) < len(runs) else {"index": list(runs.names)}
    write_columns(path, columns | {name: losses[:, i].tolist() for i, name in enumerate(targets)})


def _read(path: Path) -> Columns:
    """The columns of a file, `step` under the name `steps`."""
    found = read_columns(path)
    renamed = {"steps" if name == "step" else name: column for name, column in found.values.items()}
    return found if len(renamed) < len(found.values) else replace(found, values=renamed)


def _scale_columns(runs: Runs) -> dict[str, Any]:
    columns: dict[str, Any] = {"index": list(runs.names)}
    for name, values in (("size", runs.size), ("tokens", runs.tokens)):
        if values is not None:
            columns[name] = [int(v) if v.is_integer() else v for v in values.tolist()]
    return columns


def _chosen(found: Columns, prefix: str, other: str, *, marked_only: bool = False) -> dict[str, str]:
    """Groups (or targets) of a file, each with its column: the prefixed ones, or else all that are left."""
    marked = {name.removeprefix(prefix): name for name in found.values if name.startswith(prefix)}
    known = {*NAMES, *SCALES}
    left = [name for name in found.values if name not in known and not name.startswith((prefix, other))]
    if marked and left:
        hint = nearest(left[0], [*found.values.keys() - {left[0]}, *SCALES, "index"])
        raise InputError(
            f"{found.path}: unknown column {left[0]!r} beside {prefix}... (expected {MIXTURE}GROUP, "
            f"{LOSS}TARGET, {', '.join(SCALES)} or index): "
            f"{hint if hint.startswith('did') else 'rename it, or take it out'}"
        )
    mixed = any(name.startswith(other) for name in found.values)
    if marked or (left and not marked_only and not mixed):
        return marked or {name: name for name in left}
    raise InputError(
        f"{found.path}: expected columns {prefix}NAME, one for each "
        f"{'group' if prefix == MIXTURE else 'target'}, got {_some(found.values)}"
        + ("; or give the losses as a file of their own" if marked_only else "")
    )


def _some(names: Sequence[str] | dict[str, Any]) -> str:
    told = ", ".join(map(repr, list(names)[:SOME]))
    return told + (f" and {len(names) - SOME} more" if len(names) > SOME else "")


def _matrix(found: Columns, chosen: dict[str, str]) -> Array:
    return np.array([found.numbers(column) for column in chosen.values()]).T


def _at(found: Columns, name: str, rows: Sequence[int]) -> Array | None:
    return np.array(found.numbers(name))[rows] if name in found.values else None


def _agreed(name: str, first: Array | None, second: Array | None, where: str) -> Array | None:
    """A column that may be in either file."""
    if first is not None and second is not None and not np.array_equal(first, second):
        row = int(np.flatnonzero(first != second)[0])
        raise InputError(
            f"{where}: the two files differ in {name} for row {row + 1} of the mixtures "
            f"({first[row]:g} and {second[row]:g}): keep the column in one of them"
        )
    return second if first is None else first


def _tokens(scales: dict[str, Array | None], step_tokens: float | None, where: str) -> Array | None:
    """Tokens trained: as they are, or steps times tokens of a step."""
    tokens, steps, each = scales["tokens"], scales["steps"], scales["step_tokens"]
    if tokens is not None or steps is None:
        return tokens
    if each is None and step_tokens is None:
        raise InputError(
            f"{where}: `steps` without the tokens of a step: add a column `step_tokens`, or give them to "
            "`aioli sweep import --step-tokens N`"
        )
    return steps * (step_tokens if each is None else each)


def _index(found: Columns) -> str | None:
    return next((name for name in NAMES if name in found.values), None)


def _names(found: Columns, rows: Sequence[int]) -> list[str]:
    column = _index(found)
    if column is None:
        return []
    return [_name(found, column, row) for row in rows]


def _name(found: Columns, column: str, row: int) -> str:
    value = found.values[column][row]
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if value is None or not text:
        raise InputError(
            f"{found.path}, {found.places[row]}: expected the name of a run in {column!r}, got none"
        )
    return text


def _paired(first: Columns, second: Columns) -> tuple[list[int], list[int]]:
    """Rows of both files that belong together: by index, and by the scales that both have; else in order."""
    if first is second:
        return list(range(len(first))), list(range(len(first)))
    if _index(first) is None or _index(second) is None:
        if len(first) != len(second):
            raise InputError(
                f"{first.path} has {len(first)} rows and {second.path} {len(second)}, and without a column "
                "`index` in both they are paired by their order: add one, or remove what has no partner"
            )
        return list(range(len(first))), list(range(len(first)))
    shared = [name for name in SCALES if name in first.values and name in second.values]
    left = _keys(first, shared)
    _keys(second, [name for name in SCALES if name in second.values])
    right: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(_keys_of(second, shared)):
        right.setdefault(key, []).append(row)
    _refuse_alone(first.path, second.path, left, right)
    _refuse_alone(second.path, first.path, right, left)
    pairs = [(row, other) for key, row in left.items() for other in right[key]]
    return [row for row, _ in pairs], [row for _, row in pairs]


def _keys_of(found: Columns, scales: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(_names(found, range(len(found))), *(found.numbers(name) for name in scales), strict=True))


def _keys(found: Columns, scales: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """The row of every key, each there once."""
    rows: dict[tuple[Any, ...], int] = {}
    for row, key in enumerate(_keys_of(found, scales)):
        first = rows.setdefault(key, row)
        if first != row:
            alike = f" at the same {' and '.join(scales)}" if scales else ""
            raise InputError(
                f"{found.path}: index {key[0]!r} is there twice{alike} ({found.places[first]} and "
                f"{found.places[row]}): remove one, or give repetitions an index of their own"
            )
    return rows


def _refuse_alone(here: Path, there: Path, keys: dict[tuple[Any, ...], Any], others: dict[Any, Any]) -> None:
    alone = [", ".join(str(part) for part in key) for key in keys if key not in others]
    if alone:
        raise InputError(
            f"{len(alone)} of the runs in {here} {'is' if len(alone) == 1 else 'are'} not in {there}: index "
            f"{_some(alone)}; remove them, or add their rows"
        )
