"""Estimators: where the law's matrix comes from."""

from aioli.estimators.alignment import Alignment, DogeScore
from aioli.estimators.directional import Directional
from aioli.estimators.excess import ExcessOverTarget
from aioli.estimators.graph import Graph
from aioli.estimators.probes import Probes
from aioli.estimators.reference import ExcessOverReference

__all__ = [
    "Alignment",
    "Directional",
    "DogeScore",
    "ExcessOverReference",
    "ExcessOverTarget",
    "Graph",
    "Probes",
]
