"""RunSpec: everything that decides a training run's result, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

__all__ = ["RECIPE", "RunSpec"]

RECIPE = 1
"""Raised whenever the same spec would train to other numbers: a change of the model, loop or sampler."""


@dataclass(frozen=True)
class RunSpec:
    """One training run. Two specs with the same `id` give the same numbers on the same machine.

    Attributes:
        method: name in the registry. parameters: all its keyword arguments, plain JSON values.
        data: fingerprint of the tokenised corpus (`Corpus.fingerprint`); paths never enter.
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
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def id(self) -> str:
        """16 hex digits of SHA-256 over the canonical JSON, without what cannot change a number."""
        content: dict[str, Any] = self.to_json() | {"recipe": RECIPE}
        del content["label"]
        del content["train"]["checkpoint_every"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
