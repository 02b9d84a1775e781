"""Problems that cannot be solved: the message names the numbers that conflict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.solvers.convex_laws import Law, golden_losses

from aioli.errors import InputError
from aioli.solvers.minimise import minimise
from aioli.solvers.problem import MixtureProblem
from aioli.solvers.search import search

LAW = Law(golden_losses([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]]))
PROBLEM = MixtureProblem(
    [0.5, 0.5], np.zeros(3), np.ones(3), [0.6, 0.3, 0.1], groups=("a", "b", "c"), targets=("x", "y")
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"upper": np.full(3, 0.2)}, "caps sum to 0.6, less than 1"),
        ({"lower": np.full(3, 0.4)}, "floors sum to 1.2, more than 1"),
        ({"lower": [0.5, 0, 0], "upper": [0.3, 1, 1]}, "floor of a, 0.5, is above .* 0.3"),
        ({"lower": [-0.1, 0, 0]}, "floor of a must be in"),
        ({"weights": [0.5, 0.6]}, "weights must sum to 1, got a sum of 1.1"),
        ({"weights": [0.5, np.nan]}, "weights of y must be a number"),
        ({"loss_limits": [1.0]}, "loss_limits needs 2 numbers"),
        ({"kl": -1.0}, "kl must be"),
        ({"reference": None, "max_kl": 0.1}, "give one"),
        ({"reference": [0.5, 0.5, 0], "kl": 0.1, "lower": [0, 0, 0.1]}, "floor of c, 0.1, is above"),
        ({"caution": 1.0}, "caution must be in"),
        ({"objective": "worst_excess"}, "needs baselines"),
        ({"objective": "best"}, "unknown objective"),
    ],
)
def test_a_problem_is_refused_when_it_is_made(changes, told):
    with pytest.raises(InputError, match=told):
        replace(PROBLEM, **changes)


def test_a_loss_limit_below_all_mixtures_says_what_can_be_reached():
    least = float(np.exp(-1.5 * 0.8 + 0.2 * 0.2))  # a at its cap, the rest of its better neighbour
    problem = replace(PROBLEM, upper=[0.8, 1, 1], loss_limits=[0.2, np.inf])
    with pytest.raises(InputError, match=f"limit 0.2 of x is below {least:.6g}"):
        minimise(LAW, problem)


def test_a_limit_below_the_constant_of_a_law():
    with pytest.raises(InputError, match=r"limit -1 of x is below 0\.22313"):
        minimise(LAW, replace(PROBLEM, loss_limits=[-1.0, np.inf]))


def test_caps_that_lead_too_far_from_the_reference():
    far = replace(PROBLEM, upper=[0.2, 1, 1], max_variation=0.3)
    with pytest.raises(InputError, match=r"max_variation 0.3 is below 0.4, the least"):
        minimise(LAW, far)
    with pytest.raises(InputError, match=r"max_kl 0.01 is below 0.3347"):
        minimise(LAW, replace(PROBLEM, upper=[0.2, 1, 1], max_kl=0.01))


def test_limits_that_exclude_each_other_are_all_named():
    with pytest.raises(InputError, match=r"limit 0.3 of x, the limit 0.3 of y; the best compromise misses"):
        minimise(LAW, replace(PROBLEM, loss_limits=[0.3, 0.3]))


def test_one_mixture_left_that_misses_a_limit():
    held = np.array([0.2, 0.3, 0.5])
    with pytest.raises(InputError, match=r"limit 0\.5 of x"):
        minimise(LAW, replace(PROBLEM, lower=held, upper=held, loss_limits=[0.5, np.inf]))


def test_search_says_what_it_misses():
    with pytest.raises(InputError, match=r"best misses the limit of x by 0.023"):
        search(LAW, replace(PROBLEM, loss_limits=[0.2, np.inf]))


def test_laws_and_replicates_that_do_not_fit():
    with pytest.raises(InputError, match="1 targets and 3 groups, the problem 2 and 3"):
        minimise(Law(golden_losses([[1.0, 0, 0]])), PROBLEM)
    with pytest.raises(InputError, match="bootstrap"):
        minimise(LAW, replace(PROBLEM, caution=0.5))
