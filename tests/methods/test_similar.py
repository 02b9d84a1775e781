"""`similar` as a method: its mixture from divergences by hand, and where it may stand among parameters."""

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, zoo
from aioli.methods.registry import build, complete, stand_in
from aioli.methods.similar import replace_similar

GROUPS = ("a", "b", "c")
TABLE = {"t": {"a": 0.1, "b": 0.4, "c": 2.0}, "u": {"a": 1.5, "b": 0.4, "c": 0.0}}


def problem(**changes) -> Problem:
    usual = {"groups": GROUPS, "group_tokens": (9, 9, 9), "total_steps": 50, "step_tokens": 64}
    return Problem(**usual | changes)


def first(method, of: Problem) -> np.ndarray:
    return Mixer(method, of).request.proportions


def test_one_target_by_hand():
    p = first(zoo.similar(tau=0.3, divergences={"t": TABLE["t"]}), problem(targets=("t",)))
    weights = np.exp(-np.array([0.1, 0.4, 2.0]) / 0.3)
    np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-12)
    request = Mixer(zoo.similar(tau=0.3, divergences={"t": TABLE["t"]}), problem(targets=("t",))).request
    assert request.steps == 50 and not request.observe


def test_targets_are_averaged_by_their_weights_each_with_its_tau():
    method = zoo.similar(tau={"t": 0.3, "u": 1.0}, divergences=TABLE)
    of = problem(targets=("t", "u"), target_weights=(3.0, 1.0))
    rows = [np.exp(-np.array(list(TABLE[name].values())) / tau) for name, tau in (("t", 0.3), ("u", 1.0))]
    expected = 0.75 * rows[0] / rows[0].sum() + 0.25 * rows[1] / rows[1].sum()
    np.testing.assert_allclose(first(method, of), expected, rtol=1e-12)


def test_a_group_without_data_gets_nothing_and_need_not_be_listed():
    of = problem(targets=("t",), group_tokens=(9, 0, 9))
    whole = first(zoo.similar(tau=0.3, divergences={"t": TABLE["t"]}), of)
    part = first(zoo.similar(tau=0.3, divergences={"t": {"a": 0.1, "c": 2.0}}), of)
    assert whole[1] == 0
    np.testing.assert_array_equal(whole, part)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "train and compare compute them from the corpus"),
        ({"divergences": TABLE}, "needs tau"),
        ({"tau": 1.0, "divergences": {"u": TABLE["u"]}}, "divergences need every target; missing: 't'"),
        ({"tau": {"u": 1.0}, "divergences": TABLE}, "tau need every target; missing: 't'"),
        ({"tau": 1.0, "divergences": {"t": {"a": 1, "b": 2}}}, "every group with data; missing: c"),
        ({"tau": 1.0, "divergences": {"t": {"a": 1, "b": 2, "c": 3, "bb": 4}}}, "'bb'; did you mean 'b'"),
    ],
)
def test_what_is_missing_is_named(given, told):
    with pytest.raises(InputError, match=told):
        zoo.similar(**given).init(problem(targets=("t",)))


@pytest.mark.parametrize("tau", [0, -1.0, float("inf"), {"t": 0.0}])
def test_wrong_tau(tau):
    with pytest.raises(InputError, match="tau must be positive"):
        build("similar", {"tau": tau})


def test_wrong_parameters_are_found_when_built():
    with pytest.raises(InputError, match="direction must be"):
        build("similar", {"direction": "sideways"})
    with pytest.raises(InputError, match="did you mean 'buckets'"):
        build("similar", {"bucket": 3})


def test_replacing_finds_mixtures_and_methods_at_any_depth_and_nothing_else():
    given = {
        "prior": {"similar": {"tau": 0.2}},
        "default": "similar",
        "method": {"aioli": {"prior": "similar", "eta": 0.1}},
        "sampling": {"similar": 0.5, "other": 0.5},
        "name": "similar to",
    }
    found = replace_similar(given, lambda each: ("mixture", each), lambda each: ("method", each))
    assert found == {
        "prior": ("mixture", {"tau": 0.2}),
        "default": ("method", {}),
        "method": {"aioli": {"prior": ("mixture", {}), "eta": 0.1}},
        "sampling": {"similar": 0.5, "other": 0.5},
        "name": "similar to",
    }


def test_a_run_is_named_by_the_fields_of_similar_however_it_was_written():
    short = complete("aioli", {"prior": "similar"})
    long = complete("aioli", {"prior": {"similar": {"seed": 0}}})
    assert short == long
    assert short["prior"]["similar"]["buckets"] == 65536
    assert complete("aioli", {"prior": {"similar": {"buckets": 512}}}) != short
    assert complete("aioli", {"prior": None})["prior"] is None


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("similar", {}),
        ("similar", {"tau": 0.3, "buckets": 100}),
        ("aioli", {"prior": "similar", "round_steps": 20}),
        ("guarded", {"method": {"aioli": {"prior": "similar", "round_steps": 20}}, "default": "similar"}),
    ],
)
def test_a_config_is_checked_before_there_are_texts(name, parameters):
    method = stand_in(name, parameters, problem(total_steps=200))
    p = first(method, problem(total_steps=200))
    assert p.min() > 0 and p.sum() == pytest.approx(1)
