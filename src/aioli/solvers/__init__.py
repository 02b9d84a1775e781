"""Solvers: how the next proportions follow from the law's matrix."""

from aioli.solvers.exponentiated_gradient import ExponentiatedGradient

__all__ = ["ExponentiatedGradient"]
