"""Aioli: find the best training-data mixture for a language model, while it trains."""

from aioli.errors import InputError, MixingWarning
from aioli.journal import Journal
from aioli.methods import zoo
from aioli.mixer import Mixer, replay
from aioli.protocol import Method, Observation, Problem, Request, Signal

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
    "replay",
    "zoo",
]
