"""Columns of values in CSV, TSV, JSON and Parquet files, plain or compressed, with where each value lies."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aioli.data.optional import require
from aioli.data.streams import content_suffix, open_stream
from aioli.errors import InputError
from aioli.files import replace_file

__all__ = ["Columns", "check_writable", "read_columns", "write_columns"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
FORMATS = ".csv, .tsv, .json or .parquet"
SHORT = 40


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of one file, all equally long.

    Attributes:
        values: by column name, as the file spells them. places: where each row lies ("line 3", "row 2").
    """

    path: Path
    values: dict[str, list[Any]]
    places: list[str]

    def __len__(self) -> int:
        return len(self.places)

    def numbers(self, name: str) -> list[float]:
        """A column as numbers.

        Raises:
            InputError: a value that is missing, not a number or not finite; the message says where.
        """
        return [self._number(value, name, row) for row, value in enumerate(self.values[name])]

    def _number(self, value: Any, name: str, row: int) -> float:
        where = f"{self.path}, {self.places[row]}, column {name!r}"
        if value is None or (isinstance(value, str) and not value.strip()):
            raise InputError(f"{where}: expected a number, got nothing: fill it in, or remove the run")
        try:
            if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
                raise ValueError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{where}: expected a number, got {_shortened(value)}") from None
        if not math.isfinite(number):
            raise InputError(f"{where}: expected a finite number, got {number}: remove runs without a result")
        return number


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]} ..."


def read_columns(path: Path) -> Columns:
    """Read a .csv, .tsv, .json (records or columns) or .parquet file, perhaps packed as .gz or .zst.

    Raises:
        InputError: another format, a file that cannot be read, is empty, not text, ragged or truncated, or a
            column name that is there twice.
    """
    read = READERS.get(content_suffix(path))
    if read is None:
        raise InputError(f"{path}: expected a table in {FORMATS}, got {path.suffix or 'no suffix'!r}")
    with open_stream(path, lambda count: None) as stream:
        data = stream.read()
    if not data:
        raise InputError(f"{path} is empty: expected a table with column names and a row for each run")
    columns = read(path, data)
    if not len(columns):
        raise InputError(f"{path} has no rows: expected one for each run, below the column names")
    return columns


def _text(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{path} is a binary file (or not UTF-8), not text: its suffix must tell its format")
    return text


def _read_csv(path: Path, data: bytes) -> Columns:
    csv.field_size_limit(sys.maxsize)
    separator = SEPARATORS[content_suffix(path)]
    rows = csv.reader(io.StringIO(_text(path, data), newline=""), delimiter=separator, strict=True)
    places: list[str] = []
    records: list[list[str]] = []
    header: list[str] = []
    try:
        for row in rows:
            if not header:
                header = [name.strip() for name in row]
            elif len(row) not in (0, len(header)):
                raise InputError(
                    f"{path}, line {rows.line_num}: expected {len(header)} columns as in the first line, "
                    f"got {len(row)}"
                )
            elif row:
                places.append(f"line {rows.line_num}")
                records.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: not a valid row ({error})") from None
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: column names must be unique, got twice: {', '.join(map(repr, repeated))}")
    return Columns(path, {name: [row[i] for row in records] for i, name in enumerate(header)}, places)


def _read_json(path: Path, data: bytes) -> Columns:
    try:
        content = json.loads(_text(path, data))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error})") from None
    if isinstance(content, list) and all(isinstance(record, dict) for record in content):
        return _from_records(path, content)
    if isinstance(content, dict) and all(isinstance(column, list) for column in content.values()):
        lengths = {name: len(column) for name, column in content.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: the columns must be equally long, got {lengths}")
        count = max(lengths.values(), default=0)
        return Columns(path, content, [f"row {row + 1}" for row in range(count)])
    raise InputError(
        f"{path}: expected a list of records {{column: value}}, or columns {{name: [values]}}, "
        f"got {_shortened(content)}"
    )


def _from_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Columns:
    names = list(records[0]) if records else []
    for row, record in enumerate(records, start=1):
        if record.keys() != set(names):
            other = sorted(record.keys() ^ set(names))
            raise InputError(
                f"{path}, row {row}: expected the columns of row 1, but only one of the two has "
                f"{', '.join(map(repr, other))}"
            )
    places = [f"row {row + 1}" for row in range(len(records))]
    return Columns(path, {name: [record[name] for record in records] for name in names}, places)


def _read_parquet(path: Path, data: bytes) -> Columns:
    arrow = require("pyarrow", "to read .parquet files", "offline")
    parquet = require("pyarrow.parquet", "to read .parquet files", "offline")
    try:
        table = parquet.read_table(arrow.BufferReader(data))
        values = {name: table.column(i).to_pylist() for i, name in enumerate(table.column_names)}
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a complete parquet file ({str(error).splitlines()[0]})") from None
    return Columns(path, values, [f"row {row + 1}" for row in range(table.num_rows)])


READERS: dict[str, Callable[[Path, bytes], Columns]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def check_writable(path: Path) -> None:
    """Refuse a file name whose suffix names no format, before anything is computed for it.

    Raises:
        InputError: another suffix than .csv, .tsv, .json or .parquet, the first three perhaps with .gz.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = suffixes[-1 - packed] if len(suffixes) > packed else ""
    if kind not in READERS or (packed and kind == ".parquet"):
        raise InputError(f"cannot write a table to {path}: name a file in {FORMATS}")


def write_columns(path: Path, values: Mapping[str, Sequence[str | int | float]]) -> None:
    """Write equally long columns in the format that the suffix of `path` names, in one step.

    Raises:
        InputError: as of `check_writable`, or a package that is not installed.
    """
    check_writable(path)
    kind = content_suffix(path)
    if kind == ".parquet":
        data = _parquet_bytes(values)
    elif kind == ".json":
        records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        data = b"[" + b",\n ".join(json.dumps(record).encode() for record in records) + b"]\n"
    else:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=SEPARATORS[kind], lineterminator="\n")
        writer.writerow(values)
        writer.writerows(zip(*values.values(), strict=True))
        data = text.getvalue().encode()
    packed = path.suffix.lower() == ".gz"
    replace_file(path, gzip.compress(data, mtime=0) if packed else data)


def _parquet_bytes(values: Mapping[str, Sequence[str | int | float]]) -> bytes:
    arrow = require("pyarrow", "to write .parquet files", "offline")
    parquet = require("pyarrow.parquet", "to write .parquet files", "offline")
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table({name: list(column) for name, column in values.items()}), sink)
    return sink.getvalue().to_pybytes()
