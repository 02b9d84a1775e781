"""What a config file can say, as frozen dataclasses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, WithJsonSchema

from aioli.data.settings import DataSettings
from aioli.errors import InputError, nearest
from aioli.methods.registry import complete
from aioli.objectives import get_objective
from aioli.protocol import Problem
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

__all__ = ["Config", "ConfigFile", "MethodChoice", "read_methods"]


@dataclass(frozen=True)
class MethodChoice:
    """One entry of `methods:`: a name of the registry, its parameters, and what to call it in results."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            told = ", ".join(f"{key}={_short(value)}" for key, value in self.parameters.items())
            object.__setattr__(self, "label", f"{self.name}({told})" if told else self.name)

    def to_entry(self) -> str | dict[str, Any]:
        """The entry as the config file spells it.

        >>> MethodChoice("aioli", {"eta": 0.5}).to_entry()
        {'aioli': {'eta': 0.5}}
        """
        entry: dict[str, Any] = {self.name: self.parameters}
        if self.label != MethodChoice(self.name, self.parameters).label:
            entry["label"] = self.label
        return entry if self.parameters or "label" in entry else self.name

    @property
    def identity(self) -> tuple[str, Any]:
        """What decides a run: the name and all parameters, defaults filled in, as JSON values.

        Raises:
            InputError: an unknown method.
        """
        return self.name, json.loads(json.dumps(complete(self.name, self.parameters), default=str))


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _method_choice(entry: Any) -> Any:
    """Read `name`, `{name: {parameter: value}}` or `{name: {...}, label: "..."}`."""
    if isinstance(entry, str):
        return {"name": entry}
    shape = "a name, {name: {parameter: value}}, or the latter with label: text beside the name"
    if not isinstance(entry, dict):
        raise InputError(f"expected {shape}, got {entry!r}")
    names = [key for key in entry if key != "label"]
    label = entry.get("label", "")
    if len(names) != 1 or not isinstance(label, str):
        raise InputError(f"expected {shape}, got {entry!r}")
    parameters = entry[names[0]]
    if parameters is not None and not isinstance(parameters, dict):
        raise InputError(f"expected {shape}, got {entry!r}")
    return {"name": names[0], "parameters": parameters or {}, "label": label}


def read_methods(entries: Sequence[str | dict[str, Any]]) -> list[MethodChoice]:
    """The methods that entries of `methods:` name, as `MethodChoice.to_entry` writes them.

    Raises:
        InputError: an entry of another shape.
    """
    return [MethodChoice(**_method_choice(entry)) for entry in entries]


_METHOD_SCHEMA = {
    "description": 'A method: its name, or {name: {parameter: value}}, optionally with label: "text".',
    "anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 2}],
}
MethodEntry = Annotated[MethodChoice, BeforeValidator(_method_choice), WithJsonSchema(_METHOD_SCHEMA)]


@dataclass(frozen=True)
class ConfigFile:
    """Everything a config file can say; only `data.groups` has no default.

    Attributes:
        title: heading of the results; the config file's name when empty.
        objective: what the methods work for: mean_loss, mean_perplexity or worst_target. A method may be
            given another; `matched` is stratified sampling for the mean loss.
        target_weights: weight of every target in the objective, by name; equal when not given.
        methods: what to compare. seeds: each method is trained once with each.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    data: DataSettings
    title: str = ""
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    objective: str = "mean_loss"
    target_weights: dict[str, float] | None = None
    methods: tuple[MethodEntry, ...] = (
        MethodChoice("stratified"),
        MethodChoice("matched", {"objective": "mean_perplexity"}, "matched"),
        MethodChoice("aioli"),
    )
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        get_objective(self.objective)
        self._check_weights()
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

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the held-out sets: the groups unless `data.targets` is given."""
        return tuple(self.data.targets or self.data.groups)

    def _check_weights(self) -> None:
        for name in self.target_weights or {}:
            if name not in self.targets:
                raise InputError(
                    f"target_weights names an unknown target {name!r}; {nearest(name, self.targets)}"
                )
        missing = [name for name in self.targets if name not in (self.target_weights or self.targets)]
        if missing:
            raise InputError(
                f"target_weights needs every target; missing: {', '.join(missing)} (0 is allowed)"
            )


@dataclass(frozen=True, kw_only=True)
class Config(ConfigFile):
    """A checked config file, and `base`: the directory that its relative paths start from."""

    base: Path

    def __post_init__(self) -> None:
        super().__post_init__()
        seen: list[MethodChoice] = []
        for choice in self.methods:
            twin = next((other for other in seen if other.identity == choice.identity), None)
            if twin is not None:
                raise InputError(
                    f"methods {twin.label!r} and {choice.label!r} are the same: {choice.name} with equal "
                    "parameters (those not given have their defaults); remove one, or change a parameter"
                )
            seen.append(choice)

    def problem(self, group_tokens: Sequence[int]) -> Problem:
        """The run as a method sees it, with `group_tokens` [m] training tokens in the groups.

        Raises:
            InputError: group tokens that are negative, all zero, or of another number than the groups.
        """
        weights = self.target_weights
        return Problem(
            groups=tuple(self.data.groups),
            group_tokens=tuple(group_tokens),
            total_steps=self.train.steps,
            step_tokens=self.train.batch * self.model.context,
            targets=self.targets,
            warmup_steps=self.train.warmup,
            objective=self.objective,
            target_weights=tuple(weights[name] for name in self.targets) if weights else None,
        )

    def to_dict(self, *, absolute: bool = False) -> dict[str, Any]:
        """Plain values in the shape of the file; with `absolute`, paths that hold from anywhere."""
        plain = asdict(self)
        del plain["base"]
        plain["methods"] = [choice.to_entry() for choice in self.methods]
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
        order = ["title", *(f.name for f in fields(ConfigFile) if f.name != "title")]
        return {name: plain[name] for name in order}
