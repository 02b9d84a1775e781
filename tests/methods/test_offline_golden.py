"""Offline methods on worked numbers and on planted laws: what they read, and the mixture they give."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.laws.static.log_linear import FittedLogLinear
from aioli.methods.offline import OFFLINE, Offline, Optimum, build_offline, describe_offline
from aioli.methods.offline_mixmin import MixMin
from aioli.solvers.problem import MixtureProblem
from aioli.table import Table

SLOPES = np.array([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]])
PRIOR = np.array([0.6, 0.3, 0.1])
CAPS = np.array([5, 0.35, 0.25])
NONE = np.ones(3)


def problem(upper=NONE, weights=(0.5, 0.5), **more) -> MixtureProblem:
    return MixtureProblem(np.array(weights), np.zeros(3), upper, reference=PRIOR, **more)


@pytest.mark.parametrize(
    ("kl", "caps", "proportions", "objective"),
    [
        (0.05, NONE, [0.538055, 0.461536, 0.000410], 0.508627),
        (0.05, CAPS, [0.642583, 0.350000, 0.007417], 0.523593),
        (0.0, NONE, [0.525939, 0.474061, 0.0], 0.501448),
        (0.0, CAPS, [0.650000, 0.350000, 0.0], 0.518690),
    ],
)
def test_olmix_base_on_its_worked_example(kl, caps, proportions, objective):
    found = Optimum(kl).solve(FittedLogLinear(np.zeros(2), SLOPES), problem(caps))
    assert found.proportions == pytest.approx(proportions, abs=2e-6)
    assert found.objective == pytest.approx(objective, abs=1e-6)
    assert found.status == "optimal"


@pytest.mark.parametrize(
    ("k", "b", "weights", "first"),
    [
        ([-1.2, -0.8], [0.3, 0.1], [1 / 2, 1 / 2], 0.702733),
        ([-2.0, -0.3], [0.5, -0.9], [1 / 2, 1 / 2], 1.0),
        ([-1.2, -0.8], [0.3, 0.1], [2 / 3, 1 / 3], 1.0),
        ([0.9, 0.8], [0.1, 0.2], [1 / 2, 1 / 2], 0.460128),
        ([-0.5, 0.5], [0.0, 0.0], [1 / 2, 1 / 2], 1.0),
        ([0.5, -0.5], [0.0, 0.0], [1 / 2, 1 / 2], 0.0),
    ],
)
def test_two_groups_with_own_proportions_have_a_closed_form(k, b, weights, first):
    law = FittedLogLinear(np.array([1.0, 2.0]), np.diag(k) + np.array(b)[:, None])
    found = Optimum().solve(law, MixtureProblem(np.array(weights), np.zeros(2), np.ones(2)))
    assert found.proportions[0] == pytest.approx(first, abs=1e-5)  # the optimum is flat


def planted(runs: int = 40, seed: int = 0) -> Table:
    """Runs whose losses are a log-linear law exactly."""
    mixtures = np.random.default_rng(seed).dirichlet(3 * PRIOR, runs)
    losses = np.array([1.2, 2.0]) + np.exp(mixtures @ SLOPES.T)
    names = tuple(str(run) for run in range(runs))
    return Table(("law", "code", "math"), names, mixtures, targets=("exam", "chat"), losses=losses)


def test_dml_recovers_a_planted_law_and_its_optimum():
    answer = build_offline("dml").solve(planted(), problem())
    assert answer.solution.proportions == pytest.approx([0.525939, 0.474061, 0], abs=1e-3)
    assert answer.solution.losses == pytest.approx(
        answer.fitted.predict(answer.solution.proportions[None])[0], abs=1e-9
    )


def test_olmix_base_keeps_near_the_reference():
    method = build_offline("olmix_base")
    assert method.max_repeats == 4 and method.needs_reference
    near = method.solve(planted(), problem(CAPS)).solution
    assert near.proportions == pytest.approx([0.642583, 0.35, 0.007417], abs=2e-3)
    told = build_offline("olmix_base", {"kl": 10.0}).solve(planted(), problem()).solution
    assert np.abs(told.proportions - PRIOR).sum() < 0.02


@pytest.mark.parametrize("name", ["regmix", "climb"])
def test_trees_and_candidates_find_the_neighbourhood(name):
    method = build_offline(name, {"rounds": 60, "rate": 0.1, "candidates": 4_000, "best": 32})
    table = planted(200)
    first, second = (method.solve(table, problem(), seed=1).solution for _ in range(2))
    assert np.array_equal(first.proportions, second.proportions)
    value = np.exp(first.proportions @ SLOPES.T).mean()
    assert value < 0.53  # the prior has .546, the optimum .501


def test_every_offline_method_says_what_it_is():
    infos = describe_offline()
    assert set(infos) == set(OFFLINE) == {"regmix", "dml", "olmix_base", "climb", "mixmin"}
    assert all(info.summary and info.citation.arxiv and info.law and info.solver for info in infos.values())
    assert isinstance(build_offline("mixmin"), MixMin)
    assert all(isinstance(build_offline(name), Offline) for name in OFFLINE if name != "mixmin")


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("regmx", {}, "unknown offline method 'regmx'; did you mean 'regmix'"),
        ("dml", {"hubr": 1}, "did you mean 'huber'"),
        ("regmix", {"best": "many"}, "best must be int, got 'many'"),
        ("regmix", {"best": 0}, "best must be from 1"),
    ],
)
def test_methods_that_cannot_be_built(name, parameters, said):
    with pytest.raises(InputError, match=said):
        build_offline(name, parameters)
