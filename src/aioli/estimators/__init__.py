"""Estimators: where the law's matrix comes from."""

from aioli.estimators.excess import ExcessOverTarget
from aioli.estimators.graph import Graph
from aioli.estimators.probes import Probes

__all__ = ["ExcessOverTarget", "Graph", "Probes"]
