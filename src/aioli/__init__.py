"""Aioli: find the best training-data mixture for a language model, while it trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aioli.errors import InputError, MixingWarning
from aioli.journal import Journal
from aioli.methods import zoo
from aioli.mixer import Mixer, replay
from aioli.protocol import Method, Observation, Problem, Request, Signal

if TYPE_CHECKING:
    from aioli.jobs.run import compare, similar, tokenize, train

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "Journal",
    "Method",
    "Mixer",
    "MixingWarning",
    "Observation",
    "Problem",
    "Request",
    "Signal",
    "compare",
    "replay",
    "similar",
    "tokenize",
    "train",
    "zoo",
]

_JOBS = ("compare", "similar", "tokenize", "train")
"""Loaded when first used: they need the packages of the extra `train`, the rest needs numpy alone."""


def __getattr__(name: str) -> Any:
    if name in _JOBS:
        return getattr(importlib.import_module("aioli.jobs.run"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
