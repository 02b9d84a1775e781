"""Static laws as numbers that the page's script evaluates."""

from __future__ import annotations

from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.laws.static.additive import FittedAdditive
from aioli.laws.static.average import FittedAverage
from aioli.laws.static.bimix import FittedBiMix
from aioli.laws.static.effective import FittedEffective
from aioli.laws.static.joint import FittedJoint
from aioli.laws.static.linear import FittedLinear
from aioli.laws.static.log_linear import FittedLogLinear
from aioli.static_law import FittedLaw

__all__ = ["browser_law"]

FORMS = (
    (FittedLinear, "linear"),
    (FittedLogLinear, "log_linear"),
    (FittedBiMix, "bimix"),
    (FittedAdditive, "additive"),
    (FittedEffective, "effective"),
)


def browser_law(law: FittedLaw, size: float | None = None, tokens: float | None = None) -> dict[str, Any]:
    """{"form": name, numbers}; a law of scale is taken at this size and these tokens.

    Raises:
        InputError: a law without a formula of few numbers, such as trees.
    """
    for kind, form in FORMS:
        if isinstance(law, kind):
            return {"form": form} | law.to_json()
    if isinstance(law, FittedJoint):
        return {"form": "additive"} | _at_scale(law, size, tokens).to_json()
    if isinstance(law, FittedAverage):
        members = [browser_law(one, size, tokens) for one in law.members]
        return {"form": "average", "weights": law.weights.tolist(), "members": members}
    raise InputError(
        "This law cannot be evaluated in a page: it has no formula of a few numbers. "
        "`aioli predict` evaluates it, or fit a parametric law (`aioli fit --law effective`)."
    )


def _at_scale(law: FittedJoint, size: float | None, tokens: float | None) -> FittedAdditive:
    """The joint law with its terms of scale as part of the floors."""
    shares = FittedAdditive(np.zeros(len(law.floors)), law.coefficients, law.exponents)
    anywhere = np.full((1, law.coefficients.shape[1]), 1 / law.coefficients.shape[1])
    scales = [None if scale is None else np.array([scale]) for scale in (size, tokens)]
    constant = law.predict(anywhere, *scales) - shares.predict(anywhere)
    return FittedAdditive(constant[0], law.coefficients, law.exponents)
