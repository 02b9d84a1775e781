"""Tables planted from known laws, for the tests of fitting."""

import numpy as np

from aioli.laws.static.additive import FittedAdditive
from aioli.laws.static.log_linear import FittedLogLinear
from aioli.table import Table

SLOPES = np.array([[-1.2, 0.3, 0.1], [0.2, -0.9, 0.4]])
LOG_LINEAR = FittedLogLinear(np.array([2.0, 1.5]), SLOPES)
ADDITIVE = FittedAdditive(
    np.array([2.0, 1.5]),
    np.array([[1.5, 0.4, 0.2], [0.3, 1.2, 0.5]]),
    np.array([[0.4, 0.5, 0.6], [0.5, 0.3, 0.4]]),
)


def planted(truth, k: int, noise: float = 0.003, seed: int = 0) -> Table:
    """k runs on Dirichlet mixtures of three groups with normal noise."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(3), k)
    losses = truth.predict(mixtures) + noise * rng.normal(size=(k, 2))
    names = tuple(f"r{row}" for row in range(k))
    return Table(("a", "b", "c"), names, mixtures, targets=("x", "y"), losses=losses)
