"""What Python users meet first: names of the package, texts of its objects, and mistakes told at once."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import aioli
from aioli import Constraints, InputError, Mixer, Problem, zoo
from aioli.estimators import Probes
from aioli.measure.base import Context

PROBLEM = Problem(("law", "code"), (10**6, 10**6), total_steps=40, step_tokens=512)


def test_every_public_name_can_be_had_and_is_listed() -> None:
    for name in aioli.__all__:
        assert getattr(aioli, name) is not None
    assert set(aioli.__all__) <= set(dir(aioli))
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        aioli.fitt  # noqa: B018


@pytest.mark.parametrize("method", ["aioli", zoo.aioli, type(zoo.stratified()), {"aioli": {}}, None])
def test_what_is_no_method_is_refused_at_once(method: Any) -> None:
    with pytest.raises(InputError, match=r"expected a method such as aioli.zoo.aioli\(eta=0.2\), got"):
        Mixer(method, PROBLEM)
    for wrap in (zoo.averaged, zoo.reweighted, zoo.guarded):
        with pytest.raises(InputError, match="expected a method"):
            wrap(method)
    with pytest.raises(InputError, match="expected a method"):
        zoo.after(zoo.stratified(), 3, method)


def test_what_is_no_part_is_refused_at_once() -> None:
    solver = aioli.zoo.aioli().solver
    for given, told in (
        ({"estimator": "probes", "solver": solver}, "expected an estimator such as"),
        ({"estimator": Probes(), "solver": "exponentiated_gradient"}, "expected a solver such as"),
        ({"estimator": Probes(), "solver": solver, "law": Probes}, "expected a law such as"),
    ):
        with pytest.raises(InputError, match=told):
            zoo.lmo(**given)


def test_a_problem_says_what_it_takes() -> None:
    for given, told in (
        ({"groups": "law", "group_tokens": (1, 2, 3)}, "groups takes names"),
        ({"group_tokens": {"law": 5, "code": 6}}, "numbers in the order of the groups"),
        ({"constraints": {"max_repeats": 4}}, "constraints takes aioli.Constraints"),
    ):
        known = {"groups": ("law", "code"), "group_tokens": (5, 6), "total_steps": 3, "step_tokens": 2}
        with pytest.raises(InputError, match=told):
            Problem(**(known | given))
    assert Problem(("a",), (9,), 3, 2, constraints=Constraints(max_repeats=4)).constraints


def test_numbers_by_name_are_refused_where_they_go_in_order() -> None:
    mixer = Mixer(zoo.matched(objective="mean_perplexity"), PROBLEM)
    with pytest.raises(InputError, match="advance takes numbers in the order"):
        mixer.advance({"law": 2, "code": 2})  # type: ignore[arg-type]
    for _ in range(mixer.request.steps):
        mixer.advance([2, 2])
    (signal,) = mixer.request.observe
    with pytest.raises(InputError, match=f"{signal} takes numbers in the order"):
        mixer.tell({signal: {"law": 1.0, "code": 2.0}})  # type: ignore[dict-item]


def test_a_loop_that_never_peeks_is_told_so() -> None:
    mixer = Mixer(zoo.doremi(), PROBLEM)
    assert mixer.request.steps == 0
    (signal,) = mixer.request.observe
    with pytest.raises(InputError, match=r"batch due next.*meter\.peek"):
        mixer.tell({signal: [np.nan, np.nan]})
    mixer.tell({signal: [0.3, np.nan]})  # a group that the batch lacks is no mistake


def test_objects_say_what_they_are() -> None:
    with Mixer(zoo.static({"law": 0.25, "code": 0.75}), PROBLEM) as mixer:
        assert repr(mixer) == "<Mixer Static, step 0 of 40, train on law 0.25 code 0.75>"
        while not mixer.done:
            mixer.advance([1, 3]) if mixer.request.steps else mixer.tell({})
    assert repr(mixer) == "<Mixer Static, step 40 of 40, done>"
    many = Problem(tuple(f"g{j}" for j in range(20)), (10**6,) * 20, total_steps=4, step_tokens=512)
    assert repr(Mixer(zoo.stratified(), many)).endswith("g7 0.05 and 12 more>")
    loader = aioli.Loader({"law": np.zeros((5, 3), np.uint16)}, batch=4, seed=0, world=2)
    assert repr(loader) == "<Loader 0 sequences drawn, batch 4, rank 0 of 2, rows {law: 5}>"
    meter = aioli.Meter(["train_loss"], Context(PROBLEM, lambda tokens: torch.zeros(len(tokens))))
    assert repr(meter) == "<Meter of train_loss, 0 tokens read>"


def test_leaving_a_with_block_closes_the_journal(tmp_path: Path) -> None:
    with Mixer(zoo.stratified(), PROBLEM, journal=tmp_path / "j.jsonl") as mixer:
        for _ in range(40):
            mixer.advance([1, 1])
        mixer.tell({})
    del mixer
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()  # a file left open says so here
    assert not told
    assert len(aioli.Journal.read(tmp_path / "j.jsonl").records) == 1
