"""How texts are compared. Torch-free and without other modules of data, so that methods may name it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from aioli.errors import InputError

__all__ = ["Direction", "SimilaritySettings"]

Direction = Literal["target_group", "group_target", "symmetric", "jensen_shannon"]


@dataclass(frozen=True)
class SimilaritySettings:
    """What decides the divergences, and what counts as contamination.

    Attributes:
        direction: target_group is KL(target || group), group_target is KL(group || target), symmetric their
            mean, jensen_shannon the divergence of that name.
        buckets: into which unigrams and bigrams of tokens are hashed.
        sample: most tokens read of each text.
        smoothing: added to the count of every bucket of the second argument of a KL divergence, and of
            every group where a mixture's likelihood is taken.
        seed: of the sample.
        window: tokens in a row that two texts must share to count as overlap.
        max_overlap: largest share of a target's windows that may occur in a group's training text.
        allow_contamination: whether more than that is only reported.

    Raises:
        InputError: a value out of range.
    """

    direction: Direction = "target_group"
    buckets: int = 65536
    sample: int = 300_000
    smoothing: float = 0.1
    seed: int = 0
    window: int = 20
    max_overlap: float = 0.05
    allow_contamination: bool = False

    def __post_init__(self) -> None:
        if self.direction not in ("target_group", "group_target", "symmetric", "jensen_shannon"):
            raise InputError(
                "direction must be target_group, group_target, symmetric or jensen_shannon, "
                f"got {self.direction!r}"
            )
        for name, least in (("buckets", 2), ("sample", 2), ("seed", 0), ("window", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.smoothing < math.inf:
            raise InputError(f"smoothing must be positive, got {self.smoothing}")
        if not 0 <= self.max_overlap <= 1:
            raise InputError(f"max_overlap is a share from 0 to 1, got {self.max_overlap}")
