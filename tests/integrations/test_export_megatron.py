"""Megatron blends, read by megatron-core.

The two files are opened as Megatron-LM opens them (its `get_blend_and_blend_per_split` is part of a training
script, not of a package): the arguments' file is split at white space, the per-split JSON is loaded.
"""

from __future__ import annotations

import argparse
import json
import shlex

import numpy as np
import pytest
import torch
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
from megatron.core.datasets.utils import get_blend_from_list, normalize

from aioli.export.blend import Blend
from aioli.export.formats import export_text

SHARES = np.array([0.62, 0.38 - 1e-6, 1e-6, 0.0])
GROUPS = ("web", "naïve code", "tiny", "absent")


def blend(paths: dict[str, str]) -> Blend:
    return Blend(GROUPS, SHARES, {group: {path: None} for group, path in paths.items()})


def check(found, paths):
    prefixes, weights = found
    assert prefixes == [paths[group] for group in GROUPS[:3]]
    assert normalize(weights) == pytest.approx(SHARES[:3], rel=1e-3)
    assert sum(weights) == pytest.approx(1, abs=1e-15)


def test_arguments_as_a_shell_and_argparse_see_them():
    paths = {"web": "/d/it's here", "naïve code": "/d/$HOME:b", "tiny": "/d/*"}
    words = shlex.split(export_text(blend(paths), "megatron"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-path", nargs="*")
    check(get_blend_from_list(parser.parse_args(words).data_path), paths)


def test_arguments_file(tmp_path):
    paths = {"web": "/d/web", "naïve code": "-dash", "tiny": "/d/#t"}
    (tmp_path / "blend.txt").write_text(export_text(blend(paths), "megatron-args"))
    check(get_blend_from_list((tmp_path / "blend.txt").read_text().split()), paths)


def test_per_split_file(tmp_path):
    paths = {"web": "/d/we b", "naïve code": "--option", "tiny": '/d/"t"'}
    (tmp_path / "blend.json").write_text(export_text(blend(paths), "megatron-json"))
    splits = json.loads((tmp_path / "blend.json").read_text())
    check(get_blend_from_list(splits["train"]), paths)
    assert get_blend_from_list(splits["valid"]) is None and get_blend_from_list(splits["test"]) is None


def test_the_prefixes_open_as_indexed_datasets(tmp_path):
    paths = {}
    for group in GROUPS[:3]:
        builder = IndexedDatasetBuilder(str(tmp_path / f"{group}.bin"), dtype=np.uint16)
        builder.add_document(torch.arange(9), [9])
        builder.finalize(str(tmp_path / f"{group}.idx"))
        paths[group] = str(tmp_path / f"{group}.bin")  # with the ending, as people paste it
    prefixes, _ = get_blend_from_list(json.loads(export_text(blend(paths), "megatron-json"))["train"])
    assert [len(IndexedDataset(prefix)[0]) for prefix in prefixes] == [9, 9, 9]
