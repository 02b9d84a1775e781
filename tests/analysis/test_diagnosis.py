"""From branches to a law: coverage where the truth is known, noise told from misfit, pooling, static laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

from aioli.analysis.diagnosis import fidelities, law_at, method_sums, pooled
from aioli.analysis.fidelity import centred
from aioli.analysis.static import static_effects, static_quality
from aioli.errors import InputError
from aioli.simplex import apportion
from aioli.sweep.designs import smoothed
from aioli.sweep.region import Region
from aioli.sweep.screening import halves
from aioli.table import Table

A = np.array([[0.30, 0.02, 0.01], [0.05, 0.25, 0.03], [0.02, 0.04, 0.15]])
EVEN = np.ones(3)
DESIGN = np.vstack(
    [np.full((1, 3), 1 / 3), smoothed(Region.simplex(3), 0.6), smoothed(Region.simplex(3), 0.9)]
)


def branch(mixture: np.ndarray, noise: np.ndarray, bend: float = 0.0) -> dict[str, Any]:
    """The result of a branch of 20 steps of 16 sequences in a world whose law is A, as whole sequences."""
    drawn = apportion(mixture, 320, np.zeros(3))
    p = drawn / drawn.sum()
    fall = A @ p - bend * ((p - 1 / 3) ** 2).sum() + noise
    points = [
        {"step": 0, "loss": [3.0] * 3, "drawn": [0] * 3},
        {"step": 20, "loss": (3 - fall).tolist(), "drawn": drawn.tolist()},
    ]
    return {"id": "x", "branch": {"step": 100, "points": points}}


def branches(seed: int, noise: float, orders: int = 1, bend: float = 0.0) -> list[dict[str, Any]]:
    """Branches whose noise is partly common to those of one order, as paired ones' is."""
    rng = np.random.default_rng(seed)
    common = 3 * noise * rng.normal(size=(orders, 3))
    return [
        branch(row, common[order] + noise * rng.normal(size=3), bend)
        for row in DESIGN
        for order in range(orders)
    ]


@pytest.mark.parametrize("orders", [1, 2])
def test_intervals_of_contrasts_and_gains_cover_the_truth_as_often_as_they_say(orders: int) -> None:
    inside: dict[str, list[np.ndarray]] = {"contrasts": [], "gains": []}
    true_contrasts = A - A.mean(axis=1, keepdims=True)
    for seed in range(200):
        law = law_at(branches(seed, 0.002, orders), 20, EVEN, orders=orders)
        error = law["critical"] * np.array(law["contrast_errors"])
        inside["contrasts"].append(np.abs(np.array(law["contrasts"]) - true_contrasts) <= error)
        off = np.abs(np.array(law["gains"]) - centred(A.sum(axis=0)))
        assert law["gain_freedom"] == 3  # one less than of the matrix: a curvature is fitted too
        inside["gains"].append(off <= stdtrit(law["gain_freedom"], 0.975) * np.array(law["gain_errors"]))
    for covered in inside.values():
        assert 0.90 <= np.mean(covered) <= 0.98


def test_two_orders_tell_noise_from_what_a_line_cannot_express() -> None:
    straight = [law_at(branches(seed, 0.002, 2), 20, EVEN, orders=2) for seed in range(60)]
    bent = [law_at(branches(seed, 0.002, 2, bend=0.05), 20, EVEN, orders=2) for seed in range(60)]
    for laws in (straight, bent):
        assert np.sqrt(np.mean(np.square([law["order_noise"] for law in laws]))) == pytest.approx(
            0.002, rel=0.1
        )
    assert np.mean(np.array([law["misfit_p"] for law in straight]) < 0.05) == pytest.approx(0.05, abs=0.05)
    assert np.mean(np.array([law["misfit_p"] for law in bent]) < 0.05) > 0.5
    assert np.mean([law["misfit"] for law in bent]) > 2 * np.mean([law["misfit"] for law in straight])
    assert "order_noise" not in law_at(branches(0, 0.002), 20, EVEN)


