"""Token files of other tools, built by hand from the descriptions of their formats."""

import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from aioli.data import foreign
from aioli.data.settings import TextSource
from aioli.data.sources import open_source
from aioli.errors import InputError

DOCUMENTS = [np.array([5, 6, 7, 0]), np.array([70, 0]), np.array([300, 301, 302, 303, 304, 0])]
FLAT = np.concatenate(DOCUMENTS)


def read(path: Path, kind: str, dtype: str = "uint16", field: str = "text") -> list:
    settings = TextSource((path.name,), field, kind, dtype)  # type: ignore[arg-type]
    source = open_source("law", settings, path.parent, target=False)
    return [document for unit in source.units for document in unit.documents(lambda count: None)]


def message(path: Path, kind: str, dtype: str = "uint16", field: str = "text") -> str:
    with pytest.raises(InputError) as error:
        read(path, kind, dtype, field)
    return str(error.value)


def same(documents: list, expected: list) -> bool:
    return [list(d) for d in documents] == [list(d) for d in expected]


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize(("kind", "name"), [("nanogpt", "train.bin"), ("olmo", "part-0.npy")])
def test_raw_files(tmp_path: Path, kind: str, name: str, dtype: str) -> None:
    FLAT.astype(dtype).tofile(tmp_path / name)
    assert same(read(tmp_path / name, kind, dtype), [FLAT])


def test_raw_file_is_read_in_stretches(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(foreign, "STRETCH", 5)
    FLAT.astype("<u2").tofile(tmp_path / "a.bin")
    assert same(read(tmp_path / "a.bin", "nanogpt"), [FLAT[:5], FLAT[5:10], FLAT[10:]])


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
def test_numpy_file_says_its_own_dtype(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", FLAT.astype(dtype).reshape(3, 4))
    assert same(read(tmp_path / "a.npy", "olmo"), [FLAT])


def test_numpy_files_that_cannot_be_used(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FLAT.astype(float))
    assert "integer token ids, got float64" in message(tmp_path / "a.npy", "olmo")
    np.save(tmp_path / "b.npy", FLAT)
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-9])
    assert "b.npy: not a complete .npy file" in message(tmp_path / "b.npy", "olmo")


def test_truncated_raw_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(FLAT.astype("<u2").tobytes()[:-1])
    assert "a.bin: 23 bytes are not a whole number of uint16" in message(tmp_path / "a.bin", "nanogpt")


def test_llmc_header_is_not_taken_for_tokens(tmp_path: Path) -> None:
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, FLAT.size
    (tmp_path / "a.bin").write_bytes(header.tobytes() + FLAT.astype("<u2").tobytes())
    assert same(read(tmp_path / "a.bin", "nanogpt"), [FLAT])
    (tmp_path / "b.bin").write_bytes(header.tobytes() + FLAT[:-2].astype("<u2").tobytes())
    assert "promises 12 tokens, it holds 10" in message(tmp_path / "b.bin", "nanogpt")


# --- Megatron ------------------------------------------------------------------------------------


def megatron(prefix: Path, sequences: list, documents: list[int], dtype: str = "<u2", code: int = 8) -> None:
    lengths = np.array([len(s) for s in sequences], "<i4")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) * np.dtype(dtype).itemsize
    header = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(sequences), len(documents))
    boundaries = np.array(documents, "<i8").tobytes()
    Path(f"{prefix}.idx").write_bytes(
        header + lengths.tobytes() + starts.astype("<i8").tobytes() + boundaries
    )
    Path(f"{prefix}.bin").write_bytes(np.concatenate(sequences).astype(dtype).tobytes())


@pytest.mark.parametrize(("dtype", "code"), [("<u2", 8), ("<i4", 4), ("<i8", 5)])
@pytest.mark.parametrize(
    "name", ["web_text_document", "web_text_document.bin", "web_text_document.idx", "web*"]
)
def test_megatron(tmp_path: Path, dtype: str, code: int, name: str) -> None:
    megatron(tmp_path / "web_text_document", DOCUMENTS, [0, 1, 2, 3], dtype, code)
    assert same(read(tmp_path / name, "megatron"), DOCUMENTS)


def test_megatron_documents_of_several_sequences(tmp_path: Path) -> None:
    megatron(tmp_path / "v1.5_document", DOCUMENTS, [0, 2, 2, 3])
    expected = [np.concatenate(DOCUMENTS[:2]), DOCUMENTS[2]]
    assert same(read(tmp_path / "v1.5_document", "megatron"), expected)


