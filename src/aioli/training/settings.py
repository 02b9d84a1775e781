"""The `model:`, `train:` and `evaluation:` parts of a config. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aioli.errors import InputError

__all__ = ["EvaluationSettings", "ModelSettings", "TrainSettings"]


def _at_least(section: str, settings: object, **least: float) -> None:
    for name, bound in least.items():
        value = getattr(settings, name)
        if not value >= bound:
            raise InputError(f"{section}.{name} must be at least {bound:g}, got {value}")


@dataclass(frozen=True)
class ModelSettings:
    """The reference GPT: sizes only."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    context: int = 128

    def __post_init__(self) -> None:
        _at_least("model", self, layers=1, width=8, heads=1, context=8)
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise InputError(
                f"model.width must be a multiple of model.heads with an even quotient (rotary "
                f"positions), got width {self.width}, heads {self.heads}"
            )


@dataclass(frozen=True)
class TrainSettings:
    """Optimiser and run length. One step trains `batch` sequences of `model.context` tokens.

    Attributes:
        steps: optimiser steps. batch: sequences a step. warmup: steps of linear warm-up, after
            which the rate falls by a cosine to `final_rate` times its peak.
        checkpoint_every: steps between checkpoints; None: about every 30 seconds.
        device: "auto" is CUDA when there is one. dtype: "auto" is bfloat16 autocast on CUDA.
        threads: torch threads of the process; results are bit-identical only for equal threads.
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    final_rate: float = 0.1
    weight_decay: float = 0.1
    clip: float = 1.0
    checkpoint_every: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        _at_least("train", self, steps=1, batch=1, warmup=0, final_rate=0, weight_decay=0, threads=1)
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"train.learning_rate must be positive, got {self.learning_rate}")
        if not self.clip > 0:
            raise InputError(f"train.clip must be positive, got {self.clip}")
        if self.warmup >= self.steps:
            raise InputError(
                f"train.warmup must be shorter than train.steps, got {self.warmup} of {self.steps}"
            )
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise InputError(f"train.checkpoint_every must be at least 1, got {self.checkpoint_every}")


@dataclass(frozen=True)
class EvaluationSettings:
    """How much held-out text is read.

    Attributes:
        sequences: validation sequences of each target in one measurement, always the same ones;
            "auto" sizes them by the standard error of the paired change (see `measure.evaluate`).
        max_sequences: most that "auto" may take for a target.
        precision: "auto" aims at a standard error of this share of the mean absolute change; what a
            method concludes averages that error over targets and rounds, so it need not be small.
        test_sequences: test sequences of each target, read once at the end.
    """

    sequences: int | Literal["auto"] = "auto"
    max_sequences: int = 64
    precision: float = 0.5
    test_sequences: int = 1000

    def __post_init__(self) -> None:
        _at_least("evaluation", self, max_sequences=1, test_sequences=1)
        if self.sequences != "auto" and self.sequences < 1:
            raise InputError(f"evaluation.sequences must be 'auto' or at least 1, got {self.sequences}")
        if not self.precision > 0:
            raise InputError(f"evaluation.precision must be positive, got {self.precision}")
