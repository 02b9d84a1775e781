"""One short sentence a method: how the published methods read in our parts.

Every function returns a frozen method for `aioli.Mixer`; its keyword arguments are what a config may
set under `methods:`, and `aioli methods NAME` prints what each does. The constructors are in the modules
beside this one, one family each; `listed` and `variant` of `aioli.methods.entry` enter them in the table.
"""

from __future__ import annotations

from aioli.methods.entry import METHODS, Entry
from aioli.methods.zoo_baselines import (
    matched,
    proportional,
    similar,
    static,
    stratified,
    temperature,
    unimax,
)
from aioli.methods.zoo_measured import (
    aioli,
    aioli_detrend,
    aioli_diagonal,
    aioli_ema,
    aioli_static,
    directional,
    sheared,
    skill_it,
)
from aioli.methods.zoo_online import ado, neyman, odm, odm_released
from aioli.methods.zoo_proxies import doge, doremi
from aioli.methods.zoo_wrappers import after, averaged, guarded, lmo, reweighted

__all__ = [
    "METHODS",
    "Entry",
    "ado",
    "after",
    "aioli",
    "aioli_detrend",
    "aioli_diagonal",
    "aioli_ema",
    "aioli_static",
    "averaged",
    "directional",
    "doge",
    "doremi",
    "guarded",
    "lmo",
    "matched",
    "neyman",
    "odm",
    "odm_released",
    "proportional",
    "reweighted",
    "sheared",
    "similar",
    "skill_it",
    "static",
    "stratified",
    "temperature",
    "unimax",
]