def test_broken_megatron_files(tmp_path: Path) -> None:
    web, index, data = tmp_path / "web", tmp_path / "web.idx", tmp_path / "web.bin"
    megatron(web, DOCUMENTS, [0, 1, 2, 3])
    good, tokens = index.read_bytes(), data.read_bytes()
    for content, told in (
        (b"something else entirely, and long enough to hold a header", "not a Megatron index"),
        (good[:9] + struct.pack("<Q", 2) + good[17:], "version 2"),
        (good[:17] + b"\x07" + good[18:], "got 7"),
        (good[:-3], "truncated"),
        (good[:20], "web.idx"),
        (good[:-8] + struct.pack("<q", 2), "corrupt"),
    ):
        index.write_bytes(content)
        assert told in message(web, "megatron")
    index.write_bytes(good)
    data.write_bytes(tokens[:-2])
    assert "points to token 12" in message(web, "megatron")
    data.unlink()
    assert "web.bin is missing" in message(web, "megatron")


# --- saved Hugging Face datasets -----------------------------------------------------------------


def save_dataset(directory: Path, tables: list[pa.Table], **state: object) -> Path:
    directory.mkdir(parents=True)
    names = [f"data-{k:05d}-of-{len(tables):05d}.arrow" for k in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(directory / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    entries = [{"filename": name} for name in names]
    (directory / "state.json").write_text(json.dumps({"_data_files": entries, "_split": None, **state}))
    (directory / "dataset_info.json").write_text("{}")
    return directory


def ids(documents: list, kind: pa.DataType | None = None) -> pa.Table:
    lists = [[int(t) for t in document] for document in documents]
    return pa.table({"input_ids": pa.array(lists, kind or pa.list_(pa.int32())), "n": range(len(lists))})


@pytest.mark.parametrize("kind", [pa.list_(pa.int32()), pa.list_(pa.int64()), pa.large_list(pa.uint16())])
def test_saved_dataset_of_tokens(tmp_path: Path, kind: pa.DataType) -> None:
    save_dataset(tmp_path / "ds", [ids(DOCUMENTS, kind), ids(DOCUMENTS[:1], kind)])
    assert same(read(tmp_path / "ds", "hf_dataset"), [*DOCUMENTS, DOCUMENTS[0]])


def test_saved_dataset_of_text(tmp_path: Path) -> None:
    save_dataset(tmp_path / "ds", [pa.table({"body": ["one", "two", "three"]}), pa.table({"body": ["four"]})])
    assert read(tmp_path / "ds", "hf_dataset", field="body") == ["one", "two", "three", "four"]
    assert "its columns are 'body'" in message(tmp_path / "ds", "hf_dataset")


def test_broken_saved_datasets(tmp_path: Path) -> None:
    path = save_dataset(tmp_path / "ds", [ids(DOCUMENTS)])
    arrow = path / "data-00000-of-00001.arrow"
    arrow.write_bytes(arrow.read_bytes()[:-120])
    assert "Arrow stream" in message(path, "hf_dataset")
    arrow.unlink()
    assert "data-00000-of-00001.arrow is missing" in message(path, "hf_dataset")
    (path / "state.json").write_text('{"_data_')
    assert "state.json" in message(path, "hf_dataset")
    (path / "state.json").unlink()
    assert "save_to_disk" in message(path, "hf_dataset")
    path = save_dataset(
        tmp_path / "shuffled", [ids(DOCUMENTS)], _indices_data_files=[{"filename": "i.arrow"}]
    )
    assert "flatten_indices" in message(path, "hf_dataset")
    nulls = pa.table({"input_ids": pa.array([[1], None], pa.list_(pa.int32()))})
    assert "null" in message(save_dataset(tmp_path / "nulls", [nulls]), "hf_dataset")
    words = pa.table({"input_ids": pa.array([["a"]])})
    assert "lists of integers" in message(save_dataset(tmp_path / "words", [words]), "hf_dataset")


def test_a_saved_dictionary_of_splits_asks_for_one(tmp_path: Path) -> None:
    save_dataset(tmp_path / "both" / "train", [ids(DOCUMENTS)])
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert "both/train" in message(tmp_path / "both", "hf_dataset")


def test_a_group_mixes_no_tokens_and_text(tmp_path: Path) -> None:
    save_dataset(tmp_path / "ds1", [ids(DOCUMENTS)])
    save_dataset(tmp_path / "ds2", [pa.table({"text": ["words"]})])
    with pytest.raises(InputError, match="mixes token ids and text"):
        open_source("law", TextSource(("ds*",), kind="hf_dataset"), tmp_path, target=False)