def test_where_all_branches_are_as_far_from_the_mean_gains_are_those_of_least_squares() -> None:
    """Halves of an even number of groups are: their distance is the sum of proportions over again."""
    m = 6
    mixtures = halves(m, 24, seed=0)
    law = np.linspace(0, 0.2, m) * np.ones((2, 1))
    rng = np.random.default_rng(0)
    results = []
    for row in mixtures:
        drawn = apportion(row, 4800, np.zeros(m))
        fall = law @ (drawn / drawn.sum()) + 0.01 * rng.normal(size=2)
        points = [
            {"step": 0, "loss": [3.0] * 2, "drawn": [0] * m},
            {"step": 20, "loss": (3 - fall).tolist(), "drawn": drawn.tolist()},
        ]
        results.append({"id": "x", "branch": {"step": 100, "points": points}})
    found = law_at(results, 20, np.ones(2))
    assert found["freedom"] == found["gain_freedom"] == 24 - m
    assert found["curvature"] == [None] * 2
    np.testing.assert_allclose(found["gains"], centred(np.array(found["sums"])), atol=1e-12)


def test_a_horizon_without_a_measurement_is_refused() -> None:
    with pytest.raises(InputError, match="did not measure after 75 steps"):
        law_at(branches(0, 0.0), 75, EVEN)


def method_result(matrices: list[np.ndarray], proportions: list[list[float]]) -> dict[str, Any]:
    return {
        "label": "m",
        "seed": 0,
        "groups": list("abc"),
        "targets": list("abc"),
        "steps": 10,
        "matrices": [{"step": 5, "values": each.tolist()} for each in matrices],
        "proportions": {"values": proportions},
        "mixture": {"answer": None},
    }


def test_a_method_stands_by_its_last_matrix_or_by_how_it_moved() -> None:
    sums, matrix = method_sums(method_result([0 * A, A], [[1 / 3] * 3]), EVEN)
    np.testing.assert_allclose(sums, A.sum(axis=0))
    assert matrix is not None
    moved = [[1 / 3] * 3, [0.5, 0.3, 0.2]]
    sums, matrix = method_sums(method_result([], moved), EVEN)
    np.testing.assert_allclose(sums, np.log(np.array(moved[1]) * 3))
    assert matrix is None
    with pytest.raises(InputError, match="neither estimated a law nor moved"):
        method_sums(method_result([], moved[:1]), EVEN)


def test_two_groups_are_compared_by_what_each_gains_from_itself_beyond_the_other() -> None:
    """As published: A_11 - A_12 and A_22 - A_21, which no trend common to both groups touches."""
    ours, truth = np.array([[0.30, 0.10], [0.25, 0.35]]), np.array([[0.5, 0.2], [0.4, 0.8]])
    known = {"horizon": 5, "sums": [0.9, 1.0], "gains": [-0.05, 0.05], "gain_errors": [0.01, 0.01]}
    law = known | {
        "matrix": truth.tolist(),
        "contrast_errors": [[0.01, 0.01], [0.02, 0.02]],
        "sums_variances": [0.0, 0.0],
        "sums_noise": 0.0,
        "mixtures": [[0.6, 0.4], [0.4, 0.6]],
        "branches": 2,
        "axes": [[1.0, 0.0], [0.0, 1.0]],
        "freedom": 0,
        "gain_freedom": 0,
    }
    of_two = {"groups": ["a", "b"], "targets": ["a", "b"]}
    (row,) = fidelities([method_result([ours], [[0.5, 0.5]]) | of_two], [law], np.ones(2))
    cosine = (0.2 * 0.3 + 0.1 * 0.4) / (np.hypot(0.2, 0.1) * np.hypot(0.3, 0.4))
    assert row["raw"]["cosine"] == pytest.approx(cosine)
    assert row["raw"]["spearman"] == -1
    assert row["raw"]["low"] < row["raw"]["similarity"] <= row["raw"]["high"]
    (elsewhere,) = fidelities(
        [method_result([ours], [[0.5, 0.5]]) | of_two | {"targets": ["s", "t"]}], [law], np.ones(2)
    )
    assert elsewhere["raw"]["cosine"] == pytest.approx(
        (0.55 * 0.9 + 0.45 * 1.0) / (np.hypot(0.55, 0.45) * np.hypot(0.9, 1.0))
    )


