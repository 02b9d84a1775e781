"""Which runs a config asks for: the compared ones, and those that must be finished before them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from aioli.config import Config, MethodChoice
from aioli.methods.construct import name_and_parameters
from aioli.methods.recipes import MIXTURE, REFERENCE, ExtraRun
from aioli.methods.registry import extra_runs
from aioli.sweep.spec import RunSpec
from aioli.training.settings import TrainSettings

__all__ = ["Adopted", "Planner", "RunPlan", "plan_runs"]


class Adopted(NamedTuple):
    """A finished run of another output directory that a run of this one reads."""

    spec: RunSpec
    directory: Path


class RunPlan(NamedTuple):
    """The runs of a job.

    Attributes:
        compared: every method with every seed, all methods of a seed together so that early results are
            paired. extra: what they read, each once, whoever shares it, unless it is compared itself.
    """

    compared: tuple[RunSpec, ...]
    extra: tuple[RunSpec, ...]

    def ordered(self) -> list[RunSpec]:
        """All runs, seed by seed; in a seed those first that the longest chain of steps waits for."""
        every = {spec.id: spec for spec in (*self.compared, *self.extra)}
        readers: dict[str, list[str]] = {}
        for spec in every.values():
            for run in spec.inputs.values():
                readers.setdefault(run, []).append(spec.id)

        def chain(run: str) -> int:
            return every[run].train.steps + max(map(chain, readers.get(run, ())), default=0)

        seeds = list(dict.fromkeys(spec.seed for spec in self.compared))
        place = {seed: number for number, seed in enumerate(seeds)}
        return sorted(every.values(), key=lambda spec: (place.get(spec.seed, -1), -chain(spec.id)))


def plan_runs(
    config: Config,
    fingerprint: str,
    adopted: Mapping[tuple[str, int], Adopted] | None = None,
    *,
    validation: bool = False,
    target_tokens: int | None = None,
) -> RunPlan:
    """Every method of a config with every seed, and what each needs first, made anew for each seed.

    A run that two methods need, or that is compared itself, is planned once.

    Args:
        fingerprint: of the tokenised corpus.
        adopted: finished runs to read as references, by label and seed of their reader.
        validation: whether the compared runs record their validation losses.
        target_tokens: length of the run that every run stands for (`RunSpec`).
    """
    planner = Planner(config, fingerprint, adopted or {}, target_tokens)
    compared = [
        replace(planner.compared(choice, seed), validation=validation)
        for seed in config.seeds
        for choice in config.methods
    ]
    needed = {spec.id for spec in planner.extra.values() if spec.validation}
    kept = {spec.id for spec in compared}
    return RunPlan(
        tuple(replace(s, validation=True) if s.id in needed else s for s in compared),
        tuple(spec for spec in planner.extra.values() if spec.id not in kept),
    )


class Planner:
    """Collects the extra runs, each once, while the compared ones are expanded."""

    def __init__(
        self,
        config: Config,
        fingerprint: str,
        adopted: Mapping[tuple[str, int], Adopted],
        target_tokens: int | None,
    ) -> None:
        self.config, self.fingerprint, self.adopted = config, fingerprint, adopted
        self.target_tokens = target_tokens
        self.problem = config.problem((sys.maxsize,) * len(config.data.groups))
        self.extra: dict[str, RunSpec] = {}

    def compared(self, choice: MethodChoice, seed: int) -> RunSpec:
        """The run of a method that is compared: its own, or a static one on the mixture it concludes with."""
        runs = extra_runs(choice.name, choice.parameters, self.problem)
        inputs = {run.role: self._input(choice, run, seed) for run in runs}
        own = replace(self._spec(choice.name, choice.parameters, seed), inputs=inputs, label=choice.label)
        if not choice.takes_mixture:
            return own
        proxy = replace(own, train=self._train(choice), label=f"{choice.label} proxy")
        return replace(self._spec("static", {}, seed), inputs={MIXTURE: self._add(proxy)}, label=choice.label)

    def _input(self, choice: MethodChoice, run: ExtraRun, seed: int) -> str:
        """The id of a run that a choice's run reads, after entering it."""
        if run.role == REFERENCE and (choice.label, seed) in self.adopted:
            return self._add(replace(self.adopted[choice.label, seed].spec, validation=run.validation))
        name, parameters = run.method, dict(run.parameters)
        if run.role == REFERENCE and choice.reference is not None:
            name, parameters = name_and_parameters("a method", choice.reference)
        spec = self._spec(name, parameters, seed)
        return self._add(
            replace(
                spec,
                train=self._train(choice),
                constraints=spec.constraints if run.constrained else {},
                validation=run.validation,
                label=f"{choice.label} {run.role}",
            )
        )

    def _add(self, spec: RunSpec) -> str:
        known = self.extra.setdefault(spec.id, spec)
        if spec.validation and not known.validation:
            self.extra[spec.id] = replace(known, validation=True)
        return spec.id

    def _train(self, choice: MethodChoice) -> TrainSettings:
        """The settings of an extra run: of `run_steps` steps, warm-up in proportion."""
        train, steps = self.config.train, choice.run_steps
        if steps is None:
            return train
        whole = max(1, round(steps * train.steps)) if steps < 1 else int(steps)
        warmup = min(round(train.warmup * whole / train.steps), whole - 1)
        return replace(train, steps=whole, warmup=warmup)

    def _spec(self, name: str, parameters: dict[str, Any], seed: int) -> RunSpec:
        config = self.config
        return RunSpec(
            method=name,
            parameters=MethodChoice(name, parameters).identity[1],
            data=self.fingerprint,
            seed=seed,
            model=config.model,
            train=config.train,
            evaluation=config.evaluation,
            objective=config.objective,
            target_weights=config.target_weights,
            constraints=config.constraints_set,
            reference_losses=config.reference_losses,
            target_tokens=self.target_tokens,
        )
