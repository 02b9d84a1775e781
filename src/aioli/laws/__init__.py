"""Mixing laws: how the target losses after a segment follow from the proportions."""

from aioli.laws.linear import Linear

__all__ = ["Linear"]
