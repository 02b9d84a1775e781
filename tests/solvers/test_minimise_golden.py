"""Optima worked by hand or from closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from tests.solvers.convex_laws import Law, golden_losses

from aioli.solvers.minimise import minimise
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses, Terms

FREE2, FREE3 = (np.zeros(2), np.ones(2)), (np.zeros(3), np.ones(3))
OLMIX = golden_losses([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]])
PRIOR = np.array([0.6, 0.3, 0.1])
CAPS = 4 * np.array([1e11, 7e9, 5e9]) / 8e10


@pytest.mark.parametrize(
    ("k", "b", "w", "first"),
    [
        ([-1.2, -0.8], [0.3, 0.1], [0.5, 0.5], 0.702733),
        ([-2.0, -0.3], [0.5, -0.9], [0.5, 0.5], 1),
        ([-1.2, -0.8], [0.3, 0.1], [2 / 3, 1 / 3], 1),
        ([0.9, 0.8], [0.1, 0.2], [0.5, 0.5], 0.460128),
        ([-0.5, 0.5], [0.3, 0.1], [0.5, 0.5], 1),
        ([0.5, -0.5], [0.3, 0.1], [0.5, 0.5], 0),
    ],
)
def test_two_groups_in_closed_form(k, b, w, first):
    terms = Terms(np.arange(2), np.ones(2), np.array(b), np.diag(k))
    found = minimise(Law(ConvexLosses(np.ones(2), np.zeros((2, 2)), terms)), MixtureProblem(w, *FREE2))
    assert found.proportions[0] == pytest.approx(first, abs=1e-6)
    assert found.status == "optimal" and found.gap < 1e-8


@pytest.mark.parametrize(
    ("kl", "caps", "p", "objective"),
    [
        (0.05, np.ones(3), [0.538055, 0.461536, 0.000410], 0.508627),
        (0.05, CAPS, [0.642583, 0.350000, 0.007417], 0.523593),
        (0.0, np.ones(3), [0.525939, 0.474061, 0], 0.501448),
        (0.0, CAPS, [0.650000, 0.350000, 0], 0.518690),
    ],
)
def test_olmix(kl, caps, p, objective):
    problem = MixtureProblem([0.5, 0.5], np.zeros(3), caps, PRIOR, kl, groups=("a", "b", "c"))
    found = minimise(Law(OLMIX), problem)
    np.testing.assert_allclose(found.proportions, p, atol=1e-6)
    assert found.objective == pytest.approx(objective, abs=1e-6)
    assert found.binding == (("cap of b",) if caps is CAPS else ())


def test_olmix_reports_the_loss_without_the_penalty():
    found = minimise(Law(OLMIX), MixtureProblem([0.5, 0.5], np.zeros(3), np.ones(3), PRIOR, 0.05))
    assert found.losses.mean() == pytest.approx(0.501730, abs=1e-6)
    assert found.objective - found.losses.mean() == pytest.approx(0.05 * 0.137936, abs=1e-6)


def test_a_group_without_reference_gets_nothing_under_a_divergence():
    problem = MixtureProblem([0.5, 0.5], np.zeros(3), np.ones(3), [0.7, 0, 0.3], 0.05)
    assert minimise(Law(OLMIX), problem).proportions[1] == 0


@pytest.mark.parametrize(
    ("exponents", "p"),
    [
        ([0.5, 0.5, 0.5], [0.493386, 0.310814, 0.195800]),
        ([0.5, 0.3, 0.2], [0.664677, 0.247232, 0.088091]),
    ],
)
def test_bimix(exponents, p):
    terms = Terms(np.zeros(1, int), np.ones(1), np.array([[2.0, 1.0, 0.5]]), np.array([exponents]))
    losses = ConvexLosses(np.zeros(1), np.zeros((1, 3)), powers=terms)
    found = minimise(Law(losses), MixtureProblem([1.0], *FREE3))
    np.testing.assert_allclose(found.proportions, p, atol=1e-6)
    if exponents[1] == 0.3:
        assert found.objective == pytest.approx(4.786741, abs=1e-6)


@pytest.mark.parametrize(
    ("exponents", "p", "constant", "loss"),
    [
        ([0.5, 0.5, 0.5], [0.761905, 0.190476, 0.047619], 1.2, None),
        ([0.5, 0.4, 0.6], [0.785876, 0.177649, 0.036475], 1.2, 1.626885),
    ],
)
def test_additive(exponents, p, constant, loss):
    terms = Terms(np.zeros(1, int), np.ones(1), np.array([[2.0, 1.0, 0.5]]), np.array([exponents]))
    losses = ConvexLosses(np.array([constant]), np.zeros((1, 3)), inverses=terms)
    found = minimise(Law(losses), MixtureProblem([1.0], *FREE3))
    np.testing.assert_allclose(found.proportions, p, atol=1e-6)
    assert loss is None or found.objective == pytest.approx(loss, abs=1e-6)