def test_seeds_are_pooled_with_errors_over_seeds() -> None:
    points = []
    for seed in (0, 1, 2):
        laws = [law_at(branches(seed, 0.002), 20, EVEN)]
        rows = fidelities([method_result([A], [[1 / 3] * 3])], laws, EVEN)
        points.append({"seed": seed, "step": 100, "laws": laws, "fidelity": rows})
    (row,) = pooled(points)
    sums = np.array([point["laws"][0]["sums"] for point in points])
    gains = np.array([point["laws"][0]["gains"] for point in points])
    np.testing.assert_allclose(gains, sums - sums.mean(axis=1, keepdims=True), atol=0.01)
    np.testing.assert_allclose(row["gains"], gains.mean(axis=0))
    np.testing.assert_allclose(row["gain_errors"], gains.std(axis=0, ddof=1) / np.sqrt(3))
    assert row["seeds"] == 3 and row["fidelity"]["m"]["mean"] > 0.9
    (alone,) = pooled(points[:1])
    assert alone["gain_errors"] == [None] * 3 and alone["fidelity"]["m"]["error"] is None


def test_static_laws_of_whole_runs() -> None:
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(3), 24)
    slopes = np.array([[-1.5, 0.5, 0.8], [0.4, -2.0, 0.2]])
    losses = np.array([2.0, 1.5]) + np.exp(mixtures @ slopes.T) + 0.003 * rng.normal(size=(24, 2))
    names = tuple(f"r{k}" for k in range(24))
    found = static_quality(Table(("a", "b", "c"), names, mixtures, targets=("s", "t"), losses=losses))
    assert set(found["laws"]) == {"log-linear", "linear"} and found["published"]["log-linear"] == 0.991
    curved, straight = found["laws"]["log-linear"], found["laws"]["linear"]
    assert min(curved["held_out_r2"]) > 0.99 > min(straight["held_out_r2"])
    bend = np.abs(straight["curvature"]) / straight["curvature_error"]
    assert bend.max() > 3 > (np.abs(curved["curvature"]) / curved["curvature_error"]).max()


def test_static_effects_are_the_slopes_at_the_mean_mixture_with_errors_that_cover() -> None:
    slopes, floors = np.array([[-1.5, 0.5, 0.8], [0.4, -2.0, 0.2]]), np.array([2.0, 1.5])
    inside: dict[str, list[bool]] = {"log-linear": [], "linear": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mixtures = rng.dirichlet(np.full(3, 2.0), 24)
        losses = floors + np.exp(mixtures @ slopes.T) + 0.01 * rng.normal(size=(24, 2))
        names = tuple(f"r{k}" for k in range(24))
        found = static_effects(Table(("a", "b", "c"), names, mixtures, targets=("s", "t"), losses=losses))
        gradient = -np.exp(mixtures.mean(axis=0) @ slopes.T)[:, None] * slopes
        truth = gradient - gradient.mean(axis=1, keepdims=True)
        for name, law in found.items():
            half = 1.96 * np.array(law["effect_errors"])
            inside[name] += (np.abs(np.array(law["effects"]) - truth) <= half).ravel().tolist()
    assert 0.82 <= np.mean(inside["log-linear"]) <= 0.99
    assert 0.82 <= np.mean(inside["linear"]) <= 0.99


def test_too_few_runs_for_errors_of_static_effects() -> None:
    mixtures = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6], [1 / 3] * 3])
    names = tuple("abcd")
    table = Table(("a", "b", "c"), names, mixtures, targets=("s",), losses=mixtures @ [[1.0], [2.0], [3.0]])
    found = static_effects(table)["linear"]
    assert found["effect_errors"] == [[None] * 3]
    np.testing.assert_allclose(found["effects"], [[1.0, 0.0, -1.0]], atol=1e-6)
