"""One short sentence a method: how the published methods read in our parts.

Every function returns a frozen method for `aioli.Mixer`; its keyword arguments are what a config may
set under `methods:`. The decorator records what `aioli methods` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

from aioli.estimators import ExcessOverTarget, Graph, Probes
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.methods.matched import Matched
from aioli.methods.odm import Odm
from aioli.methods.static import Static, Stratified, Temperature, UniMax
from aioli.protocol import Citation, Method, Problem
from aioli.solvers import ExponentiatedGradient

__all__ = ["METHODS", "Entry"]

P = ParamSpec("P")
M = TypeVar("M", bound=Method[Any])
Build = Callable[..., Method[Any]]
Proportions = Mapping[str, float] | tuple[float, ...]

AIOLI = Citation("Aioli: A Unified Optimization Framework for Language Model Data Mixing", "2411.05735")
TEMPERATURE = Citation("Massively Multilingual Neural Machine Translation in the Wild", "1907.05019")
UNIMAX = Citation("UniMax: Fairer and more Effective Language Sampling", "2304.09151")
SKILL_IT = Citation("Skill-it! A Data-Driven Skills Framework for Language Models", "2307.14430")
SHEARED = Citation("Sheared LLaMA: Accelerating Pre-training via Structured Pruning", "2310.06694")
ODM = Citation("Efficient Online Data Mixing For Language Model Pre-Training", "2312.02406")
OURS = Citation("Sampling matched to the objective (this project)")
BASELINE = Citation("baseline")


def no_parameters(problem: Problem) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Entry:
    """A method's constructor with what the table of methods says about it.

    `example` gives parameters that fit a problem, for methods that cannot do without: the conformance
    suite runs on them.
    """

    build: Build
    summary: str
    citation: Citation
    law: str = "none"
    estimator: str = "none"
    solver: str = "none"
    example: Callable[[Problem], dict[str, Any]] = no_parameters


METHODS: dict[str, Entry] = {}


def listed(citation: Citation, **parts: Any) -> Callable[[Callable[P, M]], Callable[P, M]]:
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


def example_mixture(problem: Problem) -> dict[str, float]:
    """Uneven proportions that depend on the groups' sizes, not on their order."""
    sizes = [(2 + n % 7) * (n > 0) for n in problem.group_tokens]
    return {group: size / sum(sizes) for group, size in zip(problem.groups, sizes, strict=True)}


@listed(BASELINE, example=lambda problem: {"proportions": example_mixture(problem)})
def static(proportions: Proportions) -> Static:
    """The user's own proportions."""
    return Static(proportions)


@listed(OURS, law="none", estimator="running training losses", solver="gradient of the objective")
def matched(
    objective: str | None = None,
    tau: float | None = None,
    round_steps: int | None = None,
    smoothing: float = 0.5,
    floor: float = 0.01,
) -> Matched:
    """Each group as often as its loss matters to the objective; needs no measurement."""
    return Matched(objective, tau, round_steps, smoothing, floor)


@listed(AIOLI, law="linear, dynamic", estimator="probes in the run", solver="exponentiated gradient")
def aioli(
    eta: float = 0.2,
    round_steps: int | None = None,
    rounds: int | None = None,
    sweeps: int | None = None,
    probe_steps: int | None = None,
    focus: float = 0.75,
    diagonal: bool = False,
    detrend: bool = False,
    memory: float = 0.0,
    accumulate: bool = True,
    prior: Proportions | None = None,
    prior_steps: int = 0,
    restart: Literal["prior", "uniform"] = "prior",
    objective: str | None = None,
) -> Lmo:
    """Measure the linear law by probes every round and accumulate exponentiated gradient steps."""
    return Lmo(
        law=Linear(),
        estimator=Probes(sweeps, probe_steps, focus, diagonal, detrend),
        solver=ExponentiatedGradient(eta, memory=memory, restart=not accumulate),
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
    accumulate=False,
    restart="uniform",
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


def example_graph(problem: Problem) -> dict[str, Any]:
    helps = [len(group) % 3 + sum(map(ord, group)) % 5 for group in problem.groups]
    return {
        "graph": [
            [0.1 * h + 0.3 * (t == g) for g, h in zip(problem.groups, helps, strict=True)]
            for t in problem.targets
        ]
    }


@listed(
    SKILL_IT,
    law="linear, dynamic",
    estimator="fixed graph x losses",
    solver="exponentiated gradient",
    example=example_graph,
)
def skill_it(
    graph: tuple[tuple[float, ...], ...],
    eta: float = 0.2,
    window: int = 3,
    round_steps: int | None = None,
    prior: Proportions | None = None,
) -> Lmo:
    """A graph of one-hot runs scaled by the current losses; nothing accumulates."""
    return Lmo(
        law=Linear(),
        estimator=Graph(graph, window),
        solver=ExponentiatedGradient(eta, normalise=False, restart=True),
        round_steps=round_steps,
        prior=prior,
        objective="mean_loss",
    )


@listed(
    SHEARED,
    law="linear, dynamic",
    estimator="excess over target losses",
    solver="exponentiated gradient",
    example=lambda problem: {"target_losses": dict.fromkeys(problem.groups, 1.5)},
)
def sheared(
    target_losses: Mapping[str, float],
    eta: float = 1.0,
    smoothing: float = 1e-4,
    clip: bool = False,
    round_steps: int | None = None,
    prior: Proportions | None = None,
) -> Lmo:
    """Dynamic batch loading: groups above their target loss are drawn more."""
    return Lmo(
        law=Linear(),
        estimator=ExcessOverTarget(target_losses, clip),
        solver=ExponentiatedGradient(eta, normalise=False, smoothing=smoothing),
        round_steps=round_steps,
        prior=prior,
        objective="mean_loss",
    )


@listed(ODM, law="none", estimator="training losses", solver="EXP3")
def odm(memory: float = 0.9, warmup_steps: int = 0) -> Odm:
    """Online Data Mixing: a bandit that draws what is still hard."""
    return Odm(memory, warmup_steps)
