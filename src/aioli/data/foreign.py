"""Token files that other tools wrote: nanoGPT, OLMo, Megatron, and saved Hugging Face datasets.

Tokens are taken as they are: no end-of-text token is added, because those tools have put theirs already.
Flat files (nanoGPT, OLMo) say nothing of documents and are read as consecutive stretches of
`STRETCH` tokens, each of which is then treated as a document when splits are made.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aioli.data.formats import Text, column_texts
from aioli.data.optional import require
from aioli.errors import InputError

__all__ = ["Tokens", "holds_tokens", "parts", "read_dataset_text", "read_tokens"]

Tokens = NDArray[Any]
"""[length] token ids of one document, of any integer type."""

STRETCH = 1 << 16
"""Tokens of a stretch of a flat file."""

_LLMC_MAGIC, _LLMC_HEADER = 20240520, 1024
_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


def parts(path: Path, kind: str) -> list[Path]:
    """The files behind a path of `kind`, for their sizes; the first is the one that `read_tokens` takes.

    Raises:
        InputError: the path is not what the kind expects.
    """
    if kind == "megatron":
        prefix = path.with_suffix("") if path.suffix in (".bin", ".idx") else path
        pair = [Path(f"{prefix}.bin"), Path(f"{prefix}.idx")]
        for part in pair:
            if not part.is_file():
                raise InputError(
                    f"a Megatron dataset is a pair of files NAME.bin and NAME.idx; "
                    f"{part} is missing (from the path {path})"
                )
        return pair
    if kind == "hf_dataset":
        return _dataset_files(path)
    return [path]


def holds_tokens(path: Path, kind: str, field: str) -> bool:
    """True when `path` holds token ids; False for a saved dataset that has only a text column.

    Raises:
        InputError: the dataset has neither `input_ids` nor the text column.
    """
    if kind != "hf_dataset":
        return kind != "auto"
    names = _schema(_dataset_files(path)[0]).names
    if "input_ids" in names:
        return True
    if field in names:
        return False
    raise InputError(
        f"{path}: expected a column 'input_ids' (token ids) or {field!r} (text); its columns are "
        f"{', '.join(map(repr, names))}; name the text column in text_field"
    )


def read_tokens(path: Path, kind: str, dtype: str) -> Iterator[Tokens]:
    """Yield the documents of one token file.

    Args:
        kind: "nanogpt", "olmo", "megatron" or "hf_dataset".
        dtype: "uint16" or "uint32", of flat files that do not say it themselves.

    Raises:
        InputError: the file is truncated, or is not of that kind.
    """
    if kind == "megatron":
        return _read_megatron(path)
    if kind == "hf_dataset":
        return _read_dataset_tokens(path)
    tokens = _flat_npy(path, dtype) if kind == "olmo" else _flat_bin(path, dtype)
    return (tokens[start : start + STRETCH] for start in range(0, tokens.size, STRETCH))


def _map(path: Path, dtype: str, offset: int = 0) -> Tokens:
    size, item = path.stat().st_size - offset, np.dtype(dtype).itemsize
    if size % item:
        raise InputError(
            f"{path}: {size} bytes are not a whole number of {dtype} tokens; "
            f"the file is truncated, or its dtype is not {dtype}"
        )
    if not size:
        return np.empty(0, dtype)
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "r", offset)


def _flat_bin(path: Path, dtype: str) -> Tokens:
    with path.open("rb") as file:
        head = file.read(12)
    if len(head) == 12:
        magic, version, count = struct.unpack("<3i", head)
        if magic == _LLMC_MAGIC and version == 1:
            tokens = _map(path, "uint16", _LLMC_HEADER)
            if tokens.size != count:
                raise InputError(
                    f"{path}: its llm.c header promises {count} tokens, it holds {tokens.size}: truncated"
                )
            return tokens
    return _map(path, dtype)


def _flat_npy(path: Path, dtype: str) -> Tokens:
    with path.open("rb") as file:
        numpy_file = file.read(6) == b"\x93NUMPY"
    if not numpy_file:
        return _map(path, dtype)
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not a complete .npy file ({error})") from None
    if tokens.dtype.kind not in "iu":
        raise InputError(f"{path}: expected an array of integer token ids, got {tokens.dtype}")
    return tokens.reshape(-1)


def _read_megatron(path: Path) -> Iterator[Tokens]:
    data, index = parts(path, "megatron")
    dtype, lengths, pointers, documents = _megatron_index(index)
    flat = _map(data, dtype)
    first = pointers // flat.dtype.itemsize
    if lengths.size and (lengths.min() < 0 or first.min() < 0 or (first + lengths).max() > flat.size):
        raise InputError(
            f"{data}: {flat.size} tokens, but {index.name} points to token {int((first + lengths).max())}: "
            f"one of the two files is truncated or belongs to another dataset"
        )
    for start, end in pairwise(documents.tolist()):
        if start < end:
            yield np.concatenate([flat[first[k] : first[k] + lengths[k]] for k in range(start, end)])


def _megatron_index(index: Path) -> tuple[str, Tokens, Tokens, Tokens]:
    """Return (dtype, sequence lengths, byte pointers, first sequence of each document and the end)."""
    data = index.read_bytes()
    if data[:9] != _MEGATRON_MAGIC:
        raise InputError(
            f"{index}: not a Megatron index (expected it to begin with MMIDIDX, got {data[:7]!r})"
        )
    size = 34
    version, code, sequences, entries = struct.unpack("<QBQQ", data[9:size].ljust(25, b"\0"))
    if len(data) < size or version != 1:
        raise InputError(f"{index}: expected version 1 of the Megatron index, got version {version}")
    if code not in _MEGATRON_DTYPES:
        known = ", ".join(f"{number} ({np.dtype(name).name})" for number, name in _MEGATRON_DTYPES.items())
        raise InputError(f"{index}: expected a dtype code of token ids, {known}; got {code}")
    needed = size + 12 * sequences + 8 * entries
    if len(data) < needed:
        raise InputError(f"{index}: truncated: expected at least {needed} bytes, got {len(data)}")
    lengths = np.frombuffer(data, "<i4", sequences, size)
    pointers = np.frombuffer(data, "<i8", sequences, size + 4 * sequences)
    documents = np.frombuffer(data, "<i8", entries, size + 12 * sequences)
    if not entries or documents[0] != 0 or documents[-1] != sequences or (np.diff(documents) < 0).any():
        raise InputError(f"{index}: its document boundaries do not run from 0 to {sequences}: corrupt")
    return _MEGATRON_DTYPES[code], lengths.astype(np.int64), pointers, documents


def _dataset_files(path: Path) -> list[Path]:
    if (path / "dataset_dict.json").is_file():
        names = sorted(part.parent.name for part in path.glob("*/state.json"))
        raise InputError(
            f"{path} holds several splits of a dataset ({', '.join(names)}): "
            f"name the one to use, such as {path / (names or ['train'])[0]}"
        )
    state = path / "state.json"
    if not state.is_file():
        raise InputError(f"{path}: not a dataset saved with save_to_disk (it has no state.json)")
    try:
        content = json.loads(state.read_bytes())
        files = [path / entry["filename"] for entry in content["_data_files"]]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{state}: not the state.json of a saved dataset: truncated or corrupt") from None
    if content.get("_indices_data_files"):
        raise InputError(f"{path}: saved with an index of rows; save it again after flatten_indices()")
    if not files:
        raise InputError(f"{path}: the dataset has no rows")
    for file in files:
        if not file.is_file():
            raise InputError(f"{path}: its data file {file.name} is missing")
    return files


def _batches(file: Path) -> Iterator[Any]:
    arrow = require("pyarrow", "to read saved Hugging Face datasets")
    try:
        with arrow.memory_map(str(file)) as source, arrow.ipc.open_stream(source) as reader:
            yield from reader
    except (arrow.ArrowException, OSError) as error:
        raise InputError(
            f"{file}: not a complete Arrow stream ({str(error).splitlines()[0]}); save the dataset again"
        ) from None


def _schema(file: Path) -> Any:
    arrow = require("pyarrow", "to read saved Hugging Face datasets")
    try:
        with arrow.memory_map(str(file)) as source, arrow.ipc.open_stream(source) as reader:
            return reader.schema
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: not an Arrow stream ({str(error).splitlines()[0]})") from None


def _read_dataset_tokens(path: Path) -> Iterator[Tokens]:
    arrow = require("pyarrow", "to read saved Hugging Face datasets")
    row = 0
    for file in _dataset_files(path):
        for batch in _batches(file):
            column = batch.column("input_ids")
            kind = column.type
            lists = arrow.types.is_list(kind) or arrow.types.is_large_list(kind)
            if not lists or not arrow.types.is_integer(kind.value_type):
                raise InputError(f"{path}: the column 'input_ids' must hold lists of integers, it is {kind}")
            if column.null_count or column.flatten().null_count:
                raise InputError(f"{path}: a null in the column 'input_ids' in rows {row + 1} and on")
            values = column.values.to_numpy()
            offsets = column.offsets.to_numpy()
            row += len(batch)
            yield from (values[start:end] for start, end in pairwise(offsets.tolist()))


def read_dataset_text(path: Path, field: str) -> Iterator[Text]:
    """Yield the rows of the text column of a saved dataset.

    Raises:
        InputError: truncated files, a column that is not text, a null.
    """
    row = 0
    for file in _dataset_files(path):
        for batch in _batches(file):
            yield from column_texts(batch.column(field), field, path, row)
            row += len(batch)
