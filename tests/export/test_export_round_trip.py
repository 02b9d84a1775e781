"""What is written is read back, whatever the names and however small the weights."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aioli.errors import MixingWarning
from aioli.export.blend import LEAST, Blend
from aioli.export.formats import FORMATS, export_text, import_text
from aioli.export.units import decimals

ODD = [
    "a b", "it's",
    'say "x"', "naïve", "日本", "k: v", "-dash", "--data-path", "#no", "no", "on", "null", "1e3", "010",
    "1:30", "2024-01-01", "~", "*star", "&anchor", "{x}", "[y]", "%z", "@a", "!tag",
    "back\\slash", "line\nbreak",
    "tab\tbed", "<<", "=", ".inf", "$HOME", "`ls`", "a-2", "x" * 300, "a\u2028b", "a\x85b", "a\ufeffb", "😀",
]  # fmt: skip
NARROW = {"llama-factory", "megatron-args", "megatron"}  # formats that refuse some names (tested apart)

names = st.lists(
    st.one_of(
        st.sampled_from(ODD),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
        .map(str.strip)
        .filter(bool),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)
plain_names = st.lists(
    st.from_regex(r"[a-z][a-z_.é]{0,8}", fullmatch=True), min_size=1, max_size=8, unique=True
)


@st.composite
def blends(draw, names):
    groups = tuple(draw(names))
    exponents = st.floats(-8.5, 0.0)
    weights = [0.0 if draw(st.integers(0, 5)) == 0 else 10.0 ** draw(exponents) for _ in groups]
    if not any(weights):
        weights[0] = 1.0
    p = np.array(weights) / sum(weights)
    sizes = {group: draw(st.floats(1e3, 1e12)) for group in groups}
    lengths = {group: draw(st.floats(10, 1e5)) for group in groups}
    paths = {group: {f"/d/{group}": None} for group in groups}
    return Blend(groups, p, paths, sizes, lengths)


def check_round_trip(blend: Blend, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        text = export_text(blend, name)
    found = import_text(text, name, paths=blend.paths, tokens=blend.tokens, lengths=blend.lengths)
    p = dict(zip(blend.groups, blend.proportions.tolist(), strict=True))
    kept = {group: share for group, share in p.items() if share >= LEAST}
    assert {group for group in found if found[group] > 0} >= set(kept)
    for group, share in p.items():
        assert found.get(group, 0.0) == pytest.approx(share, rel=1e-3, abs=1e-6 * max(p.values()) + LEAST)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in NARROW])
@given(data=st.data())
def test_any_names_come_back(name, data):
    check_round_trip(data.draw(blends(names)), name)


@pytest.mark.parametrize("name", sorted(NARROW))
@given(blend=blends(plain_names))
def test_narrow_formats_come_back(name, blend):
    check_round_trip(blend, name)


@given(blend=blends(names.filter(lambda found: not any(name.startswith("-") for name in found))))
def test_a_shell_sees_the_megatron_paths(blend):
    check_round_trip(blend, "megatron")


@given(st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=60))
def test_decimals_sum_to_one_exactly_and_keep_digits(values):
    weights = {str(place): value for place, value in enumerate(values)}
    written = decimals(weights)
    assert sum(Decimal(text) for text in written.values()) == 1
    for name, value in weights.items():
        share = value / sum(values)
        assert float(written[name]) > 0
        assert float(written[name]) == pytest.approx(share, rel=1e-3, abs=1e-6)


@given(blend=blends(names))
def test_yaml_and_json_parsers_agree_on_the_names(blend):
    kept = {group for group, p in zip(blend.groups, blend.proportions, strict=True) if p >= LEAST}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        sources = yaml.safe_load(export_text(blend, "olmo-core"))["sources"]
        zipped = json.loads(export_text(blend, "megatron-json"))["train"]
    assert {source["source_name"] for source in sources} == kept
    assert sum(Decimal(repr(source["target_ratio"])) for source in sources) == 1
    assert sum(Decimal(weight) for weight in zipped[::2]) == 1


@pytest.mark.parametrize("name", ["megatron-json", "mosaicml", "axolotl", "torchtitan", "energon", "nemo"])
def test_several_paths_come_back_as_their_group(name):
    paths = {"web": {"/d/a": 1e9, "/d/b": 3e9, "/d/c": 4e9}, "code": {"/d/code": 5e9}}
    tokens, lengths = {"web": 8e9, "code": 5e9}, {"web": 700.0, "code": 300.0}
    blend = Blend(("web", "code"), np.array([0.8, 0.2]), paths, tokens, lengths)
    text = export_text(blend, name)
    found = import_text(text, name, paths=paths, tokens=tokens, lengths=lengths)
    assert found == pytest.approx({"web": 0.8, "code": 0.2}, abs=2e-6)
