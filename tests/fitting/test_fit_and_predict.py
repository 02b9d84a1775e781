"""The whole of a fit: intervals, choice, files, doubts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.fitting.planted import ADDITIVE, LOG_LINEAR, planted

from aioli.errors import InputError
from aioli.fitting.choose import choose
from aioli.fitting.files import fit_to_json, load_fit, save_fit, schema
from aioli.fitting.fit import fit
from aioli.fitting.registry import build_law
from aioli.table import Table


def test_intervals_cover_new_runs_as_often_as_they_say():
    covered = []
    for seed in range(12):
        table = planted(LOG_LINEAR, 40, noise=0.01, seed=seed)
        new = planted(LOG_LINEAR, 60, noise=0.01, seed=1000 + seed)
        found = fit(table, "log_linear", replicates=40, splits=1).predict(new.mixtures)
        covered.append((found.low <= new.losses) & (new.losses <= found.high))
        assert (found.low <= found.losses).all() and (found.losses <= found.high).all()
    assert 0.91 <= np.mean(covered) <= 0.99


def test_intervals_are_wider_away_from_the_runs():
    rng = np.random.default_rng(0)
    near = rng.dirichlet([6.0, 6.0, 6.0], 30)
    losses = LOG_LINEAR.predict(near) + 0.005 * rng.normal(size=(30, 2))
    table = Table(("a", "b", "c"), tuple(map(str, range(30))), near, targets=("x", "y"), losses=losses)
    found = fit(table, "log_linear", replicates=40, splits=1).predict(
        np.array([near.mean(axis=0), [1.0, 0.0, 0.0]])
    )
    width = found.high - found.low
    assert (width[1] > 2 * width[0]).all()
    assert found.outside[0] == 0 and found.outside[1] > 0.3


def test_the_choice_finds_the_form_that_was_planted():
    weights = np.array([0.5, 0.5])
    assert choose(planted(LOG_LINEAR, 60), weights, splits=1).law.name == "log_linear"
    chosen = choose(planted(ADDITIVE, 120, noise=0.001), weights, splits=1)
    error = {next(iter(one.law)): one.error for one in chosen.candidates}
    assert error["additive"] < 1.1 * min(value for value in error.values() if value is not None)
    assert error["additive"] < 0.5 * min(error["log_linear"], error["linear"])


def test_every_law_is_listed_with_its_error_or_the_reason():
    few = choose(planted(LOG_LINEAR, 8), np.array([0.5, 0.5]), splits=1)
    told = {next(iter(one.law)): one for one in few.candidates}
    assert "only 7 runs" in told["effective"].refused and told["effective"].error is None
    assert told["log_linear"].refused == "" and told["log_linear"].scores is not None


def test_too_few_runs_for_any_law_is_one_message():
    with pytest.raises(InputError, match="no law can be compared on these 2 runs"):
        fit(planted(LOG_LINEAR, 2))


def test_a_saved_fit_predicts_the_same_bits(tmp_path):
    found = fit(planted(LOG_LINEAR, 20), replicates=5, splits=1)
    save_fit(found, tmp_path / "fit.json")
    again = load_fit(tmp_path / "fit.json")
    at = np.random.default_rng(1).dirichlet(np.ones(3), 10)
    for one, two in zip(found.predict(at), again.predict(at), strict=True):
        assert np.array_equal(one, two)
    assert again.law == found.law and again.warnings == found.warnings
    assert fit_to_json(again) == fit_to_json(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain | {"version": 2}, "version 2 and this Aioli reads version 1"),
        (lambda plain: plain | {"format": "other"}, "format 'aioli.fit'"),
        (lambda plain: plain | {"content": plain["content"] | {"seed": 7}}, "checksum"),
        (lambda plain: [], "expected a file written by"),
    ],
)
def test_a_file_that_is_not_this_fit_is_refused(tmp_path, change, message):
    plain = fit_to_json(fit(planted(LOG_LINEAR, 12), "linear", replicates=0))
    (tmp_path / "fit.json").write_text(json.dumps(change(plain)))
    with pytest.raises(InputError, match=message):
        load_fit(tmp_path / "fit.json")


def test_a_saved_fit_has_the_keys_of_the_schema():
    plain = json.loads(json.dumps(fit_to_json(fit(planted(LOG_LINEAR, 12), replicates=2, splits=1))))
    _check(plain, schema(), schema())


def _check(value, rule, root):
    """The parts of JSON Schema that ours uses: references, types, required and additional keys, items."""
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].rpartition("/")[2]]
    if "anyOf" in rule:
        rule = rule["anyOf"][0 if value is None else 1]
        return _check(value, rule, root)
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    allowed = rule.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    assert not allowed or any(isinstance(value, kinds[one]) for one in allowed), (value, rule)
    assert "const" not in rule or value == rule["const"]
    if isinstance(value, dict):
        assert set(rule.get("required", ())) <= set(value)
        known = rule.get("properties", {})
        if rule.get("additionalProperties") is False:
            assert set(value) <= set(known)
        for key, one in value.items():
            _check(one, known.get(key, {}), root)
    if isinstance(value, list):
        for one in value:
            _check(one, rule.get("items", {}), root)


def test_doubts_name_what_is_wrong():
    table = planted(LOG_LINEAR, 9)
    told = " ".join(fit(table, "additive", replicates=5).warnings)
    assert "9 runs for 7 numbers a target (law additive): at least 14 are advised" in told
    rng = np.random.default_rng(0)
    share = rng.uniform(0.1, 0.4, 20)
    mixtures = np.column_stack([share, share + 1e-4 * rng.normal(size=20), 0.1 * np.ones(20)])
    mixtures = np.column_stack([mixtures, 1 - mixtures.sum(axis=1)])
    losses = 2 + rng.normal(size=(20, 1)) * 0.1
    pure = Table(("a", "b", "c", "d"), tuple(map(str, range(20))), mixtures, targets=("x",), losses=losses)
    told = " ".join(fit(pure, "linear", replicates=20).warnings)
    assert "group c has the share 0.1 in every run" in told
    assert "the shares of a, b move together" in told
    assert "explains little of the variance" in told


def test_noise_between_repetitions_is_told():
    rng = np.random.default_rng(0)
    mixtures = np.repeat(rng.dirichlet(np.ones(3), 6), 3, axis=0)
    losses = LOG_LINEAR.predict(mixtures) + 0.5 * rng.normal(size=(18, 2))
    table = Table(("a", "b", "c"), tuple(map(str, range(18))), mixtures, targets=("x", "y"), losses=losses)
    assert any("repetitions of one mixture differ by" in one for one in fit(table, "linear").warnings)


def test_a_law_that_ignores_scale_is_told_so():
    table = planted(LOG_LINEAR, 30)
    table = replace(table, size=np.where(np.arange(30) % 2, 1e6, 6e7))
    assert any("the runs differ in size" in one for one in fit(table, "linear", replicates=0).warnings)


def test_bad_requests():
    table = planted(LOG_LINEAR, 12)
    with pytest.raises(InputError, match="one weight >= 0 for each of 2 targets"):
        fit(table, "linear", weights=[1.0])
    with pytest.raises(InputError, match="did you mean 'log_linear'"):
        fit(table, "loglinear")
    with pytest.raises(InputError, match="mixture 2 is no mixture"):
        fit(table, "linear", replicates=0).predict(np.array([[0.2, 0.3, 0.5], [0.2, 0.3, 0.1]]))
    with pytest.raises(InputError, match="no setting 'hubber'; did you mean 'huber'"):
        build_law({"log_linear": {"hubber": 1}})
    same = replace(table, mixtures=np.tile([[0.2, 0.3, 0.5]], (12, 1)))
    with pytest.raises(InputError, match="all runs have the same mixture"):
        fit(same, "linear")
