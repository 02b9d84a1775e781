"""Parameters in files of their own, and where relative paths start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aioli.config import load
from aioli.errors import InputError

GROUPS = "data: {groups: {law: {paths: [law]}, code: {paths: [code]}}}\n"


@pytest.mark.parametrize("name", ["mix.json", "mix.yaml", "mix.yml"])
def test_a_mixture_from_a_file_beside_the_config(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"code": 0.75, "law": 0.25}')
    (tmp_path / "c.yaml").write_text(GROUPS + f"methods: [{{static: {{proportions: {name}}}}}]\n")
    choice = load(tmp_path / "c.yaml").methods[0]
    assert choice.parameters == {"proportions": {"code": 0.75, "law": 0.25}}
    assert choice.label == f"static(proportions={name})"
    assert load(load(tmp_path / "c.yaml").to_dict(absolute=True)).methods == (choice,)


def test_files_inside_parts(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps([[1.0, 0.0], [0.5, 1.0]]))
    parts = (
        "{law: linear, estimator: {graph: {graph: graph.json}}, solver: {exponentiated_gradient: {eta: 0.1}}}"
    )
    (tmp_path / "c.yaml").write_text(GROUPS + f"methods: [{{lmo: {parts}, label: mine}}]\n")
    estimator = load(tmp_path / "c.yaml").methods[0].parameters["estimator"]
    assert estimator == {"graph": {"graph": [[1.0, 0.0], [0.5, 1.0]]}}


def test_a_reference_is_found_from_the_config_and_from_anywhere_once_resolved(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(GROUPS + "methods: [{doremi: {}, reference: ../r, label: d}]\n")
    config = load(tmp_path / "c.yaml")
    assert config.methods[0].reference_path == "../r"
    assert config.to_dict()["methods"][0]["reference"] == "../r"
    assert config.to_dict(absolute=True)["methods"][0]["reference"] == str(tmp_path / "../r")
    named = load(tmp_path / "c.yaml", ["methods=[{doremi: {}, reference: proportional}]"]).methods[0]
    assert named.reference_path is None and named.label == "doremi(reference=proportional)"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(GROUPS + "methods: [{static: {proportions: mix.json}}]\n")
    with pytest.raises(
        InputError, match=rf"cannot read proportions from {tmp_path / 'mix.json'}: No such file"
    ):
        load(tmp_path / "c.yaml")
