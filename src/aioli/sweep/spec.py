"""RunSpec: everything that decides a training run's result, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

__all__ = ["RECIPE", "TRUNK", "RunSpec"]

RECIPE = 1
"""Raised whenever the same spec would train to other numbers: a change of the model, loop or sampler."""

LATER = ("constraints", "reference_losses", "inputs", "history", "target_tokens", "stop", "branch")
"""Fields that the first specs did not have: where they are not set, the hash leaves them out."""
TRUNK = "trunk"
"""The role in `RunSpec.inputs` of the run that a branch goes on from."""


@dataclass(frozen=True)
class RunSpec:
    """One training run. Two specs with the same `id` give the same numbers on the same machine.

    Attributes:
        method: name in the registry. parameters: all its keyword arguments, plain JSON values.
        data: fingerprint of the tokenised corpus (`Corpus.fingerprint`); paths never enter.
        constraints: the fields of `aioli.protocol.Constraints` that are set.
        reference_losses: losses by target that an excess objective is measured from.
        inputs: ids of finished runs of the same store that this one reads, by the role they have in it
            ("reference": its model). Parameters that follow from them are not in `parameters`, and the id
            names where they come from.
        history: changes of groups that led here, each {"run": id of the run that it continued, "step",
            "parents": new group -> old ones, "removed_tokens", "parameters": those until then}.
        validation: whether the result holds the validation losses before the first and after the last step.
            They are read beside the run and change none of its numbers, so the id does not say.
        target_tokens: length of the run that this one stands for: it sees only as much of each group as
            repeats its data equally often (`aioli.data.repetition`). None: all of it.
        stop: step after which the run ends, where that is not its last: a trunk for branches.
        branch: {"step": where its trunk ended, "steps": its own, "measure": after how many of these it reads
            validation losses, "shuffle": 1 or more for another order of the data from there on}; the trunk is
            the input of that role. Empty: the run starts from step 0.
    """

    method: str
    data: str
    seed: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    objective: str = "mean_loss"
    target_weights: dict[str, float] | None = None
    constraints: dict[str, Any] = field(default_factory=dict)
    reference_losses: dict[str, float] | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    validation: bool = False
    target_tokens: int | None = None
    stop: int | None = None
    branch: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def id(self) -> str:
        """16 hex digits of SHA-256 over the canonical JSON, without what cannot change a number."""
        content: dict[str, Any] = self.to_json() | {"recipe": RECIPE}
        del content["label"], content["validation"]
        del content["train"]["checkpoint_every"]
        for later in LATER:
            if not content[later]:
                del content[later]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
