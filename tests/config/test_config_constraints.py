"""`constraints:` and `reference_losses:` of a config: what they mean, and every way to get them wrong."""

from __future__ import annotations

import pytest

from aioli.config import load, to_yaml
from aioli.config.yaml_text import parse_yaml
from aioli.errors import InputError
from aioli.jobs.planning import plan_runs
from aioli.protocol import Constraints
from aioli.sweep.spec import RunSpec

DATA = {"groups": {"law": {"paths": ["x"]}, "code": {"paths": ["y"]}}}


def read(*overrides: str, **keys):
    return load({"data": DATA, "methods": ["stratified"], "seeds": [0]} | keys, overrides)


def spec_of(config) -> RunSpec:
    return plan_runs(config, "f" * 64).compared[0]


def test_numbers_and_names():
    config = read(
        constraints={"max_repeats": {"law": 4}, "floors": 0.05, "fixed": {"code": 0.25}, "max_change": 0.1}
    )
    assert config.constraints == Constraints({"law": 4.0}, 0.05, {"code": 0.25}, 0.1)
    assert config.problem((10**9, 10**9)).constraints == config.constraints
    assert spec_of(config).constraints == {
        "max_repeats": {"law": 4.0}, "floors": 0.05, "fixed": {"code": 0.25}, "max_change": 0.1,
    }  # fmt: skip


def test_overrides_reach_into_them():
    config = read(
        "constraints.max_repeats=4", "constraints.fixed.law=0.3", "reference_losses={law: 1, code: 2}"
    )
    assert config.constraints == Constraints(max_repeats=4.0, fixed={"law": 0.3})
    assert config.problem((10**9,) * 2).reference_losses == (1.0, 2.0)
    assert spec_of(config).reference_losses == {"law": 1.0, "code": 2.0}


def test_the_resolved_config_says_them_again():
    config = read("constraints.floors.law=0.1", "reference_losses={law: 1, code: 2}")
    again = load(parse_yaml(to_yaml(config), "resolved"))
    assert again.constraints == config.constraints
    assert again.reference_losses == config.reference_losses


def test_without_them_a_run_has_the_id_it_always_had():
    plain, empty = read(), read(constraints={"floors": None, "fixed": {}}, reference_losses=None)
    assert spec_of(plain).id == spec_of(empty).id
    assert spec_of(plain).constraints == {} and spec_of(plain).reference_losses is None
    ids = {
        spec_of(config).id
        for config in (plain, read("constraints.floors=0.1"), read("reference_losses={law: 1, code: 2}"))
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("constraints=4", "constraints: expected a mapping with keys such as max_repeats, floors, fixed"),
        ("constraints.max_repeat=4", "unknown key constraints.max_repeat; did you mean 'max_repeats'?"),
        (
            "constraints.floors=low",
            "constraints.floors: expected a number or a mapping from names to numbers",
        ),
        ("constraints.floors={law: low}", "constraints.floors: expected a number or a mapping from names"),
        ("constraints.fixed=0.5", "constraints.fixed: expected a mapping from names to numbers or nothing"),
        ("constraints.fixed={law: x}", "constraints.fixed.law: expected a number, got 'x' (text)"),
        ("constraints.fixed={lawn: 0.5}", "names an unknown group 'lawn'; did you mean 'law'?"),
        ("constraints.floors=0.6", "constraints.floors of the free groups sum to 1.2 (law 0.6, code 0.6)"),
        ("constraints.max_repeats=0", "constraints.max_repeats must be a positive finite number, got 0"),
        ("constraints.max_change=-1", "constraints.max_change must be a positive finite number, got -1"),
        ("reference_losses={law: 1}", "reference_losses needs every target; missing: code"),
        ("reference_losses={law: 1, code: 2, art: 3}", "reference_losses names an unknown target 'art'"),
        ("objective=worst_excess", "objective worst_excess needs reference_losses: for every target"),
        ("methods=[{aioli: {objective: mean_excess}}]", "mean_excess needs reference_losses"),
    ],
)
def test_mistakes_are_named(override, said):
    with pytest.raises(InputError) as caught:
        read(override)
    assert said in str(caught.value)
    assert str(caught.value).count("\n") == 0
