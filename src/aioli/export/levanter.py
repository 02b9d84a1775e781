"""Levanter: `train_weights` of the `data` section, constant or as a schedule [[step, weights], ...].

Weights are shares of sequences of the model's length (sources are packed), that is of tokens. Decoded, and
drawn from, by marin-levanter 0.2.20 in the tests (`data/mixture.py`, `data/text/datasets.py`): stages are
given in steps, and a stage must begin at a multiple of `mixture_block_size` sequences, so the steps of a
schedule are moved to the nearest such step, which needs the batch. A block holds whole numbers of sequences
of each source.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from aioli.errors import InputError, MixingWarning
from aioli.export.blend import Blend, Stage, present
from aioli.export.format import Format
from aioli.export.units import rounded
from aioli.export.yaml_text import field, numbers, read_yaml, yaml_text

__all__ = ["BLOCK", "FORMATS"]

BLOCK = 2048
"""Sequences a block: Levanter's default, written out because the stages depend on it."""


def _write(blend: Blend) -> str:
    shares = present(blend)
    smallest = min(shares, key=lambda group: shares[group])
    if blend.stages is None and shares[smallest] < 1 / BLOCK:
        warnings.warn(
            f"{smallest!r} has less than one sequence of a block of {BLOCK}: Levanter may draw none of it; "
            "raise mixture_block_size",
            MixingWarning,
            stacklevel=2,
        )
    data: dict[str, Any] = {}
    if any(blend.paths.get(group) for group in shares):
        data["components"] = {
            group: {"source": {"type": "url", "train_urls": list(blend.paths.get(group, ()))}}
            for group in shares
        }
    data["train_weights"] = rounded(shares) if blend.stages is None else _schedule(blend, shares)
    data |= {"mixture_block_size": BLOCK, "stop_strategy": "restart"}
    return yaml_text({"data": data})


def _schedule(blend: Blend, groups: dict[str, float]) -> list[list[Any]]:
    schedule = []
    for stage in _aligned(blend):
        shares = dict(zip(blend.groups, stage.proportions.tolist(), strict=True))
        weights = rounded({group: shares[group] for group in groups if shares[group] > 0})
        schedule.append([stage.step, {group: weights.get(group, 0.0) for group in groups}])
    return schedule


def _aligned(blend: Blend) -> list[Stage]:
    """Stages that begin where a block does; of several that would begin at one step, the last."""
    if blend.batch is None:
        raise InputError("the stages of a Levanter schedule begin at whole blocks of sequences: give --batch")
    unit = BLOCK // math.gcd(BLOCK, blend.batch)
    found: dict[int, Stage] = {}
    for stage in blend.stages or ():
        step = round(stage.step / unit) * unit
        found[step] = Stage(step, stage.proportions)
    if [*found] != [stage.step for stage in blend.stages or ()]:
        warnings.warn(
            f"stages moved to multiples of {unit} steps, where a block of {BLOCK} sequences begins",
            MixingWarning,
            stacklevel=2,
        )
    return list(found.values())


def _read(text: str) -> dict[str, float]:
    kind = "the Levanter config"
    weights = field(read_yaml(text, kind), "data.train_weights", kind)
    if isinstance(weights, list):
        if len(weights) != 1 or not isinstance(weights[0], list) or len(weights[0]) != 2:
            raise InputError(
                f"{kind}: train_weights is a schedule of {len(weights)} stages: leave one of them"
            )
        weights = weights[0][1]
    return numbers(weights, f"{kind}: train_weights")


FORMATS = (
    Format(
        "levanter",
        "Levanter train_weights YAML",
        "tokens",
        ".yaml",
        _write,
        _read,
        uses=("paths", "batch"),
        staged=True,
    ),
)
