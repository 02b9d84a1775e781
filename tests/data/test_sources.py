"""Reading documents: every format, plain and compressed, and every kind of bad input."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from aioli.data import formats
from aioli.data.formats import Invalid
from aioli.data.settings import TextSource
from aioli.data.sources import expand, open_source
from aioli.errors import InputError

TEXTS = [
    "first line\nsecond line, with a comma",
    "naïve café, 日本語 and \N{GRINNING FACE}",
    'a "quote"\n\nend',
]


def jsonl(texts: list[str], field: str = "text") -> bytes:
    return "".join(json.dumps({"id": k, field: text}) + "\n" for k, text in enumerate(texts)).encode()


def as_csv(texts: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([["id", "text"], *([k, text] for k, text in enumerate(texts))])
    return out.getvalue().encode()


def parquet(texts: list, kind: pa.DataType | None = None) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": range(len(texts)), "text": pa.array(texts, kind or pa.string())}), out)
    return out.getvalue()


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
ROWS = {".jsonl": jsonl, ".csv": as_csv, ".parquet": parquet}


def read(path: Path, field: str = "text") -> list:
    source = open_source("law", TextSource((path.name,), field), path.parent, target=False)
    return [document for unit in source.units for document in unit.documents(lambda count: None)]


def put(directory: Path, name: str, content: bytes) -> Path:
    (directory / name).write_bytes(content)
    return directory / name


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("suffix", ROWS)
def test_a_document_a_row(tmp_path: Path, suffix: str, packed: str) -> None:
    assert read(put(tmp_path, f"a{suffix}{packed}", PACK[packed](ROWS[suffix](TEXTS)))) == TEXTS


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("suffix", [".txt", ".md", ".py", ".TXT", ""])
def test_a_document_a_file(tmp_path: Path, suffix: str, packed: str) -> None:
    assert read(put(tmp_path, f"a{suffix}{packed}", PACK[packed](TEXTS[1].encode()))) == [TEXTS[1]]


def test_several_frames_in_one_compressed_file(tmp_path: Path) -> None:
    rows = [jsonl([text]) for text in TEXTS]
    for packed in (".gz", ".zst"):
        assert read(put(tmp_path, f"a.jsonl{packed}", b"".join(map(PACK[packed], rows)))) == TEXTS


def test_byte_order_mark_blank_lines_and_another_field(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    assert read(put(tmp_path, "a.txt", mark + b"hello")) == ["hello"]
    assert read(put(tmp_path, "a.csv", mark + as_csv(TEXTS))) == TEXTS
    assert (
        read(put(tmp_path, "a.jsonl", mark + b"\n".join([jsonl(TEXTS[:1]), b" ", jsonl(TEXTS[1:])]))) == TEXTS
    )
    assert read(put(tmp_path, "b.jsonl", jsonl(TEXTS, "body")), "body") == TEXTS


def test_parquet_text_types(tmp_path: Path) -> None:
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table({"text": pa.array(TEXTS).cast(kind)})
        pq.write_table(table, tmp_path / "a.parquet")
        assert read(tmp_path / "a.parquet") == TEXTS


def test_a_very_long_file_becomes_documents_cut_at_line_ends(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(formats, "LARGEST_DOCUMENT", 5000)
    monkeypatch.setattr(formats, "PIECE", 1000)
    text = "".join(f"line {k} é\n" for k in range(3000)) + "ü" * 20000 + "\nend"
    documents = read(put(tmp_path, "a.txt.gz", gzip.compress(text.encode())))
    assert "".join(documents) == text
    assert len(documents) > 30
    assert max(len(document.encode()) for document in documents) <= 10000
    assert all(document.endswith("\n") for document in documents[:20])


# --- what cannot be read -------------------------------------------------------------------------


def message(path: Path, field: str = "text") -> str:
    with pytest.raises(InputError) as error:
        read(path, field)
    return str(error.value)


@pytest.mark.parametrize("content", [b"\x7fELF\x00\x00", "text".encode("utf-16")], ids=["program", "utf-16"])
@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
def test_binary_file(tmp_path: Path, content: bytes, suffix: str) -> None:
    told = message(put(tmp_path, f"picture{suffix}", content))
    assert f"picture{suffix}" in told and "UTF-8" in told


def test_a_file_that_is_mostly_not_text(tmp_path: Path) -> None:
    assert "noise.txt is mostly not UTF-8" in message(put(tmp_path, "noise.txt", bytes(range(128, 256)) * 20))


def test_invalid_documents_are_marked_with_their_place(tmp_path: Path) -> None:
    plain = read(put(tmp_path, "a.txt", "plenty of text in Latin-1: é".encode("latin-1")))
    assert isinstance(plain[0], Invalid) and plain[0].where.endswith("a.txt")
    rows = read(put(tmp_path, "a.jsonl", b'{"text": "one"}\n{"text": "\xe9"}\n{"text": "\\ud800"}\n'))
    assert rows[0] == "one" and [row.where.split(", ")[1] for row in rows[1:]] == ["line 2", "line 3"]
    table = read(put(tmp_path, "a.csv", b"text\none\n\xe9\n"))
    assert table[0] == "one" and table[1].where.endswith("a.csv, line 3")
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9")]
    )
    pq.write_table(pa.table({"text": bad}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0].where.endswith("a.parquet, row 1")


@pytest.mark.parametrize("packed", [".gz", ".zst"])
@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_truncated_compressed_file(tmp_path: Path, suffix: str, packed: str) -> None:
    texts = [f"{k} {hash(k) ** 3}" for k in range(20000)]
    content = PACK[packed](ROWS[suffix](texts) if suffix in ROWS else "\n".join(texts).encode())
    told = message(put(tmp_path, f"a{suffix}{packed}", content[: len(content) * 2 // 3]))
    assert f"a{suffix}{packed}" in told and "truncated" in told
    assert suffix not in (".jsonl", ".csv") or "after line " in told


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_corrupt_compressed_file(tmp_path: Path, packed: str) -> None:
    content = bytearray(PACK[packed](jsonl([str(k * 7919) for k in range(5000)])))
    content[len(content) // 2 : len(content) // 2 + 50] = bytes(50)
    assert "a.jsonl" in message(put(tmp_path, f"a.jsonl{packed}", bytes(content)))
    assert "corrupt" in message(put(tmp_path, f"b.jsonl{packed}", b"this is not compressed at all"))


def test_truncated_json_line(tmp_path: Path) -> None:
    told = message(put(tmp_path, "a.jsonl", jsonl(TEXTS)[:-30]))
    assert "a.jsonl, line 3" in told and "truncated" in told


def test_truncated_parquet(tmp_path: Path) -> None:
    told = message(put(tmp_path, "a.parquet", parquet(TEXTS)[:-20]))
    assert "a.parquet" in told and "complete parquet" in told


def test_truncated_or_ragged_csv(tmp_path: Path) -> None:
    assert "a.csv, line 2" in message(put(tmp_path, "a.csv", b'id,text\n1,"an open quote'))
    assert "a.csv, line 3: expected 2 columns" in message(put(tmp_path, "a.csv", b"id,text\n1,one\n2"))
    assert "empty file" in message(put(tmp_path, "a.csv", b""))


@pytest.mark.parametrize("suffix", ROWS)
def test_missing_field_names_the_fields_there_are(tmp_path: Path, suffix: str) -> None:
    told = message(put(tmp_path, f"a{suffix}", ROWS[suffix](TEXTS)), "content")
    assert f"a{suffix}" in told and "'content'" in told and "'id', 'text'" in told and "text_field" in told
    assert suffix == ".parquet" or "line 1" in told
    assert "did you mean 'text'" in message(tmp_path / f"a{suffix}", "texts")


@pytest.mark.parametrize(("value", "kind"), [("5", "int"), ("null", "None"), ('["a"]', "list")])
def test_field_that_is_not_text(tmp_path: Path, value: str, kind: str) -> None:
    told = message(put(tmp_path, "a.jsonl", b'{"text": "ok"}\n{"text": ' + value.encode() + b"}\n"))
    assert "line 2" in told and "must hold text" in told and kind in told


def test_rows_that_are_not_objects_and_columns_that_are_not_text(tmp_path: Path) -> None:
    assert "expected a JSON object" in message(put(tmp_path, "a.jsonl", b"[1, 2]\n"))
    assert "its type is int64" in message(put(tmp_path, "a.parquet", parquet([1], pa.int64())))
    assert "row 2" in message(put(tmp_path, "b.parquet", parquet(["a", None])))


# --- paths ---------------------------------------------------------------------------------------


def found(base: Path, *patterns: str) -> list[str]:
    return [str(path.relative_to(base)) for path in expand(TextSource(patterns), base, "group 'law'")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/deep/d.md", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_directories_and_globs(tree: Path) -> None:
    assert found(tree, "b.txt") == ["b.txt"]
    assert found(tree, ".") == ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.md"]
    assert found(tree, "*.txt") == ["a.txt", "b.txt"]
    assert found(tree, "**/*.txt", "b.txt") == ["a.txt", "b.txt", "sub/c.txt"]
    assert found(tree, "sub/**") == ["sub/c.txt", "sub/deep/d.md"]
    assert found(tree, str(tree / "sub" / "*.txt")) == ["sub/c.txt"]


def test_a_base_directory_with_glob_characters(tmp_path: Path) -> None:
    base = tmp_path / "data [v1]"
    base.mkdir()
    (base / "[x].txt").write_text("x")
    assert found(base, "*.txt") == found(base, "[x].txt") == ["[x].txt"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("no/such.txt", "no such file or directory: 'no/such.txt'"),
        ("*.csv", "matches nothing"),
        ("s*", "only directories; add '/**'"),
    ],
)
def test_paths_that_lead_nowhere(tree: Path, pattern: str, told: str) -> None:
    with pytest.raises(InputError, match="group 'law'") as error:
        found(tree, pattern)
    assert told in str(error.value)


def test_no_paths_and_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no paths"):
        found(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no files"):
        found(tmp_path, "empty")


def test_small_files_share_units_and_the_order_is_that_of_the_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("aioli.data.sources.UNIT_BYTES", 25)
    for k in range(10):
        (tmp_path / f"{k}.txt").write_text(f"document {k}")
    source = open_source("law", TextSource(("*.txt",)), tmp_path, target=False)
    assert [len(unit.files) for unit in source.units] == [3, 3, 3, 1]
    documents = [document for unit in source.units for document in unit.documents(lambda count: None)]
    assert documents == [f"document {k}" for k in range(10)]
