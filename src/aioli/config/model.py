"""What a config file can say, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from aioli.analysis.sequential import Stopping
from aioli.config.choice import MethodChoice, MethodEntry
from aioli.config.trackers import TrackerEntry
from aioli.data.settings import DataSettings
from aioli.errors import InputError, nearest
from aioli.objectives import get_objective
from aioli.protocol import Constraints, Problem
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

__all__ = ["Config", "ConfigFile"]

BASELINE = "stratified"


@dataclass(frozen=True)
class ConfigFile:
    """Everything a config file can say; only `data.groups` has no default.

    Attributes:
        title: heading of the results; the config file's name when empty.
        objective: what the methods work for: mean_loss, mean_perplexity, worst_target, mean_excess or
            worst_excess. A method may be given another; `matched` is stratified sampling for the mean loss.
        target_weights: weight of every target in the objective, by name; equal when not given.
        reference_losses: for every target the loss in nats per token that mean_excess and worst_excess are
            measured from, by name.
        constraints: what every method's mixtures must keep to: max_repeats, floors, fixed, max_change.
        methods: what to compare. seeds: each method is trained once with each.
        stopping: when a method gets no further seed, so that `seeds` are the most; not given: all of them.
        trackers: where to follow the runs while they go; they change no number.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    data: DataSettings
    title: str = ""
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    objective: str = "mean_loss"
    target_weights: dict[str, float] | None = None
    reference_losses: dict[str, float] | None = None
    constraints: Constraints = field(default_factory=Constraints)
    methods: tuple[MethodEntry, ...] = (
        MethodChoice("stratified"),
        MethodChoice("matched", {"objective": "mean_perplexity"}, "matched"),
        MethodChoice("aioli"),
    )
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    stopping: Stopping | None = None
    trackers: tuple[TrackerEntry, ...] = ()

    def __post_init__(self) -> None:
        objective = get_objective(self.objective)
        self._check_targets("target_weights", " (0 is allowed)")
        self._check_targets("reference_losses", "")
        if objective.excess and self.reference_losses is None:
            raise InputError(
                f"objective {self.objective} needs reference_losses: for every target the loss in nats per "
                "token that it is known to reach, such as that of a run on it alone"
            )
        if not self.methods:
            raise InputError("methods is empty: name at least one, such as stratified")
        labels = [choice.label for choice in self.methods]
        for label in labels:
            if labels.count(label) > 1:
                raise InputError(
                    f"methods has {label!r} twice; give one of them another name, as in "
                    f'{{name: {{...}}, label: "other"}}'
                )
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InputError(
                f"seeds must be one or more different whole numbers >= 0, got {list(self.seeds)}"
            )
        self._check_stopping()

    @property
    def baseline(self) -> str | None:
        """The label of the method that the others are compared with; None without one."""
        return next((choice.label for choice in self.methods if choice.name == BASELINE), None)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the held-out sets: the groups unless `data.targets` is given."""
        return tuple(self.data.targets or self.data.groups)

    def _check_stopping(self) -> None:
        """Refuse a rule that could never decide anything."""
        rule = self.stopping
        if rule is None:
            return
        if self.baseline is None or len(self.methods) < 2:
            raise InputError(
                f"stopping decides on the difference to {BASELINE}, so methods needs {BASELINE} "
                f"and others, got {', '.join(choice.label for choice in self.methods)}"
            )
        if len(self.seeds) < rule.first:
            raise InputError(
                f"stopping decides after {rule.first} seeds at the earliest (least is {rule.least}, alpha "
                f"{rule.alpha:g}), and seeds has {len(self.seeds)}: give more, as in "
                f"seeds: {list(range(4 * rule.first))}, of which it uses as many as it needs"
            )

    def _check_targets(self, key: str, note: str) -> None:
        """Refuse values by target that do not name exactly the targets."""
        given = getattr(self, key)
        for name in given or {}:
            if name not in self.targets:
                raise InputError(f"{key} names an unknown target {name!r}; {nearest(name, self.targets)}")
        missing = [name for name in self.targets if name not in (given or self.targets)]
        if missing:
            raise InputError(f"{key} needs every target; missing: {', '.join(missing)}{note}")


@dataclass(frozen=True, kw_only=True)
class Config(ConfigFile):
    """A checked config file, and `base`: the directory that its relative paths start from."""

    base: Path

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.targets:
            object.__setattr__(self, "methods", tuple(choice.guarded_by_text() for choice in self.methods))
        seen: list[MethodChoice] = []
        for choice in self.methods:
            twin = next((other for other in seen if other.identity == choice.identity), None)
            if twin is not None:
                raise InputError(
                    f"methods {twin.label!r} and {choice.label!r} are the same: {choice.name} with equal "
                    "parameters (those not given have their defaults); remove one, or change a parameter"
                )
            seen.append(choice)

    @property
    def constraints_set(self) -> dict[str, Any]:
        """Those of the constraints that are given, as plain values."""
        return {key: value for key, value in asdict(self.constraints).items() if value not in (None, {})}

    def problem(self, group_tokens: Sequence[int]) -> Problem:
        """The run as a method sees it, with `group_tokens` [m] training tokens in the groups.

        Raises:
            InputError: group tokens that are negative, all zero, or of another number than the groups.
        """
        weights, references = self.target_weights, self.reference_losses
        return Problem(
            groups=tuple(self.data.groups),
            group_tokens=tuple(group_tokens),
            total_steps=self.train.steps,
            step_tokens=self.train.batch * self.model.context,
            targets=self.targets,
            warmup_steps=self.train.warmup,
            objective=self.objective,
            target_weights=tuple(weights[name] for name in self.targets) if weights else None,
            reference_losses=tuple(references[name] for name in self.targets) if references else None,
            constraints=self.constraints,
        )

    def to_dict(self, *, absolute: bool = False) -> dict[str, Any]:
        """Plain values in the shape of the file; with `absolute`, paths that hold from anywhere."""
        plain = asdict(self)
        del plain["base"]
        choices = [choice.located(self.base) if absolute else choice for choice in self.methods]
        plain["methods"] = [choice.to_entry() for choice in choices]
        data = plain["data"]
        for source in [*data["groups"].values(), *data["targets"].values()]:
            source["paths"] = [str(self.base / path) if absolute else path for path in source["paths"]]
        if self.data.tokens is not None:
            data["tokens"] = str(self.base / self.data.tokens if absolute else self.data.tokens)
        tokenizer = self.data.tokenizer.path
        if absolute and tokenizer is not None:
            found = self.base / Path(tokenizer).expanduser()
            data["tokenizer"]["path"] = str(found) if found.exists() else tokenizer  # else a cached name
        plain["seeds"] = list(self.seeds)
        plain["trackers"] = [choice.to_entry() for choice in self.trackers]
        order = ["title", *(f.name for f in fields(ConfigFile) if f.name != "title")]
        return {name: plain[name] for name in order}
