"""The runs at one checkpoint of a run: trunk, branches on designed mixtures, methods that begin there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aioli.analysis.diagnosis import fidelities, law_at
from aioli.analysis.extra import cost_to_readers
from aioli.config import Config
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.jobs.estimating import enough_steps, one_estimate
from aioli.jobs.planning import Adopted, Planner
from aioli.protocol import Array, Constraints
from aioli.sweep.designs import smoothed
from aioli.sweep.region import Region
from aioli.sweep.screening import halves
from aioli.sweep.spec import TRUNK, RunSpec

__all__ = ["Checkpoint", "Settings", "estimate_cost"]

FEW_GROUPS = 12
"""Up to so many groups, every group has branches of its own; beyond, halves of the groups are raised."""
COST = ("train_tokens", "evaluation_tokens", "seconds", "flops")


@dataclass(frozen=True)
class Settings:
    """What is branched, and how it is measured.

    Attributes:
        at: steps at which the run is branched; empty: half of its steps.
        horizons: steps after which a branch measures; the last is its length.
        focus: extra share of the group, or of the half of the groups, that a branch raises.
        branches: number of branches where halves are raised; None: two for each group, at most 32.
        sequences: held-out sequences of every target that a measurement reads.
        orders: how often each branch is trained, each time on another order of the data: with 2 or more,
            noise is told apart from what a linear law cannot express.

    Raises:
        InputError: values out of range.
    """

    at: tuple[int, ...] = ()
    horizons: tuple[int, ...] = (5, 20, 75, 300)
    focus: float = 0.4
    branches: int | None = None
    sequences: int = 256
    orders: int = 1

    def __post_init__(self) -> None:
        for name in ("at", "horizons"):
            steps = tuple(sorted(set(getattr(self, name))))
            if any(step < 1 for step in steps):
                raise InputError(f"{name} needs whole numbers of steps, at least 1, got {list(steps)}")
            object.__setattr__(self, name, steps)
        if not self.horizons:
            raise InputError("horizons is empty: give at least one number of steps, such as 75")
        if not 0 < self.focus < 1:
            raise InputError(f"focus must be between 0 and 1, got {self.focus}")
        if self.branches is not None and self.branches < 3:
            raise InputError(f"a law needs at least 3 branches, got {self.branches}")
        for name in ("sequences", "orders"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")

    def mixtures(self, groups: int, seed: int) -> Array:
        """[k, m] what the branches are trained on."""
        if groups > FEW_GROUPS or self.branches is not None:
            count = self.branches or min(2 * groups, 32)
            return halves(groups, count, raised=self.focus, seed=seed)
        region = Region.simplex(groups)
        up = smoothed(region, focus=self.focus + (1 - self.focus) / groups)
        down = np.full((groups, groups), 1.0) - 0.75 * np.eye(groups)
        return np.vstack([np.full((1, groups), 1 / groups), up, down / down.sum(axis=1, keepdims=True)])


class Checkpoint:
    """One checkpoint: what is trained there, and what follows from it.

    Attributes:
        specs: the trunk, what methods read, the branches, the methods; inputs come before their readers.
    """

    def __init__(self, spec: RunSpec, settings: Settings, step: int, corpus: Corpus) -> None:
        self.spec, self.settings, self.step = spec, settings, step
        self.trunk = replace(spec, stop=step, validation=False, label=f"to step {step}")
        self.horizons = [h for h in settings.horizons if step + h <= spec.train.steps]
        self.branches = [
            self._branch(dict(zip(corpus.groups, row.tolist(), strict=True)), number, order)
            for number, row in enumerate(settings.mixtures(len(corpus.groups), spec.seed), start=1)
            for order in range(settings.orders)
        ]
        self.methods: list[RunSpec] = []
        self.extra: dict[str, RunSpec] = {}

    @property
    def specs(self) -> list[RunSpec]:
        return [self.trunk, *self.extra.values(), *self.branches, *self.methods]

    def _branch(self, mixture: dict[str, float], number: int, order: int) -> RunSpec:
        measured = {"step": self.step, "steps": self.horizons[-1], "measure": [0, *self.horizons]}
        return replace(
            self.spec,
            method="static",
            parameters={"proportions": mixture},
            evaluation=replace(self.spec.evaluation, sequences=self.settings.sequences),
            constraints={},
            validation=False,
            inputs={TRUNK: self.trunk.id},
            branch=measured | ({"shuffle": order} if order else {}),
            label=f"step {self.step}, branch {number}" + (f", order {order + 1}" if order else ""),
        )

    def add_methods(
        self, config: Config, corpus: Corpus, references: Mapping[tuple[str, int], Adopted], other_steps: int
    ) -> None:
        """The config's methods, begun at the checkpoint, and the runs that they read.

        They train on an order of the data that no branch has: else probes would be held against what the very
        same sequences did to the branches, and look more faithful than estimates from elsewhere.

        Args:
            references: finished runs that they read, by label and seed.
            other_steps: steps of those that are not made of law, estimator and solver, or more where a
                method needs a longer run.

        Raises:
            InputError: a method that needs more steps than the run has left.
        """
        for choice in config.methods:
            planner = Planner(config, corpus.fingerprint, references, self.spec.target_tokens)
            problem = replace(planner.problem, constraints=Constraints())
            parameters, steps = one_estimate(choice.name, choice.parameters, problem)
            own = planner.compared(replace(choice, parameters=parameters, use="model"), self.spec.seed)
            left = self.spec.train.steps - self.step
            if steps is None:
                steps = enough_steps(choice.name, parameters, problem, min(other_steps, left), left)
            if steps > left:
                raise InputError(
                    f"{choice.label} makes an estimate in {steps} steps, after step {self.step} the run has "
                    f"{left}: branch it earlier, or give the method smaller sizes"
                )
            for key, needed in planner.extra.items():
                asked = needed.validation or (key in self.extra and self.extra[key].validation)
                self.extra[key] = replace(needed, validation=asked)
            branch = {"step": self.step, "steps": steps, "measure": [], "shuffle": self.settings.orders}
            inputs = own.inputs | {TRUNK: self.trunk.id}
            self.methods.append(
                replace(own, constraints={}, inputs=inputs, branch=branch, label=choice.label)
            )

    def content(self, results: Mapping[str, dict[str, Any]], weights: Array) -> dict[str, Any]:
        """The laws and fidelities at this checkpoint, and what they took.

        Args:
            results: by id, of all `specs`. weights: [n] of the targets, of mean 1.
        """
        branches = [results[spec.id] for spec in self.branches]
        orders = self.settings.orders
        laws = [law_at(branches, horizon, weights, orders=orders) for horizon in self.horizons]
        methods = [results[spec.id] | {"label": spec.label} for spec in self.methods]
        rows = fidelities(methods, laws, weights)
        flops = _token_flops(branches[0])
        costs = {spec.label: estimate_cost(spec, results, flops) for spec in self.methods}
        for row in rows:
            row["cost"] = costs[row["label"]]
        return {
            "seed": self.spec.seed,
            "step": self.step,
            "losses": branches[0]["branch"]["points"][0]["loss"],
            "laws": laws,
            "fidelity": rows,
            "runs": [spec.id for spec in self.specs],
            "cost": {key: sum(branch["cost"][key] for branch in branches) for key in COST},
            "trunk_cost": {key: results[self.trunk.id]["cost"][key] for key in COST},
        }


def estimate_cost(
    spec: RunSpec, results: Mapping[str, dict[str, Any]], token_flops: float
) -> dict[str, float]:
    """What an estimate takes beside ordinary training: its probes, what it reads, other runs.

    `worth_steps` are the training steps that the same floating-point operations would make.
    """
    cost = results[spec.id]["cost"]
    step_tokens = spec.train.batch * spec.model.context
    ordinary = cost["train_tokens"] - cost["probe_steps"] * step_tokens
    others = [cost_to_readers(results[run]) for role, run in spec.inputs.items() if role != TRUNK]
    flops = max(cost["flops"] - ordinary * token_flops, 0.0)
    other_flops = sum(other["flops"] for other in others)
    return {
        "probe_steps": cost["probe_steps"],
        "evaluation_tokens": cost["evaluation_tokens"],
        "seconds": cost["split"].get("probing", 0.0) + cost["split"].get("measuring", 0.0),
        "flops": flops,
        "other_runs": len(others),
        "other_flops": other_flops,
        "other_seconds": sum(other["seconds"] for other in others),
        "worth_steps": (flops + other_flops) / (step_tokens * token_flops),
    }


def _token_flops(branch: Mapping[str, Any]) -> float:
    """Of one token's forward and backward pass, by a branch that did nothing but train and read losses."""
    cost = branch["cost"]
    return cost["flops"] / (cost["train_tokens"] + cost["evaluation_tokens"] / 3)
