"""Objectives F(L_1 .. L_n) of the target losses: value, gradient, name.

One family covers the three that matter (methods are matched to any of them):
F_tau(L) = tau log sum_i w_i exp(L_i / tau), whose gradient is softmax(log w + L / tau):
tau -> infinity is the weighted mean loss, tau = 1 the (log of the) mean perplexity, tau -> 0 the worst
target. The gradient always sums to 1, so it can serve as proportions or as target weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array
from aioli.simplex import softmax

__all__ = ["OBJECTIVES", "Objective", "get_objective"]


@dataclass(frozen=True)
class Objective:
    """F_tau with its name; `tau` in nats (infinite for the mean, 0 for the maximum)."""

    name: str
    tau: float

    def value(self, losses: Array, weights: Array) -> float:
        """F of losses [n] in nats with weights [n] summing to 1; mean perplexity is given as exp(F).

        >>> round(get_objective("mean_perplexity").value(np.log([2.0, 4.0]), np.array([0.5, 0.5])), 9)
        3.0
        """
        if self.tau == np.inf:
            return float(weights @ losses)
        if self.tau == 0:
            return float(losses[weights > 0].max())
        top = losses[weights > 0].max()
        value = top + self.tau * np.log(weights @ np.exp((losses - top) / self.tau))
        return float(np.exp(value) if self.name == "mean_perplexity" else value)

    def gradient(self, losses: Array, weights: Array) -> Array:
        """dF/dL [n] up to a positive factor, summing to 1. For the worst target, ties share equally.

        >>> get_objective("mean_perplexity").gradient(np.log([2.0, 6.0]), np.array([0.5, 0.5]))
        array([0.25, 0.75])
        """
        if self.tau == np.inf:
            return weights / weights.sum()
        if self.tau == 0:
            worst = (losses == losses[weights > 0].max()) & (weights > 0)
            return worst / worst.sum()
        with np.errstate(divide="ignore"):
            return softmax(np.log(weights) + losses / self.tau)


OBJECTIVES = {
    "mean_loss": Objective("mean_loss", np.inf),
    "mean_perplexity": Objective("mean_perplexity", 1.0),
    "worst_target": Objective("worst_target", 0.0),
}


def get_objective(name: str, tau: float | None = None) -> Objective:
    """The named objective; with `tau`, the member of the family at that temperature in nats.

    Raises:
        InputError: an unknown name, or a temperature that is negative or NaN.
    """
    if name not in OBJECTIVES:
        raise InputError(f"unknown objective {name!r}; {nearest(name, OBJECTIVES)}")
    if tau is None:
        return OBJECTIVES[name]
    if not tau >= 0:
        raise InputError(f"objective temperature must be >= 0 nats, got {tau}")
    return Objective(f"soft_worst(tau={tau:g})", float(tau))
