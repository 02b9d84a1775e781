"""Trunks, which end at a step before their last, and branches, which go on from where a trunk ended.

A branch takes over the weights, the optimiser, the order of the data and the place in the learning-rate
schedule. Its method begins anew there, and sees a run of the branch's own steps. Branches of one trunk read
the same sequences of each group in the same order, as far as their mixtures let them, and are measured on the
same held-out sequences: they are paired. A branch with a `shuffle` goes on with the groups' sequences in
another order: between branches of one mixture, that is all that differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.measure.evaluate import Losses
from aioli.protocol import Array
from aioli.sweep.spec import TRUNK, RunSpec
from aioli.training.checkpoint import load_checkpoint
from aioli.training.result import validation_losses

__all__ = ["Branching", "check_branch", "order_seed", "trunk_checkpoint"]


class Branching:
    """Where a run begins and ends, and what a branch measures on its way.

    Attributes:
        offset: steps of the trunk before the run's first. tokens: read by `measure`.
    """

    def __init__(self, spec: RunSpec, corpus: Corpus, losses: Losses) -> None:
        self._spec, self._corpus, self._losses = spec, corpus, losses
        self.offset = int(spec.branch.get("step", 0))
        self._horizons = frozenset(spec.branch.get("measure", ()))
        self._found: list[dict[str, Any]] = []
        self.tokens = 0

    def measure(self, step: int, drawn: Array) -> None:
        """Read the validation losses if the branch measures after `step` of its steps.

        Args:
            drawn: [m] sequences of each group trained by the branch.
        """
        if step not in self._horizons or any(point["step"] == step for point in self._found):
            return
        losses, tokens = validation_losses(self._spec, self._corpus, self._losses)
        self._found.append({"step": step, "loss": losses, "drawn": drawn.tolist()})
        self.tokens += tokens

    def result(self) -> dict[str, Any] | None:
        """{"step": of the trunk, "points": [{"step", "loss" [n], "drawn" [m]}]}; None: not a branch."""
        return {"step": self.offset, "points": self._found} if self._spec.branch else None

    def state_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"points": self._found, "tokens": self.tokens}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._found, self.tokens = list(saved["points"]), saved["tokens"]


def order_seed(spec: RunSpec) -> int:
    """The seed of the shuffles: the run's own, and after a branch's `shuffle` a hash of both."""
    shuffle = spec.branch.get("shuffle", 0)
    if not shuffle:
        return spec.seed
    return int.from_bytes(hashlib.blake2b(f"{spec.seed}/{shuffle}".encode(), digest_size=6).digest(), "big")


def check_branch(branch: Mapping[str, Any], steps: int) -> None:
    """Refuse a branch that does not fit its trunk's run of `steps` steps.

    Raises:
        InputError: so.
    """
    start, length, measured = (branch.get(key) for key in ("step", "steps", "measure"))
    if not isinstance(start, int) or not isinstance(length, int) or not 0 < start < start + length <= steps:
        raise InputError(
            f"a branch begins at step 1 or later and ends with the run's {steps} steps at the latest, "
            f"got step {start} and {length} steps"
        )
    if not isinstance(measured, list | tuple) or any(not 0 <= step <= length for step in measured):
        raise InputError(f"a branch of {length} steps measures after 0 to {length} of them, got {measured}")
    shuffle = branch.get("shuffle", 0)
    if not isinstance(shuffle, int) or shuffle < 0:
        raise InputError(
            f"the shuffle of a branch is a whole number, 0 for its trunk's order, got {shuffle!r}"
        )


def trunk_checkpoint(spec: RunSpec, directory: Path) -> dict[str, Any]:
    """The checkpoint that a branch begins with.

    Args:
        directory: of the branch; the trunk lies beside it, in a directory named by its id.

    Raises:
        InputError: a trunk that is not finished, ended at another step, or whose checkpoint is gone.
    """
    run = spec.inputs[TRUNK]
    path = directory.parent / run / "checkpoint.pt"
    if not path.exists():
        raise InputError(f"the branch goes on from run {run}, whose checkpoint is missing: expected {path}")
    content = load_checkpoint(path, run)
    step = json.loads(content["plain"])["step"]
    if step != spec.branch["step"]:
        raise InputError(f"the branch begins at step {spec.branch['step']}, but run {run} ended at {step}")
    return content
