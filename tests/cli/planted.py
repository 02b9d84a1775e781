"""A planted world as the CSV files a user has: runs on three groups, losses by a known log-linear law."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

GROUPS, TARGETS = ("law", "code", "math"), ("exam", "chat")
FLOORS = np.array([1.2, 2.0])
SLOPES = np.array([[-1.5, 0.4, 0.2], [0.3, -2.0, -0.5]])
OPTIMUM = (0.525939, 0.474061, 0.0)
"""Of the mean loss; with a penalty of .05 from (.6, .3, .1): (.538055, .461536, .000410)."""


def losses_of(mixtures: np.ndarray) -> np.ndarray:
    return FLOORS + np.exp(mixtures @ SLOPES.T)


def write_rows(path: str | Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_world(count: int = 40, noise: float = 0.002, prefix: str = "", seed: int = 0) -> np.ndarray:
    """Write mixtures `m.csv` and losses `l.csv` (in another order) here; return the mixtures."""
    random = np.random.default_rng(seed)
    mixtures = random.dirichlet([1.5, 1.2, 0.8], count)
    losses = losses_of(mixtures) + random.normal(0, noise, (count, 2))
    names = [f"r{run}" for run in range(count)]
    write_rows(f"{prefix}m.csv", ("index", *GROUPS), [[n, *p] for n, p in zip(names, mixtures, strict=True)])
    told = [[name, *row] for name, row in zip(names, losses, strict=True)]
    write_rows(f"{prefix}l.csv", ("index", *TARGETS), told[::-1])
    return mixtures
