"""What a format cannot say, and what it was not told, is one message with the option that gives it."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.errors import InputError, MixingWarning
from aioli.export.blend import Blend, Stage
from aioli.export.formats import FORMATS, export_text, import_text

HALF = np.array([0.5, 0.5])
PATHS = {"a": {"/a": None}, "b": {"/b": None}}
OPTION = {"paths": "--paths", "tokens": "--tokens", "lengths": "--lengths"}


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.needs])
def test_what_is_missing_is_named_with_its_option(name):
    known = {"paths": PATHS, "tokens": {"a": 5.0, "b": 9.0}, "lengths": {"a": 3.0, "b": 4.0}}
    export_text(Blend(("a", "b"), HALF, **known), name)
    for what in FORMATS[name].needs:
        part = known | {what: {"a": known[what]["a"]}}
        with pytest.raises(InputError, match=f"'b'.*{OPTION[what]}"):
            export_text(Blend(("a", "b"), HALF, **part), name)


def test_groups_without_a_share_need_nothing():
    blend = Blend(("a", "b"), np.array([1.0, 0.0]), {"a": {"/a": None}})
    assert export_text(blend, "megatron") == "--data-path 1 /a\n"


def test_noise_of_a_solver_is_left_out_with_a_note():
    blend = Blend(("a", "b"), np.array([1 - 1e-12, 1e-12]), PATHS)
    with pytest.warns(MixingWarning, match="less than 1e-09 of the tokens: b"):
        assert export_text(blend, "megatron") == "--data-path 1 /a\n"


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("megatron", "-x", r"write \./-x"),
        ("megatron-args", "/d/a b", "megatron-json"),
        ("megatron-json", "/d/a ", "strips white space"),
    ],
)
def test_paths_that_megatron_would_misread(name, path, told):
    with pytest.raises(InputError, match=told):
        export_text(Blend(("a",), np.ones(1), {"a": {path: None}}), name)


def test_two_groups_with_one_prefix():
    with pytest.raises(InputError, match="two groups have the prefix '/a'"):
        export_text(Blend(("a", "b"), HALF, {"a": {"/a.bin": None}, "b": {"/a": None}}), "megatron")


@pytest.mark.parametrize("group", ["a,b", " a"])
def test_names_that_llama_factory_would_split(group):
    blend = Blend((group,), np.ones(1), lengths={group: 1.0})
    with pytest.raises(InputError, match="rename the group"):
        export_text(blend, "llama-factory")


def test_several_paths_need_their_tokens():
    with pytest.raises(InputError, match="say in --paths how many tokens each has"):
        export_text(Blend(("a",), np.ones(1), {"a": {"/a": None, "/b": None}}), "megatron")


def test_a_schedule_needs_batch_or_budget():
    stages = (Stage(0, HALF), Stage(10, np.array([0.1, 0.9])))
    blend = Blend(("a", "b"), np.array([0.3, 0.7]), PATHS, stages=stages, steps=20)
    with pytest.raises(InputError, match="--batch"):
        export_text(blend, "levanter")
    with pytest.raises(InputError, match="--budget"):
        export_text(blend, "mosaicml")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"groups": ("a", "a")}, "unique"),
        ({"groups": ("a", " ")}, "text that can be written"),
        ({"groups": ("a", "\ud800")}, "text that can be written"),
        ({"proportions": np.array([0.5, 0.6])}, "sum to 1"),
        ({"tokens": {"a": -1.0}}, "tokens of group 'a'"),
        ({"lengths": {"a": 0.0}}, "lengths of group 'a'"),
        ({"budget": 0.0}, "budget must be a positive number"),
        ({"stages": (Stage(3, HALF),), "steps": 9}, "begin at step 0"),
        ({"stages": (Stage(0, HALF), Stage(9, HALF)), "steps": 9}, "steps beyond"),
    ],
)
def test_blends_are_checked(given, told):
    with pytest.raises(InputError, match=told):
        Blend(**({"groups": ("a", "b"), "proportions": HALF} | given))


def test_an_unknown_format_is_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'megatron'"):
        export_text(Blend(("a",), np.ones(1)), "megatrn")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("megatron", "--data-path 0.5 /a /b", "weight and prefix in turn"),
        ("megatron", "--data-path x /a", "must be a number, got 'x'"),
        ("megatron", "torchrun pretrain.py", "found it 0 times"),
        ("megatron-json", '{"train": null}', "weight and prefix in turn"),
        ("megatron-json", '{"train": ["1", "/a"], "train": []}', "'train' is given twice"),
        ("olmo-core", "sources: [{source_name: no, target_ratio: 1}]\nsources: 2", "given twice"),
        ("olmo-core", "sources: [{source_name: a}]", "target_ratio"),
        ("olmo-core", "sources:\n - [", "line 2"),
        ("levanter", "data: {train_weights: {no: 0.5}}", "line 1: the name 'no' is not text"),
        ("levanter", "data: {train_weights: [[0, {a: 1}], [9, {a: 1}]]}", "schedule of 2 stages"),
        ("mosaicml", "train_loader: {dataset: {streams: {a: {repeat: 2}}}}", "proportion"),
        ("hf-interleave", "x = 1", "expected PROBABILITIES"),
        ("hf-interleave", "x = (", "cannot be read"),
        ("torchtitan", "x = 1", "found none"),
        ("llama-factory", "dataset: a,b\ninterleave_probs: '1'", "each of 2 different datasets, got 1"),
        ("axolotl", "datasets: [{path: /a, weight: 1}]", "--tokens"),
        ("energon", "splits: {train: {blend: [{path: /a, weight: 1}]}}", "--lengths"),
        ("json", '{"a": -1, "b": 2}', "weights must be >= 0"),
    ],
)
def test_bad_files_are_explained(name, text, told):
    with pytest.raises(InputError, match=told):
        import_text(text, name)


def test_files_that_people_write():
    assert import_text("torchrun x.py --data-path 30 /a 70 /b --lr 1e-4", "megatron") == {
        "/a": 0.3,
        "/b": 0.7,
    }
    assert import_text("data: {train_weights: {a: 1e-1, b: 0.9}}", "levanter") == {"a": 0.1, "b": 0.9}
    solved = '{"proportions": {"a": 0.2, "b": 0.8}, "status": "optimal"}'
    assert import_text(solved, "json") == {"a": 0.2, "b": 0.8}
    assert import_text(
        "datasets: [{path: x}, {path: y, weight: 0.5}]", "axolotl", tokens={"x": 1, "y": 2}
    ) == {
        "x": 0.5,
        "y": 0.5,
    }
