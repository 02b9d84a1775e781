"""Aioli: find the best training-data mixture for a language model, while it trains."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aioli.errors import InputError, MixingWarning
from aioli.journal import Journal
from aioli.methods import zoo
from aioli.mixer import Mixer, replay
from aioli.protocol import Constraints, Method, Observation, Problem, Request, Signal

if TYPE_CHECKING:
    from aioli.data.loader import Loader
    from aioli.jobs.diagnose import diagnose
    from aioli.jobs.fitting import fit_runs as fit
    from aioli.jobs.run import compare, report, similar, tokenize, train
    from aioli.jobs.solving import solve_fit as solve
    from aioli.jobs.sweep import read_sweep
    from aioli.jobs.wishes import Wishes
    from aioli.measure.base import Context
    from aioli.measure.meter import Meter
    from aioli.table_files import read_table

__version__ = "0.1.0"
__all__ = [
    "Constraints",
    "Context",
    "InputError",
    "Journal",
    "Loader",
    "Meter",
    "Method",
    "Mixer",
    "MixingWarning",
    "Observation",
    "Problem",
    "Request",
    "Signal",
    "Wishes",
    "compare",
    "diagnose",
    "fit",
    "read_sweep",
    "read_table",
    "replay",
    "report",
    "similar",
    "solve",
    "tokenize",
    "train",
    "zoo",
]

_LATER = {
    "Loader": "aioli.data.loader:Loader",
    "Context": "aioli.measure.base:Context",
    "Meter": "aioli.measure.meter:Meter",
    "compare": "aioli.jobs.run:compare",
    "report": "aioli.jobs.run:report",
    "similar": "aioli.jobs.run:similar",
    "tokenize": "aioli.jobs.run:tokenize",
    "train": "aioli.jobs.run:train",
    "diagnose": "aioli.jobs.diagnose:diagnose",
    "read_sweep": "aioli.jobs.sweep:read_sweep",
    "read_table": "aioli.table_files:read_table",
    "fit": "aioli.jobs.fitting:fit_runs",
    "solve": "aioli.jobs.solving:solve_fit",
    "Wishes": "aioli.jobs.wishes:Wishes",
}
"""Where these are, loaded when first used: they need the packages of extras, the rest needs numpy alone."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module, _, attribute = _LATER[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
