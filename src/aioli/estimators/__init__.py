"""Estimators: where the law's matrix comes from."""

from aioli.estimators.alignment import Alignment, DogeScore
from aioli.estimators.blocks import Blocks
from aioli.estimators.directional import Directional
from aioli.estimators.excess import ExcessOverTarget
from aioli.estimators.graph import Graph
from aioli.estimators.probes import Probes
from aioli.estimators.reference import ExcessOverReference

__all__ = [
    "Alignment",
    "Blocks",
    "Directional",
    "DogeScore",
    "ExcessOverReference",
    "ExcessOverTarget",
    "Graph",
    "Probes",
]
