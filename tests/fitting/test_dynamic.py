"""The linear dynamic law recovered from branches, with intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.fitting.dynamic import column_sums, fit_dynamic
from aioli.sweep.screening import halves

A = np.array([[0.30, 0.02, 0.01, 0.05], [0.05, 0.25, 0.03, 0.02], [0.02, 0.04, 0.15, 0.01]])


def branches(k: int, noise: float, seed: int, matrix: np.ndarray = A) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.full(matrix.shape[1], 2.0), k)
    return mixtures, mixtures @ matrix.T + noise * rng.normal(size=(k, len(matrix)))


def test_without_noise_the_matrix_is_found() -> None:
    found = fit_dynamic(*branches(8, 0.0, 0))
    np.testing.assert_allclose(found.matrix, A, atol=1e-12)
    np.testing.assert_allclose(found.r2, 1.0)
    np.testing.assert_allclose(column_sums(*branches(8, 0.0, 0))[0], A.sum(axis=0))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    inside, contrast, sums = [], [], []
    centred = A - A.mean(axis=1, keepdims=True)
    for seed in range(200):
        found = fit_dynamic(*branches(10, 0.01, seed))
        half = found.critical * found.errors
        inside.append(np.abs(found.matrix - A) <= half)
        values, errors = found.contrasts
        contrast.append(np.abs(values - centred) <= found.critical * errors)
        total, error, _ = column_sums(*branches(10, 0.01, seed))
        sums.append(np.abs(total - A.sum(axis=0)) <= found.critical * error)
    for covered in (inside, contrast, sums):
        assert 0.90 <= np.mean(covered) <= 0.98


def test_a_common_trend_moves_every_entry_and_no_contrast() -> None:
    mixtures, changes = branches(9, 0.005, 3)
    plain, raised = fit_dynamic(mixtures, changes), fit_dynamic(mixtures, changes + 0.5)
    np.testing.assert_allclose(raised.matrix, plain.matrix + 0.5, atol=1e-9)
    np.testing.assert_allclose(raised.contrasts[0], plain.contrasts[0], atol=1e-9)


def test_curvature_is_found_where_there_is_some_and_not_where_there_is_none() -> None:
    mixtures, changes = branches(40, 0.002, 5)
    straight = fit_dynamic(mixtures, changes)
    assert (np.abs(straight.curvature) < 4 * straight.curvature_error).all()
    mean = mixtures.mean(axis=0)
    distance = ((mixtures - mean) ** 2 / mean).sum(axis=1)
    bent = fit_dynamic(mixtures, changes - 0.05 * distance[:, None])
    np.testing.assert_allclose(bent.curvature, straight.curvature - 0.05, atol=1e-9)
    assert (bent.mse > straight.mse).all() and (bent.held_out_r2 < straight.held_out_r2).all()


def test_fewer_branches_than_groups_find_the_groups_that_matter() -> None:
    rng = np.random.default_rng(0)
    m, k = 24, 16
    truth = np.zeros((1, m))
    truth[0, [3, 11]] = 0.4, 0.3
    halves = np.where(rng.permuted(np.tile(np.arange(m) < m // 2, (k, 1)), axis=1), 2.0, 0.5)
    mixtures = halves / halves.sum(axis=1, keepdims=True)
    changes = mixtures @ truth.T + 0.2 + 0.0005 * rng.normal(size=(k, 1))
    found = fit_dynamic(mixtures, changes)
    assert set(np.argsort(found.matrix[0])[-2:]) == {3, 11}
    assert (found.shrinkage > 0).all() and found.freedom == 0
    covered = np.abs(found.contrasts[0] - (truth - truth.mean())) <= 2.5 * found.contrasts[1]
    assert covered.mean() > 0.8


@pytest.mark.parametrize(("spread", "noise"), [(0.1, 0.005), (0.0005, 0.05)])
def test_errors_of_shrunken_matrices_contain_that_of_the_mean(spread: float, noise: float) -> None:
    """Where groups hardly differ, what is not known of A is the fall common to them.

    Empirical Bayes takes its variances as known, so that intervals cover somewhat less than 95%.
    """
    inside, sums = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        mixtures = halves(24, 16, seed=seed)
        matrix = 0.5 + spread * rng.normal(size=(3, 24))
        changes = mixtures @ matrix.T + noise * rng.normal(size=(16, 3))
        found = fit_dynamic(mixtures, changes)
        inside.append(np.abs(found.matrix - matrix) <= found.critical * found.errors)
        total, errors, _ = column_sums(mixtures, changes)
        sums.append(np.abs(total - matrix.sum(axis=0)) <= found.critical * errors)
    assert 0.85 <= np.mean(inside) <= 0.98
    assert 0.85 <= np.mean(sums) <= 0.995


def test_branches_that_say_nothing_give_wide_errors_around_zero() -> None:
    rng = np.random.default_rng(2)
    mixtures = rng.dirichlet(np.ones(12), 6)
    found = fit_dynamic(mixtures, 0.1 + 0.01 * rng.normal(size=(6, 2)))
    values, errors = found.contrasts
    assert (np.abs(values) < 3 * errors + 1e-3).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    mixtures, changes = branches(6, 0.0, 0)
    with pytest.raises(InputError, match="at least 3 branches"):
        fit_dynamic(mixtures[:2], changes[:2])
    with pytest.raises(InputError, match="not finite"):
        fit_dynamic(mixtures, np.where(changes == changes[0, 0], np.nan, changes))
