"""How long a method must train to make one estimate of its law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aioli.constraints import free_groups
from aioli.errors import InputError
from aioli.estimators import Blocks, ExcessOverTarget, Graph, Probes
from aioli.estimators.measured import Measured
from aioli.methods.construct import name_and_parameters
from aioli.methods.lmo import Lmo
from aioli.methods.registry import stand_in
from aioli.protocol import Problem

__all__ = ["enough_steps", "one_estimate"]


def one_estimate(
    name: str, parameters: Mapping[str, Any], problem: Problem
) -> tuple[dict[str, Any], int | None]:
    """Parameters with which a method makes one estimate at once, and the steps that this takes.

    Sizes that a method chooses by the length of its run are those of the whole run `problem`. A graph, and
    the excess over targets, follow the losses from their second round on. Steps are None for a method that is
    not made of law, estimator and solver.
    """
    method = stand_in(name, parameters, problem)
    if not isinstance(method, Lmo):
        return dict(parameters), None
    round_steps = method.round_length(problem)
    estimator = method.estimator.resolve(problem, round_steps)
    sizes: dict[str, Any] = {}
    rounds = 1
    if isinstance(estimator, Probes):
        assert estimator.sweeps is not None and estimator.probe_steps is not None
        sizes = {"sweeps": estimator.sweeps, "probe_steps": estimator.probe_steps}
        probes = int(free_groups(problem).sum())
        round_steps = estimator.sweeps * probes * estimator.probe_steps + 1
    elif isinstance(estimator, Blocks):
        assert estimator.block_steps is not None
        sizes = {"block_steps": estimator.block_steps}
        round_steps = 2 * estimator.pairs * estimator.block_steps
    elif isinstance(estimator, Measured):
        round_steps = max(1, estimator.measure_steps)
    elif isinstance(estimator, Graph | ExcessOverTarget):
        round_steps, rounds = 1, 2
    known = _sized(parameters, sizes) | {"round_steps": round_steps}
    known.pop("prior_steps", None)
    return known, rounds * round_steps


def enough_steps(name: str, parameters: Mapping[str, Any], problem: Problem, steps: int, most: int) -> int:
    """`steps`, doubled until the method agrees to begin so short a run, at most `most`.

    Raises:
        InputError: the method refuses even a run of `most` steps.
    """
    run = replace(problem, total_steps=steps, warmup_steps=0)
    try:
        stand_in(name, parameters, run).init(run)
    except InputError:
        if steps >= most:
            raise
        return enough_steps(name, parameters, problem, min(2 * steps, most), most)
    return steps


def _sized(parameters: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the estimator's sizes in their place: beside the others, or inside `estimator`."""
    if "estimator" not in parameters:
        return dict(parameters) | dict(sizes)
    part, given = name_and_parameters("an estimator", parameters["estimator"])
    return dict(parameters) | {"estimator": {part: dict(given) | dict(sizes)}}
