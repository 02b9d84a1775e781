"""Methods that measure the mixing law during the run: Aioli and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from aioli.estimators import Directional, ExcessOverTarget, Graph, Probes
from aioli.laws import Linear
from aioli.methods.entry import OURS, Proportions, listed, variant
from aioli.methods.lmo import Lmo
from aioli.methods.recipes import GRAPH, TARGETS
from aioli.protocol import Citation, Problem
from aioli.solvers import ExponentiatedGradient

__all__ = [
    "aioli",
    "aioli_detrend",
    "aioli_diagonal",
    "aioli_ema",
    "aioli_static",
    "directional",
    "sheared",
    "skill_it",
]

AIOLI = Citation("Aioli: A Unified Optimization Framework for Language Model Data Mixing", "2411.05735")
SKILL_IT = Citation("Skill-it! A Data-Driven Skills Framework for Language Models", "2307.14430")
SHEARED = Citation("Sheared LLaMA: Accelerating Pre-training via Structured Pruning", "2310.06694")


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
    """Measure the linear law by probes every round and accumulate exponentiated gradient steps.

    Args:
        accumulate: whether every step starts from the proportions in force; else from the start.
    """
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
    extra_runs="m",
    example=example_graph,
    recipe=GRAPH,
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
    extra_runs="1",
    example=lambda problem: {"target_losses": dict.fromkeys(problem.groups, 1.5)},
    recipe=TARGETS,
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


@listed(
    OURS,
    law="linear, dynamic",
    estimator="one directional derivative",
    solver="exponentiated gradient",
)
def directional(
    eta: float = 0.2,
    round_steps: int | None = None,
    measure_steps: int = 0,
    prior: Proportions | None = None,
    prior_steps: int = 0,
) -> Lmo:
    """Groups whose losses fall along one preconditioned step for the targets (ours).

    Departures:
        Not published. Its matrix is normalised as Aioli's is, so that one update moves no ratio of
        proportions by more than e^eta; `objective` is the mean loss, whose weights the signal contains.
    """
    return Lmo(
        law=Linear(),
        estimator=Directional(measure_steps),
        solver=ExponentiatedGradient(eta),
        round_steps=round_steps,
        prior=prior,
        prior_steps=prior_steps,
        objective="mean_loss",
    )
