"""What a run writes down while it trains: metrics.jsonl, and the curve of its training losses."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aioli.data.loader import Batch
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.measure.losses import GroupLosses
from aioli.protocol import Array, Request

__all__ = ["TrainingLog", "carried_state", "rounded"]

Point = tuple[int, list[float], list[int]]
"""A step, and sums and counts [m] of the losses since the point before."""

LINES = 200
"""Lines of metrics.jsonl in a whole run, or one a step in a shorter one."""


class TrainingLog:
    """Collects losses on the device and writes them down every `every` steps.

    Args:
        path: of metrics.jsonl. groups: their number m. steps: of the whole run.
        device: where losses lie.
    """

    def __init__(self, path: Path, groups: int, steps: int, device: torch.device) -> None:
        self.path = path
        self.every = math.ceil(steps / LINES)
        self._losses = GroupLosses(groups, device)
        self._norms = torch.zeros((), dtype=torch.float64, device=device)
        self._steps = 0
        self._loss = math.nan
        self._points: list[Point] = []
        self._past: list[dict[str, Any]] = []

    def add(self, batch: Batch, losses: Tensor, norm: Tensor) -> None:
        """Count one step's losses [B] and gradient norm; nothing waits for the device."""
        self._losses.add(batch.group, losses)
        self._norms += norm
        self._steps += 1

    def check(self, step: int) -> None:
        """Stop a run that has diverged.

        Raises:
            InputError: a loss or gradient that is not finite since the previous line.
        """
        if not math.isfinite(float(self._losses.sums.sum() + self._norms)):
            raise InputError(
                f"the training loss or its gradient became infinite or NaN by step {step}: lower "
                "train.learning_rate or train.clip, or lengthen train.warmup"
            )

    def loss(self) -> float:
        """Mean training loss since the last line, or that line's; waits for the device."""
        count = int(self._losses.counts.sum())
        return float(self._losses.sums.sum()) / count if count else self._loss

    def write_line(
        self, step: int, rate: float, request: Request, seconds: float, law: dict[str, float | None]
    ) -> None:
        """Append a line and begin a new interval; `law` is added where it says anything."""
        self._loss = self.loss()
        line = {
            "step": step,
            "loss": self._loss,
            "gradient_norm": float(self._norms) / self._steps,
            "learning_rate": rate,
            "phase": request.phase,
            "proportions": rounded(request.proportions),
            "train_loss": rounded(self._losses.mean()),
            "drawn": self._losses.counts.tolist(),
            "seconds": round(seconds, 3),
        } | ({"law": law} if law["r2"] is not None else {})
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._points.append((step, self._losses.sums.tolist(), self._losses.counts.tolist()))
        self._losses.clear()
        self._norms = torch.zeros_like(self._norms)
        self._steps = 0

    def curve(self, most: int, groups: Sequence[str] = (), names: Sequence[str] = ()) -> dict[str, list[Any]]:
        """At most `most` points: `train_loss` [m] is the mean since the previous one, None: not drawn.

        Args:
            groups: present groups, and names: those that the curve is for, where groups changed on the way.
        """
        every = self._points
        if self._past:
            parts = [*self._past, {"groups": groups, "points": self._points}]
            every = [_renamed(point, part["groups"], names) for part in parts for point in part["points"]]
        together = math.ceil(len(every) / most)
        steps, values = [], []
        for start in range(0, len(every), together or 1):
            points = every[start : start + together]
            sums = np.sum([point[1] for point in points], axis=0)
            counts = np.sum([point[2] for point in points], axis=0)
            steps.append(points[-1][0])
            values.append(rounded(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)))
        return {"step": steps, "train_loss": values}

    def state_dict(self) -> dict[str, Any]:
        """As JSON values, exact between any two steps."""
        return {
            "losses": self._losses.state_dict(),
            "norms": float(self._norms),
            "steps": self._steps,
            "loss": self._loss,
            "points": self._points,
        } | ({"past": self._past} if self._past else {})

    def load_state_dict(self, saved: dict[str, Any], step: int) -> None:
        """Continue at `step`; lines of metrics.jsonl from beyond it are dropped."""
        self._losses.load_state_dict(saved["losses"])
        self._norms = torch.full_like(self._norms, saved["norms"])
        self._steps, self._loss = saved["steps"], saved["loss"]
        self._points = [tuple(point) for point in saved["points"]]
        self._past = saved.get("past", [])
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        replace_file(self.path, "".join(line for line in lines if _is_upto(line, step)))


def carried_state(saved: dict[str, Any], step: int, old: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    """A log's state for the run that goes on with groups `new` in the place of `old` after `step` steps."""
    points, losses = saved["points"], saved["losses"]
    if any(losses["counts"]):
        points = [*points, (step, losses["sums"], losses["counts"])]
    past = [*saved.get("past", []), {"groups": list(old), "points": points}]
    none = {"sums": [0.0] * len(new), "counts": [0] * len(new)}
    return saved | {"losses": none, "norms": 0.0, "steps": 0, "points": [], "past": past}


def _renamed(point: Point, groups: Sequence[str], names: Sequence[str]) -> Point:
    """A point of `groups` as one of `names`; groups that were not there were not drawn."""
    step, sums, counts = point
    place = {name: j for j, name in enumerate(groups)}
    at = [place.get(name) for name in names]
    return step, [0.0 if j is None else sums[j] for j in at], [0 if j is None else counts[j] for j in at]


def _is_upto(line: str, step: int) -> bool:
    try:
        return line.endswith("\n") and json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False


def rounded(values: Array, digits: int = 5) -> list[float | None]:
    """Plain numbers with `digits` significant digits; NaN as None.

    >>> rounded(np.array([1 / 3, np.nan]))
    [0.33333, None]
    """
    return [None if value != value else float(f"{value:.{digits}g}") for value in values.tolist()]
