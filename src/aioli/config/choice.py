"""One entry of `methods:`: a method, its parameters, and how the runs that it needs are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from aioli.errors import InputError
from aioli.methods.registry import complete, names, recipe_of

__all__ = ["MethodChoice", "MethodEntry", "read_methods"]

EXTRAS = ("use", "run_steps", "reference")
"""Keys beside a method's name that say how its extra runs are made and used."""


@dataclass(frozen=True)
class MethodChoice:
    """One entry of `methods:`: a name of the registry, its parameters, and what to call it in results.

    Attributes:
        use: "mixture" trains a static run on the answer of the method's run, "model" takes that run itself;
            None: the mixture for the methods published so (proxies), else the model.
        run_steps: steps of every extra run: a whole number, or a share of train.steps below 1; None: as
            many as train.steps.
        reference: where the reference run of a method that reads one comes from: a method to train, or the
            directory of a finished run; None: stratified.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    use: Literal["mixture", "model"] | None = None
    run_steps: int | float | None = None
    reference: str | dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.label:
            shown = self.parameters | self.extras
            if isinstance(self.reference, str):
                shown["reference"] = Path(self.reference).name
            told = ", ".join(f"{key}={_short(value)}" for key, value in shown.items())
            object.__setattr__(self, "label", f"{self.name}({told})" if told else self.name)
        steps = self.run_steps
        if steps is not None and not (0 < steps < 1 or (steps >= 1 and steps == int(steps))):
            raise InputError(
                f"run_steps of {self.label!r} must be a whole number of steps, or a share between 0 and 1 of "
                f"train.steps, got {steps}"
            )

    @property
    def extras(self) -> dict[str, Any]:
        """What is set of `use`, `run_steps` and `reference`."""
        return {key: value for key in EXTRAS if (value := getattr(self, key)) is not None}

    @property
    def takes_mixture(self) -> bool:
        """Whether the result is a static run on the mixture that the method's own run concludes with."""
        recipe = recipe_of(self.name)
        return self.use == "mixture" or (self.use is None and recipe is not None and recipe.proxy)

    @property
    def reference_path(self) -> str | None:
        """The directory that `reference` names; None where it names a method, or nothing."""
        reference = self.reference
        return reference if isinstance(reference, str) and reference not in names() else None

    def changed(self, **fields: Any) -> MethodChoice:
        """The same with other fields; a label that was not given is made anew."""
        given = self.label != replace(self, label="").label
        return replace(self, label=self.label if given else "", **fields)

    def guarded_by_text(self) -> MethodChoice:
        """For targets that are not the groups: a `guarded` without a default, nor a prior in its method, gets
        `similar` as its default."""
        inner = self.parameters.get("method")
        given = next(iter(inner.values()), None) if isinstance(inner, dict) else None
        if self.name != "guarded" or self.parameters.get("default") or (given or {}).get("prior"):
            return self
        return self.changed(parameters=self.parameters | {"default": "similar"})

    def located(self, base: Path) -> MethodChoice:
        """The same with a path that holds from anywhere."""
        path = self.reference_path
        return self if path is None else replace(self, reference=str(base / Path(path).expanduser()))

    def to_entry(self) -> str | dict[str, Any]:
        """The entry as the config file spells it.

        >>> MethodChoice("aioli", {"eta": 0.5}).to_entry()
        {'aioli': {'eta': 0.5}}
        >>> MethodChoice("skill_it", run_steps=0.25).to_entry()
        {'skill_it': {}, 'run_steps': 0.25}
        """
        entry: dict[str, Any] = {self.name: self.parameters}
        if self.label != replace(self, label="").label:
            entry["label"] = self.label
        entry |= self.extras
        return entry if self.parameters or len(entry) > 1 else self.name

    @property
    def identity(self) -> tuple[str, Any, Any]:
        """What decides a run: the name, all parameters and how extra runs are made, as JSON values.

        Raises:
            InputError: an unknown method.
        """
        parameters = json.loads(json.dumps(complete(self.name, self.parameters), default=str))
        return self.name, parameters, self.extras | {"use": self.takes_mixture}


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _method_choice(entry: Any) -> Any:
    """Read `name`, or `{name: {parameter: value}}` with `label` and the keys of `EXTRAS` beside the name."""
    if isinstance(entry, str):
        return {"name": entry}
    beside = ("label", *EXTRAS)
    shape = f"a name, {{name: {{parameter: value}}}}, or the latter with {', '.join(beside)} beside the name"
    if not isinstance(entry, dict):
        raise InputError(f"expected {shape}, got {entry!r}")
    chosen = [key for key in entry if key not in beside]
    label = entry.get("label", "")
    if len(chosen) != 1 or not isinstance(label, str):
        raise InputError(f"expected {shape}, got {entry!r}")
    parameters = entry[chosen[0]]
    if parameters is not None and not isinstance(parameters, dict):
        raise InputError(f"expected {shape}, got {entry!r}")
    extras = {key: entry[key] for key in EXTRAS if key in entry}
    return {"name": chosen[0], "parameters": parameters or {}, "label": label} | extras


def read_methods(entries: Sequence[str | dict[str, Any]]) -> list[MethodChoice]:
    """The methods that entries of `methods:` name, as `MethodChoice.to_entry` writes them.

    Raises:
        InputError: an entry of another shape.
    """
    return [MethodChoice(**_method_choice(entry)) for entry in entries]


_METHOD_SCHEMA = {
    "description": (
        'A method: its name, or {name: {parameter: value}}, optionally with label: "text" beside it. For '
        "methods that need other runs first: use (mixture or model), run_steps (steps or share of each), "
        "reference (a method, or the directory of a finished run)."
    ),
    "anyOf": [
        {"type": "string"},
        {"type": "object", "minProperties": 1, "maxProperties": 2 + len(EXTRAS)},
    ],
}
MethodEntry = Annotated[MethodChoice, BeforeValidator(_method_choice), WithJsonSchema(_METHOD_SCHEMA)]
