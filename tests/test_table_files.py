"""Tables of runs read from and written to files, and what is said about files that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.errors import InputError
from aioli.table import Table
from aioli.table_files import read_runs, read_table, write_predictions, write_table

REGMIX = Path(__file__).parent.parent / "benchmarks" / "regmix"
MIXTURES = "index,law,code\n1,.5,.5\n2,.2,.8\n"
LOSSES = "index,law,news\n2,3,5\n1,2,4\n"
SUFFIXES = ["csv", "tsv", "json", "parquet", "csv.gz", "tsv.gz", "json.gz"]


def files(place: Path, mixtures: str, losses: str | None = None) -> tuple[Path, Path | None]:
    (place / "m.csv").write_text(mixtures)
    if losses is None:
        return place / "m.csv", None
    (place / "l.csv").write_text(losses)
    return place / "m.csv", place / "l.csv"


def test_the_published_files_of_regmix_read_as_they_are():
    rows = {"train_1m": 512, "test_1m": 256, "test_60m": 256, "test_1B": 64}
    for name, count in rows.items():
        part, scale = name.split("_")
        table = read_table(REGMIX / f"{part}_mixture_{scale}.csv", REGMIX / f"{part}_pile_loss_{scale}.csv")
        assert (len(table), table.m, table.n) == (count, 17, 13)
        assert table.groups[0] == "train_the_pile_arxiv"
        assert table.targets[0] == "metric/the_pile_arxiv_val_loss"
    first = read_table(REGMIX / "train_mixture_1m.csv", REGMIX / "train_pile_loss_1m.csv")
    assert first.names[:2] == ("1", "2") and first.losses[0, 0] == 7.0255866050720215


def test_two_files_are_joined_on_the_index_in_the_order_of_the_mixtures(tmp_path):
    table = read_table(*files(tmp_path, MIXTURES, LOSSES))
    assert (table.groups, table.targets, table.names) == (("law", "code"), ("law", "news"), ("1", "2"))
    assert table.losses.tolist() == [[2, 4], [3, 5]]
    in_order = read_table(*files(tmp_path, MIXTURES, "law,news\n2,4\n3,5\n"))
    assert in_order.losses.tolist() == table.losses.tolist() and in_order.names == ("1", "2")
    unnamed = ",law,code\n0,.5,.5\n1,.2,.8\n", ",x\n1,2\n0,3\n"  # as pandas writes an index
    assert read_table(*files(tmp_path, *unnamed)).losses.tolist() == [[3], [2]]


def test_a_run_at_several_scales_has_a_row_for_each(tmp_path):
    at = "index,step,step_tokens,x\n2,10,5,3\n1,10,5,2\n2,20,5,4\n"
    table = read_table(*files(tmp_path, MIXTURES, at))
    assert table.names == ("1", "2", "2") and table.tokens.tolist() == [50, 50, 100]
    assert table.losses.ravel().tolist() == [2, 3, 4]
    steps = "index,steps,x\n2,10,3\n1,10,2\n"
    with pytest.raises(InputError, match="`steps` without the tokens of a step"):
        read_table(*files(tmp_path, MIXTURES, steps))
    assert read_table(*files(tmp_path, MIXTURES, steps), step_tokens=7).tokens.tolist() == [70, 70]
    both = "size,law,code\n5,.5,.5\n5,.5,.5\n", "size,x\n5,2\n6,3\n"
    with pytest.raises(InputError, match=r"differ in size for row 2 of the mixtures \(5 and 6\)"):
        read_table(*files(tmp_path, *both))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("scales", [{}, {"size": np.array([7.5, 1e9]), "tokens": np.array([3.0, 4.0])}])
def test_a_table_survives_the_disk(tmp_path, suffix, scales):
    shares, losses = np.array([[0.1, 0.9], [1 / 3, 2 / 3]]), np.array([[np.pi, 1.0], [2.0, 0.1]])
    table = Table(("a b", "loss/x"), ("run, 1", "ß"), shares, **scales, targets=("t", "u"), losses=losses)
    path = tmp_path / f"t.{suffix}"
    write_table(path, table)
    again = read_table(path)
    assert (again.groups, again.names, again.targets) == (table.groups, table.names, table.targets)
    np.testing.assert_allclose(again.mixtures, table.mixtures, rtol=0, atol=2e-16)
    assert np.array_equal(again.losses, table.losses)
    for name in ("size", "tokens"):
        assert np.array_equal(getattr(again, name), scales.get(name)) or scales == {}
    assert read_runs(path).names == table.names
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=4, unique=True))
def test_numbers_are_written_to_the_last_digit(tmp_path_factory, losses):
    path = tmp_path_factory.getbasetemp() / "digits.csv"
    k = len(losses)
    write_table(
        path,
        Table(("a",), [str(i) for i in range(k)], np.ones((k, 1)), targets=("t",), losses=np.c_[losses]),
    )
    assert read_table(path).losses.ravel().tolist() == losses


def test_predictions_have_the_losses_names_and_tell_scales_apart(tmp_path):
    runs = read_runs(files(tmp_path, MIXTURES)[0])
    write_predictions(tmp_path / "p.csv", runs, ["metric/x"], np.array([[1.5], [2.5]]))
    assert (tmp_path / "p.csv").read_text() == "index,metric/x\n1,1.5\n2,2.5\n"
    scaled = read_runs(files(tmp_path, "index,tokens,law\n1,10,1\n1,20,1\n")[0])
    write_predictions(tmp_path / "p.tsv", scaled, ["x"], np.array([[1.5], [2.5]]))
    assert (tmp_path / "p.tsv").read_text() == "index\ttokens\tx\n1\t10\t1.5\n1\t20\t2.5\n"


def test_json_comes_as_records_or_columns_and_parquet_with_any_index(tmp_path):
    columns = {"index": [7.0, 8], "law": [0.5, 0.2], "code": [0.5, 0.8]}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "c.json").write_text(json.dumps(columns))
    (tmp_path / "r.json").write_text(json.dumps(records))
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    for name in ("c.json", "r.json", "p.parquet"):
        runs = read_runs(tmp_path / name)
        assert runs.names == ("7", "8") and runs.mixtures.tolist() == [[0.5, 0.5], [0.2, 0.8]]


@pytest.mark.parametrize(
    ("mixtures", "losses", "said"),
    [
        (MIXTURES, "index,x\n2,3\n3,4\n", r"1 of the runs in .*m\.csv is not in .*l\.csv: index '1'"),
        (MIXTURES, "index,x\n1,2\n2,3\n3,4\n", r"1 of the runs in .*l\.csv is not in .*m\.csv: index '3'"),
        (MIXTURES, "index,x\n2,3\n2,4\n1,2\n", r"l\.csv: index '2' is there twice \(line 2 and line 3\)"),
        ("index,law\n1,1\n1,1\n", LOSSES, r"m\.csv: index '1' is there twice"),
        (MIXTURES, "x\n2\n", r"m\.csv has 2 rows and .*l\.csv 1"),
        (MIXTURES, "index,x\n1,2\n2,nan\n", r"l\.csv, line 3, column 'x': expected a finite number, got nan"),
        (MIXTURES, "index,x\n1,2\n2,\n", r"l\.csv, line 3, column 'x': expected a number, got nothing"),
        (MIXTURES, "index,x\n1,2\n2,n/a\n", r"l\.csv, line 3, column 'x': expected a number, got 'n/a'"),
        (MIXTURES, "index,x\n1,2\n2,1_0\n", r"expected a number, got '1_0'"),
        (MIXTURES, "index,x\n1,2\n2,-3\n", r"a loss must be positive .* got -3\.0 in run 2"),
        (MIXTURES, "index,x\n1,2\n,3\n", r"l\.csv, line 3: expected the name of a run in 'index'"),
        (MIXTURES, None, r"m\.csv: expected columns mixture/NAME, one for each group, got 'index', 'law', "),
        ("mixture/a\n1\n", None, r"m\.csv: expected columns loss/NAME, one for each target, got 'mixture/a'"),
        ("mixture/a,loss/x,sise\n1,2,3\n", None, r"unknown column 'sise' .* did you mean 'size'"),
        ("law,code\n50,50\n", "x\n2\n", r"the proportions of run 1 sum to 100, expected 1.* percentage"),
        ("law,code\n1.5,-.5\n", "x\n2\n", r"a proportion must not be negative, got -0\.5 in run 1"),
        ("law,law\n.5,.5\n", "x\n2\n", r"column names must be unique, got twice: 'law'"),
        (
            "law,code\n.5,.5\n.5\n",
            "x\n2\n",
            r"m\.csv, line 3: expected 2 columns as in the first line, got 1",
        ),
        ('law\n"1\n', "x\n2\n", r"m\.csv, line 2: not a valid row"),
        ("", "x\n2\n", r"m\.csv is empty"),
        ("law,code\n", "x\n2\n", r"m\.csv has no rows"),
        ("law\0", "x\n2\n", r"m\.csv is a binary file"),
    ],
)
def test_files_that_do_not_fit(tmp_path, mixtures, losses, said):
    with pytest.raises(InputError, match=said):
        read_table(*files(tmp_path, mixtures, losses))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.json", b'[{"a": 1}, {"b": 1}]', "row 2: expected the columns of row 1, but only one of the two"),
        ("t.json", b'[{"a": true}]', "row 1, column 'a': expected a number, got True"),
        ("t.json", b'[{"a": [1]}]', r"row 1, column 'a': expected a number, got \[1\]"),
        ("t.json", b'{"a": [1], "b": [1, 2]}', "the columns must be equally long"),
        ("t.json", b"[1]", "expected a list of records"),
        ("t.json", b"[", "is not valid JSON"),
        ("t.json", b"[]", "has no rows"),
        ("t.parquet", b"PAR1", "not a complete parquet file"),
        ("t.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-9], "the compressed data is truncated or corrupt"),
        ("t.xlsx", b"PK", "expected a table in .csv, .tsv, .json or .parquet, got '.xlsx'"),
        ("t.csv", None, r"cannot read .*t\.csv: No such file"),
    ],
)
def test_formats_that_do_not_hold(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_runs(tmp_path / name)


@pytest.mark.parametrize("name", ["t", "t.xls", "t.gz", "t.parquet.gz", "t.csv.bz2", "t.csv.zst"])
def test_a_table_is_not_written_to_another_format(tmp_path, name):
    table = read_table(*files(tmp_path, MIXTURES, LOSSES))
    with pytest.raises(InputError, match="cannot write a table to"):
        write_table(tmp_path / name, table)
    assert not (tmp_path / name).exists()
