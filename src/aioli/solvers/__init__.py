"""Solvers: how the next proportions follow from the law's matrix."""

from aioli.solvers.exponentiated_gradient import ExponentiatedGradient
from aioli.solvers.trust_region import TrustRegion

__all__ = ["ExponentiatedGradient", "TrustRegion"]
