"""One short sentence a method: how the published methods read in our parts.

Every function returns a frozen method for `aioli.Mixer`; its keyword arguments are what a config may
set under `methods:`. The decorator records what `aioli methods` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

from aioli.estimators import Probes
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.methods.matched import Matched
from aioli.methods.static import Static, Stratified, Temperature, UniMax
from aioli.protocol import Citation, Method
from aioli.solvers import ExponentiatedGradient

__all__ = ["METHODS", "Entry"]

P = ParamSpec("P")
M = TypeVar("M", bound=Method[Any])
Build = Callable[..., Method[Any]]
Mixture = Mapping[str, float] | tuple[float, ...]

AIOLI = Citation("Aioli: A Unified Optimization Framework for Language Model Data Mixing", "2411.05735")
TEMPERATURE = Citation("Massively Multilingual Neural Machine Translation in the Wild", "1907.05019")
UNIMAX = Citation("UniMax: Fairer and more Effective Language Sampling", "2304.09151")
OURS = Citation("Sampling matched to the objective (this project)")
BASELINE = Citation("baseline")


@dataclass(frozen=True)
class Entry:
    """A method's constructor with what the table of methods says about it."""

    build: Build
    summary: str
    citation: Citation
    law: str = "none"
    estimator: str = "none"
    solver: str = "none"


METHODS: dict[str, Entry] = {}


def listed(citation: Citation, **parts: str) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Enter a constructor in the table under its own name."""

    def enter(build: Callable[P, M]) -> Callable[P, M]:
        summary = (build.__doc__ or "").strip().split("\n")[0]
        METHODS[build.__name__] = Entry(build, summary, citation, **parts)
        return build

    return enter


@listed(BASELINE)
def stratified() -> Stratified:
    """Equal proportions for all groups."""
    return Stratified()


@listed(BASELINE)
def proportional() -> Temperature:
    """Proportions as the groups' sizes in tokens (the natural mixture)."""
    return Temperature(tau=1.0)


@listed(TEMPERATURE)
def temperature(tau: float = 2.0) -> Temperature:
    """Proportions as sizes to the power 1/tau."""
    return Temperature(tau)


@listed(UNIMAX)
def unimax(max_epochs: float = 4.0) -> UniMax:
    """As uniform as a cap on repetitions allows."""
    return UniMax(max_epochs)


@listed(BASELINE)
def static(proportions: Mixture) -> Static:
    """The user's own proportions."""
    return Static(proportions)


@listed(OURS, law="none", estimator="running training losses", solver="gradient of the objective")
def matched(
    objective: str | None = None,
    tau: float | None = None,
    round_steps: int | None = None,
    smoothing: float = 0.5,
) -> Matched:
    """Each group as often as its loss matters to the objective; needs no measurement."""
    return Matched(objective, tau, round_steps, smoothing)


@listed(AIOLI, law="linear, dynamic", estimator="probes in the run", solver="exponentiated gradient")
def aioli(
    eta: float = 0.5,
    round_steps: int | None = None,
    rounds: int | None = None,
    sweeps: int | None = None,
    probe_steps: int | None = None,
    focus: float = 0.75,
    diagonal: bool = False,
    detrend: bool = False,
    memory: float | None = None,
    prior: Mixture | None = None,
    prior_steps: int = 0,
    restart: Literal["prior", "uniform"] = "prior",
    objective: str | None = None,
) -> Lmo:
    """Measure the linear law by probes every round and accumulate exponentiated gradient steps."""
    return Lmo(
        law=Linear(),
        estimator=Probes(sweeps, probe_steps, focus, diagonal, detrend),
        solver=ExponentiatedGradient(eta, memory=memory),
        round_steps=round_steps,
        rounds=rounds,
        prior=prior,
        prior_steps=prior_steps,
        restart=restart,
        objective=objective,
    )


def variant(
    of: Callable[..., Method[Any]], name: str, summary: str, **fixed: Any
) -> Callable[..., Method[Any]]:
    """A method with other defaults, entered in the table under its own name."""
    build = partial(of, **fixed)
    METHODS[name] = replace(METHODS[of.__name__], build=build, summary=summary)
    return build


aioli_ema = variant(
    aioli,
    "aioli_ema",
    "The released code's update: averaged matrices, restarted from uniform every round.",
    eta=0.2,
    memory=0.1,
)
aioli_static = variant(aioli, "aioli_static", "Aioli with one estimate, at the start (ablation).", rounds=1)
aioli_diagonal = variant(
    aioli, "aioli_diagonal", "Aioli that ignores how groups help each other (ablation).", diagonal=True
)
aioli_detrend = variant(
    aioli,
    "aioli_detrend",
    "Aioli on matrices freed of the trend common to all probes (ours).",
    eta=0.2,
    detrend=True,
)
