"""The offline problem: minimise predicted losses over the mixtures that data and user allow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aioli.protocol import Array

__all__ = ["MixtureProblem", "Solution"]


@dataclass(frozen=True, eq=False)
class MixtureProblem:
    """minimise sum_i w_i L_i(p) + kl KL(p || reference) over proportions p within bounds and limits.

    Attributes:
        weights: [n] of the targets, >= 0, summing to 1.
        lower, upper: [m] bounds; equal ones fix a proportion, an upper one of r N_j / D caps repetition.
        reference: [m] mixture that distances are measured from; None: none.
        kl: strength of the penalty, in nats of loss per nat of divergence.
        max_kl, max_variation: largest KL(p || reference), and largest sum_j |p_j - reference_j| / 2.
        loss_limits: [n] largest predicted loss of each target, infinite where free.
        caution: 0 minimises the predicted loss; c in (0, 1) its mean over the worst share 1 - c of the
            replicates (the conditional value at risk).
    """

    weights: Array
    lower: Array
    upper: Array
    reference: Array | None = None
    kl: float = 0.0
    max_kl: float = np.inf
    max_variation: float = np.inf
    loss_limits: Array | None = None
    caution: float = 0.0


@dataclass(frozen=True, eq=False)
class Solution:
    """A mixture with the losses predicted for it.

    Attributes:
        proportions: [m]. losses: [n] predicted. objective: what was minimised, in nats.
        status: "optimal" (convex, solved to tolerance) or "local" (best of many starts).
        solver: what solved it. gap: bound on the relative distance from the optimum, NaN when not known.
        binding: names of the bounds and limits that hold with equality.
        notes: what the user should know.
    """

    proportions: Array
    losses: Array
    objective: float
    status: str
    solver: str
    gap: float = float("nan")
    binding: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
