"""Methods made of parts and of other methods, as a config names them."""

from __future__ import annotations

from typing import Any, Literal

from aioli.laws import Linear
from aioli.methods.entry import OURS, Proportions, listed
from aioli.methods.guarded import Guarded
from aioli.methods.lmo import Lmo
from aioli.methods.wrappers import After, Averaged, Reweighted
from aioli.protocol import Citation, Estimator, Law, Method, Problem, Solver

__all__ = ["after", "averaged", "guarded", "lmo", "reweighted"]

LMO = Citation("Aioli: A Unified Optimization Framework for Language Model Data Mixing", "2411.05735")


LINEAR = Linear()


def example_parts(problem: Problem) -> dict[str, Any]:
    return {"estimator": "alignment", "solver": {"exponentiated_gradient": {"eta": 0.2}}}


@listed(
    LMO, law="any", estimator="any", solver="any", extra_runs="varies", added=("law",), example=example_parts
)
def lmo(
    estimator: Estimator[Any],
    solver: Solver[Any],
    law: Law = LINEAR,
    round_steps: int | None = None,
    rounds: int | None = None,
    prior: Proportions | None = None,
    prior_steps: int = 0,
    restart: Literal["prior", "uniform"] = "prior",
    objective: str | None = None,
) -> Lmo:
    """Any law, estimator and solver; in a config each by name or {name: {parameter: value}}."""
    return Lmo(
        law=law,
        estimator=estimator,
        solver=solver,
        round_steps=round_steps,
        rounds=rounds,
        prior=prior,
        prior_steps=prior_steps,
        restart=restart,
        objective=objective,
    )


@listed(
    OURS,
    law="its methods'",
    estimator="its methods'",
    solver="its methods'",
    extra_runs="varies",
    example=lambda problem: {"first": "proportional", "steps": 40, "then": "aioli"},
)
def after(first: Method[Any], steps: int, then: Method[Any]) -> After:
    """Some steps with one method, the rest with another."""
    return After(first, steps, then)


@listed(
    OURS,
    law="its method's",
    estimator="its method's",
    solver="its method's",
    extra_runs="varies",
    example=lambda problem: {"method": "aioli"},
)
def averaged(method: Method[Any]) -> Averaged:
    """A method whose answer is the mean of its training mixtures."""
    return Averaged(method)


@listed(
    OURS,
    law="its method's",
    estimator="its method's",
    solver="its method's",
    extra_runs="varies",
    example=lambda problem: {"method": "matched"},
)
def reweighted(method: Method[Any], sampling: Proportions | None = None) -> Reweighted:
    """A method whose mixtures weigh the loss of batches drawn on a fixed mixture."""
    return Reweighted(method, sampling)


@listed(
    OURS,
    law="linear, for small moves",
    estimator="paired blocks in the run",
    solver="a leash on its method's mixtures",
    extra_runs="varies",
    example=lambda problem: {"method": "aioli"},
)
def guarded(
    method: Method[Any],
    default: Method[Any] | None = None,
    block_steps: int | None = None,
    explore: float = 0.15,
    caution: float = 1.5,
    hold: float = 1.0,
    growth: float = 0.25,
    memory: float = 0.98,
) -> Guarded:
    """A method held at a safe mixture until measurements support leaving it (ours)."""
    return Guarded(method, default, block_steps, explore, caution, hold, growth, memory)
