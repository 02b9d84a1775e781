"""Methods that follow the training losses or gradients of the groups; none needs a run of its own."""

from __future__ import annotations

from typing import Literal

from aioli.methods.ado import Ado
from aioli.methods.entry import OURS, Proportions, listed
from aioli.methods.neyman import Neyman
from aioli.methods.odm import Odm
from aioli.protocol import Citation

__all__ = ["ado", "neyman", "odm", "odm_released"]

ODM = Citation("Efficient Online Data Mixing For Language Model Pre-Training", "2312.02406")
ADO = Citation("Adaptive Data Optimization: Dynamic Sample Selection with Scaling Laws", "2410.11820")


@listed(ODM, law="none", estimator="training losses", solver="EXP3", added=("prior",))
def odm(memory: float = 0.9, warmup_steps: int = 0, prior: Proportions | None = None) -> Odm:
    """Online Data Mixing: a bandit that draws what is still hard."""
    return Odm(memory, warmup_steps, prior)


@listed(ODM, law="none", estimator="training losses", solver="linear in the rewards, or EXP3")
def odm_released(
    form: Literal["linear", "cumulative"] = "linear",
    memory: float = 0.9,
    warmup_steps: int = 0,
    prior: Proportions | None = None,
) -> Odm:
    """Online Data Mixing as released: exponential rewards without importance weights."""
    return Odm(memory, warmup_steps, prior, form)


@listed(ADO, law="power laws of the training losses", estimator="fits during the run", solver="running mean")
def ado(
    prior: Proportions | None = None,
    ignore: int | None = None,
    start: int | None = None,
    refit: int | None = None,
    floor: float = 0.01,
) -> Ado:
    """Adaptive Data Optimization: groups whose fitted scaling law still falls fast are drawn more."""
    return Ado(prior, ignore, start, refit, floor)


@listed(OURS, law="none", estimator="gradient variances", solver="Neyman's allocation")
def neyman(round_steps: int | None = None, smoothing: float = 0.5, floor: float = 0.1) -> Neyman:
    """Groups with scattered gradients drawn more and weighed less: the same objective, less noise (ours)."""
    return Neyman(round_steps, smoothing, floor)
