"""Objectives F(L_1 .. L_n) of the target losses: value, gradient, name.

One family covers the three that matter most (methods are matched to any of them):
F_tau(L) = tau log sum_i w_i exp(L_i / tau), whose gradient is softmax(log w + L / tau):
tau -> infinity is the weighted mean loss, tau = 1 the (log of the) mean perplexity, tau -> 0 the worst
target. Two more look at how far each loss is above a reference r_i (what the target is known to
reach, say when it is trained on alone): worst_excess is max_i (L_i - r_i), mean_excess
sum_i w_i max(L_i - r_i, 0). A gradient always sums to 1, so it can serve as proportions or as target weights.

worst_target and group DRO (arXiv 1911.08731) minimise the same thing. Group DRO follows the worst
groups with weights q_i <- q_i exp(eta L_i), normalised at every step, and weighs the loss with them; here the
gradient is the exact worst case at the present losses (that rule's limit for a large eta), and softmax(L /
tau) is that rule from equal weights in one step of eta = 1 / tau. worst_excess is its variant for
targets that cannot all become equally good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array, Problem
from aioli.simplex import softmax

__all__ = ["OBJECTIVES", "Objective", "get_objective", "objective_of"]


@dataclass(frozen=True)
class Objective:
    """F_tau with its name; `tau` in nats (infinite for the mean, 0 for the maximum).

    With `excess`, F is of the losses above `references` [n] in nats, which `objective_of` fills in.
    """

    name: str
    tau: float
    excess: bool = False
    references: tuple[float, ...] | None = None

    def value(self, losses: Array, weights: Array) -> float:
        """F of losses [n] in nats with weights [n] summing to 1; mean perplexity is given as exp(F).

        >>> round(get_objective("mean_perplexity").value(np.log([2.0, 4.0]), np.array([0.5, 0.5])), 9)
        3.0

        Raises:
            InputError: an excess without references.
        """
        losses = self._measured(losses)
        if self.tau == np.inf:
            return float(weights @ losses)
        if self.tau == 0:
            return float(losses[weights > 0].max())
        top = losses[weights > 0].max()
        value = top + self.tau * np.log(weights @ np.exp((losses - top) / self.tau))
        return float(np.exp(value) if self.name == "mean_perplexity" else value)

    def gradient(self, losses: Array, weights: Array) -> Array:
        """dF/dL [n] up to a positive factor, summing to 1. For the worst target, ties share equally.

        In the mean excess, targets at or below their reference no longer count; when none is above,
        all count by their weights again, as in the mean loss.

        >>> get_objective("mean_perplexity").gradient(np.log([2.0, 6.0]), np.array([0.5, 0.5]))
        array([0.25, 0.75])

        Raises:
            InputError: an excess without references.
        """
        losses = self._measured(losses)
        if self.tau == np.inf:
            above = weights * (losses > 0) if self.excess else weights
            return above / above.sum() if above.any() else weights / weights.sum()
        if self.tau == 0:
            worst = (losses == losses[weights > 0].max()) & (weights > 0)
            return worst / worst.sum()
        with np.errstate(divide="ignore"):
            return softmax(np.log(weights) + losses / self.tau)

    def _measured(self, losses: Array) -> Array:
        """[n] what F is taken of: the losses, their excess, or for the mean the part of it above 0."""
        if not self.excess:
            return losses
        if self.references is None:
            raise InputError(
                f"the objective {self.name} is measured from reference losses: give the problem's "
                "reference_losses, one number a target in nats per token"
            )
        excess = losses - np.asarray(self.references)
        return np.maximum(excess, 0.0) if self.tau == np.inf else excess


OBJECTIVES = {
    "mean_loss": Objective("mean_loss", np.inf),
    "mean_perplexity": Objective("mean_perplexity", 1.0),
    "worst_target": Objective("worst_target", 0.0),
    "mean_excess": Objective("mean_excess", np.inf, excess=True),
    "worst_excess": Objective("worst_excess", 0.0, excess=True),
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


def objective_of(problem: Problem, name: str | None = None, tau: float | None = None) -> Objective:
    """A problem's objective, or the one of that name or temperature, with the problem's references.

    >>> problem = Problem(("a", "b"), (9, 9), 1, 1, objective="worst_excess", reference_losses=(1.0, 2.5))
    >>> objective_of(problem).gradient(np.array([2.0, 3.0]), problem.weights)
    array([1., 0.])

    Raises:
        InputError: as `get_objective`, or an excess in a problem without reference losses.
    """
    objective = get_objective(name or problem.objective, tau)
    if objective.excess and problem.reference_losses is None:
        raise InputError(
            f"the objective {objective.name} needs reference_losses: for each target "
            f"({', '.join(problem.targets)}) the loss in nats per token that it is known to reach, such as "
            "that of a run on it alone"
        )
    return replace(objective, references=problem.reference_losses) if objective.excess else objective
