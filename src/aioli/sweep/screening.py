"""Screening designs: half of the groups raised in every run, to tell with few runs which groups matter."""

from __future__ import annotations

import numpy as np

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["halves"]


def halves(groups: int, runs: int, *, raised: float = 0.4, seed: int = 0) -> Array:
    """[runs, groups] mixtures in pairs: a random half of the groups raised by a share, then the other half.

    Shares are 1 + raised and 1 - raised times an equal one, before they are normalised. In every pair each
    group is raised once, so that no group is confounded with the mean.

    Raises:
        InputError: fewer than 2 groups or runs, or a share outside (0, 1).
    """
    if groups < 2 or runs < 2 or not 0 < raised < 1:
        raise InputError(
            "halves need at least 2 groups and 2 runs, and a share between 0 and 1, "
            f"got {groups}, {runs} and {raised}"
        )
    rng = np.random.default_rng(seed)
    first = [rng.permutation(groups) < groups // 2 for _ in range((runs + 1) // 2)]
    up = np.array([each for half in first for each in (half, ~half)])[:runs]
    shares = np.where(up, 1 + raised, 1 - raised)
    return shares / shares.sum(axis=1, keepdims=True)
