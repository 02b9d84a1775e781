"""What a user asks of a mixture becomes bounds, weights and limits; contradictions are named."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.jobs.wishes import Wishes, mixture_problem
from aioli.protocol import Constraints

GROUPS, TARGETS = ("law", "code", "math"), ("exam", "chat")
TOKENS = {"law": 1e11, "code": 7e9, "math": 5e9}


def test_caps_are_repeats_times_tokens_over_the_run():
    wishes = Wishes(tokens=TOKENS, train_tokens=8e10, constraints=Constraints(max_repeats=4))
    problem = mixture_problem(GROUPS, TARGETS, wishes)
    assert problem.upper == pytest.approx([1, 0.35, 0.25])
    assert problem.lower.tolist() == [0, 0, 0]
    assert problem.weights.tolist() == [0.5, 0.5]


def test_names_decide_not_their_order():
    wishes = Wishes(
        tokens=dict(reversed(TOKENS.items())),
        reference="natural",
        target_weights={"chat": 3, "exam": 1},
        limits={"chat": 2.5},
        objective="worst_excess",
        baselines={"chat": 1.0, "exam": 2.0},
        constraints=Constraints(floors={"math": 0.1}, fixed={"code": 0.2}),
    )
    problem = mixture_problem(GROUPS, TARGETS, wishes)
    assert problem.reference == pytest.approx(np.array([100, 7, 5]) / 112)
    assert problem.weights.tolist() == [0.25, 0.75]
    assert problem.loss_limits.tolist() == [np.inf, 2.5]
    assert problem.baselines.tolist() == [2.0, 1.0]
    assert problem.lower == pytest.approx([0, 0.2, 0.1]) and problem.upper == pytest.approx([1, 0.2, 1])
    only = mixture_problem(GROUPS, TARGETS, Wishes(target_weights={"chat": 2}, reference="uniform"))
    assert only.weights.tolist() == [0, 1] and only.reference == pytest.approx([1 / 3] * 3)


def test_a_group_without_data_stays_out():
    wishes = Wishes(tokens=TOKENS | {"code": 0}, reference={"law": 0.5, "code": 0, "math": 0.5}, kl=0.1)
    assert mixture_problem(GROUPS, TARGETS, wishes).box[1][1] == 0


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"constraints": Constraints(max_repeats=4)}, "give the tokens of every group, and those to train"),
        ({"tokens": {"law": 9}}, "tokens are needed for all; missing: code, math"),
        ({"tokens": TOKENS | {"maths": 1}}, "did you mean 'math'"),
        ({"tokens": TOKENS | {"math": float("nan")}}, "tokens of 'math' must be a finite number"),
        ({"tokens": TOKENS, "train_tokens": 0.2}, "at least 1, got 0.2"),
        ({"reference": "natural"}, "give the tokens of every group"),
        ({"reference": "naturl"}, "natural, uniform, or proportions"),
        ({"reference": {"law": 1}}, "missing: code, math"),
        ({"kl": 0.1}, "measured from a reference mixture"),
        ({"target_weights": {"exam": 0}}, "not all zero"),
        ({"limits": {"law": 2}}, "unknown|does not have"),
        ({"objective": "worst"}, "unknown objective 'worst'; known: mean_excess"),
        ({"objective": "mean_excess"}, "needs baselines"),
        ({"objective": "mean_excess", "baselines": {"exam": 1}}, "missing: chat"),
        ({"constraints": Constraints(floors={"law": 0.7}, fixed={"code": 0.5})}, "more than 1"),
        ({"constraints": Constraints(max_change=0.1)}, "max_change"),
    ],
)
def test_wishes_that_cannot_be_met(wishes, said):
    with pytest.raises(InputError, match=said):
        mixture_problem(GROUPS, TARGETS, Wishes(**wishes))


def test_caps_that_leave_no_mixture_say_what_would():
    wishes = Wishes(tokens=TOKENS, train_tokens=1e12, constraints=Constraints(max_repeats=4))
    with pytest.raises(InputError, match=r"allow 8\.929 repeats of every group"):
        mixture_problem(GROUPS, TARGETS, wishes)
