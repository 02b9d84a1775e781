"""Documents of text files: one a file (.txt, .md, source code), or one a row (.jsonl, .csv, .parquet)."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from aioli.data.optional import require
from aioli.data.streams import content_suffix, open_stream
from aioli.errors import InputError, nearest

__all__ = ["Invalid", "Text", "column_texts", "read_text"]

LARGEST_DOCUMENT = 64 << 20
"""Bytes of a text file beyond which it is read as many documents (so that memory stays bounded)."""
PIECE = 1 << 20
"""Bytes of one such document; it ends at a line end."""

Report = Callable[[int], None]


class Invalid(NamedTuple):
    """A document that is not valid UTF-8, and where it lies."""

    where: str


Text = str | Invalid


def read_text(path: Path, field: str, report: Report) -> Iterator[Text]:
    """Yield the documents of one text file, compressed or not, in order.

    Raises:
        InputError: binary content, truncated or malformed data, or a missing or non-text field; the
            message names the file, and the line or row.
    """
    suffix = content_suffix(path)
    if suffix in (".jsonl", ".ndjson"):
        return _read_jsonl(path, field, report)
    if suffix == ".csv":
        return _read_csv(path, field, report)
    if suffix == ".parquet":
        return _read_parquet(path, field, report)
    return _read_plain(path, report)


def _refuse_binary(data: bytes, where: str) -> None:
    if b"\0" in data:
        raise InputError(
            f"{where} is a binary file (or UTF-16 text), not UTF-8 text: convert it, or leave it out with "
            f"a narrower path such as 'folder/**/*.txt'"
        )


def _decode(data: bytes, where: str) -> Text:
    """Decode a document; Invalid when a few bytes are wrong, an error when most are."""
    _refuse_binary(data, where)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    text = data.decode("utf-8", errors="replace")
    if text.count("\N{REPLACEMENT CHARACTER}") > 0.3 * len(text):
        raise InputError(f"{where} is mostly not UTF-8 text: convert it to UTF-8, or leave it out")
    return Invalid(where)


def _read_plain(path: Path, report: Report) -> Iterator[Text]:
    with open_stream(path, report) as stream:
        data = stream.read(LARGEST_DOCUMENT + 1)
        if len(data) <= LARGEST_DOCUMENT:
            yield _decode(data, str(path))
        else:
            for piece in _pieces(data, stream):
                yield _decode(piece, str(path))


def _pieces(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Cut a long file into consecutive pieces of at least PIECE bytes that end at a line end."""
    while data:
        start = 0
        while len(data) - start > 2 * PIECE:
            end = data.find(b"\n", start + PIECE - 1) + 1
            if not end and len(data) - start <= LARGEST_DOCUMENT:
                break
            if not end:
                end = start + PIECE
                while data[end] & 0xC0 == 0x80:
                    end -= 1
            yield data[start:end]
            start = end
        more = stream.read(LARGEST_DOCUMENT)
        data = data[start:] + more
        if not more:
            yield data
            return


def _read_jsonl(path: Path, field: str, report: Report) -> Iterator[Text]:
    number = 0
    with open_stream(path, report, lambda: f"line {number}") as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            where = f"{path}, line {number}"
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError:
                _refuse_binary(line, where)
                yield Invalid(where)
                continue
            except (ValueError, RecursionError) as error:
                _refuse_binary(line, where)
                raise InputError(
                    f"{where}: expected one JSON object a line, got {_short(line)} ({error}); "
                    f"the file may be truncated: mend or remove the line"
                ) from None
            yield _text_of(record, field, where)


def _short(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace").strip()
    return repr(text if len(text) <= 80 else text[:60] + " ... " + text[-15:])


def _text_of(record: Any, field: str, where: str) -> Text:
    if not isinstance(record, dict):
        raise InputError(
            f"{where}: expected a JSON object with a field {field!r}, got {_short_value(record)}"
        )
    if field not in record:
        raise _missing(field, list(record), where)
    text = record[field]
    if not isinstance(text, str):
        raise InputError(f"{where}: the field {field!r} must hold text, got {_short_value(text)}")
    return text if _encodable(text) else Invalid(where)


def _short_value(value: Any) -> str:
    text = f"{value!r}"
    return f"{type(value).__name__} {text[:60] + ' ...' if len(text) > 60 else text}"


def _encodable(text: str) -> bool:
    """False for lone surrogates, which JSON escapes can spell and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(field: str, fields: list[str], where: str) -> InputError:
    known = ", ".join(map(repr, fields)) or "none"
    hint = nearest(field, fields) if fields else ""
    hint = hint if hint.startswith("did") else "name the one that holds the text in text_field"
    return InputError(f"{where}: no field {field!r}; its fields are {known}; {hint}")


def _read_csv(path: Path, field: str, report: Report) -> Iterator[Text]:
    csv.field_size_limit(sys.maxsize)
    line = 0
    with open_stream(path, report, lambda: f"line {line}") as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.reader(_checked_lines(text, path), strict=True)
        try:
            header = next(rows, None)
            if header is None:
                raise InputError(f"{path}: expected a header line with a column {field!r}, got an empty file")
            if field not in header:
                raise _missing(field, header, f"{path}, line 1 (the header)")
            column = header.index(field)
            for row in rows:
                line = rows.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{path}, line {line}: expected {len(header)} columns as in line 1, got {len(row)}"
                    )
                yield row[column] if _encodable(row[column]) else Invalid(f"{path}, line {line}")
        except csv.Error as error:
            raise InputError(
                f"{path}, line {rows.line_num}: not a valid CSV row ({error}); mend or remove it"
            ) from None
        finally:
            text.detach()


def _checked_lines(lines: io.TextIOWrapper, path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            _refuse_binary(b"\0", f"{path}, line {number},")
        yield line


def _read_parquet(path: Path, field: str, report: Report) -> Iterator[Text]:
    parquet = require("pyarrow.parquet", "to read .parquet files")
    arrow = require("pyarrow", "to read .parquet files")
    try:
        if content_suffix(path) == path.suffix.lower():
            source: Any = path
            report(path.stat().st_size)
        else:
            with open_stream(path, report) as stream:
                source = arrow.BufferReader(stream.read())
        with parquet.ParquetFile(source, memory_map=source is path) as table:
            names = table.schema_arrow.names
            if field not in names:
                raise _missing(field, names, str(path))
            row = 0
            for batch in table.iter_batches(batch_size=1024, columns=[field]):
                yield from column_texts(batch.column(0), field, path, row)
                row += len(batch)
    except (arrow.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a complete parquet file ({str(error).splitlines()[0]}); "
            f"make or download the file again, or leave it out"
        ) from None


def column_texts(column: Any, field: str, path: Path, first_row: int) -> Iterator[Text]:
    """Yield the texts of an Arrow column; rows are numbered from 1, `first_row` rows came before.

    Raises:
        InputError: the column is not of a text type, or a row is null.
    """
    arrow = require("pyarrow", "to read Arrow data")
    kind = column.type.value_type if arrow.types.is_dictionary(column.type) else column.type
    if not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind) or str(kind) == "string_view"):
        raise InputError(f"{path}: the column {field!r} must hold text, its type is {column.type}")
    column = column.dictionary_decode() if kind is not column.type else column
    for number, data in enumerate(column.cast(arrow.large_binary()), first_row + 1):
        value = data.as_py()
        if value is None:
            raise InputError(f"{path}, row {number}: the column {field!r} must hold text, got null")
        try:
            yield value.decode("utf-8")
        except UnicodeDecodeError:
            yield Invalid(f"{path}, row {number}")
