"""Predictions of runs by laws that have not seen them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.static_law import StaticLaw
from aioli.table import Runs, Table

__all__ = ["folds", "mixture_of", "out_of_fold"]


def mixture_of(runs: Runs) -> NDArray[np.int64]:
    """[k] which distinct mixture each run has; a run at several scales and repetitions share one."""
    _, which = np.unique(runs.mixtures, axis=0, return_inverse=True)
    return which.reshape(-1).astype(np.int64)


def folds(runs: Runs, count: int, seed: int = 0) -> NDArray[np.int64]:
    """[k] the fold, 0 to count - 1, in which each run is held out: sizes differ by one mixture at most.

    All runs on one mixture are held out together.

    Raises:
        InputError: fewer distinct mixtures than folds.
    """
    which = mixture_of(runs)
    distinct = int(which.max()) + 1
    if not 2 <= count <= distinct:
        raise InputError(f"{count} folds need at least as many distinct mixtures (and 2), got {distinct}")
    order = np.random.default_rng(seed).permutation(distinct)
    return (order % count)[which]


def out_of_fold(law: StaticLaw, table: Table, fold: NDArray[np.int64], seed: int = 0) -> Array:
    """[k, n] each run's losses predicted by the law fitted to the other folds.

    Raises:
        InputError: a fold's remainder to which the law cannot be fitted.
    """
    predicted = np.empty_like(table.losses)
    for one in np.unique(fold):
        test = fold == one
        fitted = law.fit(table.rows(~test), seed=seed)
        rows = table.rows(test)
        predicted[test] = fitted.predict(rows.mixtures, rows.size, rows.tokens)
    return predicted
