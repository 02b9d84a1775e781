"""What each format looks like, to the letter."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.errors import MixingWarning
from aioli.export.blend import Blend, Stage
from aioli.export.formats import export_text

GROUPS = ("web", "no", "tiny thing", "zero")
PATHS = {
    "web": {"/d/web a": 2e9, "/d/web_b.bin": 6e9},
    "no": {"/d/no": None},
    "tiny thing": {"s3://x/tiny": None},
}
LENGTHS = {"web": 1000.0, "no": 500.0, "tiny thing": 500.0}


@pytest.fixture
def blend() -> Blend:
    return Blend(GROUPS, np.array([0.6, 0.3, 0.1, 0]), PATHS, {"no": 3e9, "tiny thing": 5e9}, LENGTHS)


WRITTEN = {
    "megatron": "--data-path 0.15 '/d/web a' 0.45 /d/web_b 0.3 /d/no 0.1 s3://x/tiny\n",
    "nemo": """\
dataset:
  _target_: nemo_automodel.components.datasets.llm.megatron_dataset.MegatronPretrainingConfig
  paths:
  - "0.15"
  - "/d/web a"
  - "0.45"
  - /d/web_b
  - "0.3"
  - /d/no
  - "0.1"
  - "s3://x/tiny"
  split: "0.99, 0.01, 0.00"
""",
    "energon": """\
__module__: megatron.energon
__class__: MetadatasetV2
splits:
  train:
    blend:
    - weight: 0.107143
      path: "/d/web a"
    - weight: 0.321429
      path: /d/web_b.bin
    - weight: 0.428571
      path: /d/no
    - weight: 0.142857
      path: "s3://x/tiny"
""",
    "olmo-core": """\
sources:
- source_name: web
  target_ratio: 0.6
  paths:
  - "/d/web a"
  - /d/web_b.bin
- source_name: "no"
  target_ratio: 0.3
  paths:
  - /d/no
- source_name: "tiny thing"
  target_ratio: 0.1
  paths:
  - "s3://x/tiny"
""",
    "mosaicml": """\
train_loader:
  dataset:
    streams:
      web:
        local: "/d/web a"
        proportion: 0.107143
      web-2:
        local: /d/web_b.bin
        proportion: 0.321429
      "no":
        local: /d/no
        proportion: 0.428571
      "tiny thing":
        remote: "s3://x/tiny"
        proportion: 0.142857
""",
    "llama-factory": """\
dataset: "web,no,tiny thing"
mix_strategy: interleave_over
interleave_probs: "0.428572,0.428571,0.142857"
streaming: true
""",
    "json": '{\n "web": 0.6,\n "no": 0.3,\n "tiny thing": 0.1,\n "zero": 0.0\n}\n',
    "yaml": 'web: 0.6\n"no": 0.3\n"tiny thing": 0.1\nzero: 0.0\n',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_written(blend, name):
    assert export_text(blend, name) == WRITTEN[name]


def test_megatron_files():
    blend = Blend(("a", "b"), np.array([0.25, 0.75]), {"a": {"/d/a.idx": None}, "b": {"/d/b": None}})
    assert export_text(blend, "megatron-args") == "0.25 /d/a\n0.75 /d/b\n"
    told = (
        '{\n "train": [\n  "0.25",\n  "/d/a",\n  "0.75",\n  "/d/b"\n ],\n "valid": null,\n "test": null\n}\n'
    )
    assert export_text(blend, "megatron-json") == told


def test_python_formats(blend):
    interleave = export_text(blend, "hf-interleave")
    assert "    'web': 0.428572,\n    'no': 0.428571,\n    'tiny thing': 0.142857,\n}" in interleave
    assert "dataset='web', dataset_path='/d/web a', weight=0.15, infinite=True" in export_text(
        blend, "torchtitan"
    )


def test_axolotl_reads_as_much_as_no_dataset_lacks(blend):
    # p/N: web 0.6/8e9 in two paths, no 0.3/3e9 (the most), tiny 0.1/5e9
    assert export_text(blend, "axolotl") == (
        'datasets:\n- path: "/d/web a"\n  type: completion\n  weight: 0.75\n'
        "- path: /d/web_b.bin\n  type: completion\n  weight: 0.75\n"
        "- path: /d/no\n  type: completion\n  weight: 1.0\n"
        '- path: "s3://x/tiny"\n  type: completion\n  weight: 0.2\nshuffle_merged_datasets: true\n'
    )


def test_axolotl_says_which_cap_binds():
    blend = Blend(
        ("a", "b"),
        np.array([0.5, 0.5]),
        {"a": {"/a": None}, "b": {"/b": None}},
        {"a": 10.0, "b": 100.0},
        budget=80.0,
    )
    with pytest.warns(MixingWarning, match=r"more of a \(4 times\).*off by 30\.0%"):
        text = export_text(blend, "axolotl")  # 10 tokens of a and 40 of b are read: a has .2, not .5
    assert "path: /a\n  type: completion\n  weight: 1.0" in text
    assert "path: /b\n  type: completion\n  weight: 0.4" in text


def test_olmo_repetition_follows_from_budget_and_tokens():
    blend = Blend(
        ("a", "b"),
        np.array([0.5, 0.5]),
        {"a": {"/a": None}, "b": {"/b": None}},
        {"a": 1e9, "b": 9e9},
        budget=5e9,
    )
    text = export_text(blend, "olmo-core")
    assert "- /a\n  max_repetition_ratio: 2.5" in text
    assert "- /b\n  max_repetition_ratio: 1.0" in text


def schedule(**given) -> Blend:
    stages = (Stage(0, np.array([0.9, 0.1])), Stage(1000, np.array([0.5, 0.5])))
    return Blend(("web", "code"), np.array([0.7, 0.3]), stages=stages, steps=2000, **given)


def test_levanter_constant_and_staged():
    blend = Blend(("web", "code"), np.array([0.7, 0.3]))
    rest = "  mixture_block_size: 2048\n  stop_strategy: restart\n"
    assert export_text(blend, "levanter") == f"data:\n  train_weights:\n    web: 0.7\n    code: 0.3\n{rest}"
    staged = "  - - 0\n    - web: 0.9\n      code: 0.1\n  - - 1000\n    - web: 0.5\n      code: 0.5\n"
    assert export_text(schedule(batch=2048), "levanter") == f"data:\n  train_weights:\n{staged}{rest}"


def test_levanter_stages_begin_at_whole_blocks():
    with pytest.warns(MixingWarning, match="multiples of 64 steps"):
        text = export_text(schedule(batch=96), "levanter")
    assert "- - 1024\n" in text and 1024 * 96 % 2048 == 0


def test_mosaicml_stages_are_a_curriculum():
    paths = {"web": {"/web": None}, "code": {"/code": None}}
    text = export_text(schedule(paths=paths, budget=1e6), "mosaicml")
    assert text.startswith('max_duration: "1000000tok"\ntrain_loader:\n')
    assert "local: /web\n        proportion: 0.9" in text
    assert (
        '  curriculum_learning:\n    duration: "500000tok"\n    schedule:\n    - duration: "500000tok"'
        in text
    )
    assert "local: /web\n            proportion: 0.5" in text


def test_formats_without_stages_get_the_mean():
    paths = {"web": {"/web": None}, "code": {"/code": None}}
    with pytest.warns(MixingWarning, match="megatron has no stages"):
        assert export_text(schedule(paths=paths), "megatron") == "--data-path 0.7 /web 0.3 /code\n"
