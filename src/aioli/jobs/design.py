"""Which mixtures a sweep trains on: a design made for a config, and what it asks of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from aioli.config import Config, read_plain
from aioli.constraints import Limits
from aioli.errors import InputError, nearest
from aioli.jobs.forecast import forecast
from aioli.jobs.names import default_out
from aioli.protocol import Array
from aioli.simplex import apportion, as_proportions
from aioli.sweep import designs
from aioli.sweep.optimal_design import Criterion, optimal
from aioli.sweep.region import Region

__all__ = ["KINDS", "DesignSettings", "Kind", "MadeDesign", "make_design"]

Kind = Literal["dirichlet", "space", "one-hot", "smoothed", "grid", "optimal"]
KINDS: tuple[str, ...] = get_args(Kind)
DIGITS = 1_000_000
"""Proportions are whole millionths, so that a file of them is exact."""


@dataclass(frozen=True)
class DesignSettings:
    """What design to make.

    Attributes:
        kind: see `aioli.sweep.designs` and `aioli.sweep.optimal_design`.
        runs: how many (beside those of `augment`); None: 3 (m + 1) for m groups that are not fixed, or what
            the kind has (one-hot and smoothed: one a group).
        centre: "natural" (proportions of the groups' tokens), "uniform", or a file with proportions.
        temperature: the natural proportions become N^(1/temperature); RegMix takes 2.
        strengths: of Dirichlet draws; empty: RegMix's 15 from .1 to 5.
        min_weight: what is below becomes 0. focus: of smoothed runs.
        law, criterion: of an optimal design.
        augment: [k0, m] mixtures of runs made already.
        target_tokens: length of the run that the mixtures are for; None: that of the config. Constraints
            and epochs are those of this run.
    """

    kind: Kind
    runs: int | None = None
    centre: str = "natural"
    temperature: float = 1.0
    strengths: tuple[float, ...] = ()
    min_weight: float = 0.0
    focus: float = 0.75
    law: str = "log_linear"
    criterion: Criterion = "D"
    augment: Array | None = None
    target_tokens: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"no design {self.kind!r}; {nearest(self.kind, KINDS)}")
        if self.runs is not None and (self.runs < 1 or self.kind in ("one-hot", "smoothed")):
            told = "at least 1" if self.runs < 1 else f"not given for {self.kind}, which has one run a group"
            raise InputError(f"the number of runs must be {told}, got {self.runs}")
        if not 0 < self.temperature < np.inf:
            raise InputError(f"the temperature must be positive, got {self.temperature}")
        if self.target_tokens is not None and self.target_tokens < 1:
            raise InputError(f"the target run's tokens must be at least 1, got {self.target_tokens}")


@dataclass(frozen=True, eq=False)
class MadeDesign:
    """A design and what it asks of the data.

    Attributes:
        mixtures: [k, m], those of earlier runs first. groups: [m].
        suggested: number of runs recommended. closest: share of the data by which the two nearest differ.
        epochs: [m] most passes over each group in the target run. target_tokens: its length.
        estimated: whether the epochs rest on token counts that are estimated from the sizes of files.
    """

    mixtures: Array
    groups: tuple[str, ...]
    suggested: int
    closest: float
    epochs: Array
    target_tokens: int
    estimated: bool

    def by_group(self) -> list[dict[str, float]]:
        """The mixtures by name."""
        return [dict(zip(self.groups, row.tolist(), strict=True)) for row in self.mixtures]


def make_design(config: Config, source: Path, settings: DesignSettings) -> MadeDesign:
    """A design for the groups of a config.

    The config's floors, fixed proportions and caps (as the target run has them) bound every mixture, except
    that one-hot runs are always of one group alone. Proportions are rounded to millionths.

    Args:
        source: of the config, to find its tokenised corpus; token counts are estimated where there is none.

    Raises:
        InputError: constraints that no mixture meets, or settings that leave fewer mixtures than runs.
    """
    tokens, estimated = _group_tokens(config, source)
    run_tokens = config.train.steps * config.train.batch * config.model.context
    target = settings.target_tokens or run_tokens
    region = _region(config, tokens, target, settings)
    made = _mixtures(config, tokens, region, settings)
    rounded = np.array([apportion(row, DIGITS) for row in made]).reshape(-1, region.m) / DIGITS
    earlier = np.empty((0, region.m)) if settings.augment is None else settings.augment
    if len(earlier):
        rounded = rounded[designs.distances(rounded, earlier).min(axis=1) > designs.SAME]
        if not len(rounded):
            raise InputError("all mixtures of this design are in the one to augment: nothing is left to run")
    mixtures = np.concatenate([earlier, rounded])
    between = designs.distances(mixtures, mixtures) + np.diag(np.full(len(mixtures), np.inf))
    return MadeDesign(
        mixtures=mixtures,
        groups=tuple(config.data.groups),
        suggested=designs.suggested_runs(int(region.free.sum())),
        closest=float(between.min()),
        epochs=mixtures.max(axis=0) * target / np.maximum(tokens, 1),
        target_tokens=target,
        estimated=estimated,
    )


def _mixtures(config: Config, tokens: Array, region: Region, settings: DesignSettings) -> Array:
    kind, seed, done = settings.kind, settings.seed, settings.augment
    runs = settings.runs or designs.suggested_runs(int(region.free.sum()))
    if kind == "one-hot":
        return designs.one_hot(region)
    if kind == "smoothed":
        return designs.smoothed(region, settings.focus)
    if kind == "grid":
        return designs.grid(designs.grid_steps(runs, region), region)
    if kind == "space":
        return designs.space_filling(runs, region, seed=seed, start=done)
    if kind == "optimal":
        found = optimal(settings.law, runs, region, criterion=settings.criterion, done=done, seed=seed)
        return found
    centre = _centre(config, tokens, settings)
    strengths = settings.strengths or designs.STRENGTHS
    return designs.dirichlet(centre, runs, region, strengths=strengths, seed=seed)


def _centre(config: Config, tokens: Array, settings: DesignSettings) -> Array:
    groups = tuple(config.data.groups)
    if settings.centre == "uniform":
        return np.full(len(groups), 1 / len(groups))
    if settings.centre == "natural":
        powers = (tokens / tokens.max()) ** (1 / settings.temperature)
        return powers / powers.sum()
    return as_proportions(read_plain(Path(settings.centre), "the centre of the design"), groups)


def _region(config: Config, tokens: Array, target: int, settings: DesignSettings) -> Region:
    if settings.kind == "one-hot":
        return Region.simplex(len(tokens))
    problem = replace(
        config.problem([int(count) for count in tokens]),
        total_steps=1,
        warmup_steps=0,
        step_tokens=target,
        constraints=replace(config.constraints, max_change=None),
    )
    lower, upper = Limits.of(problem).bounds(0, np.zeros(problem.m))
    return Region(lower, upper, settings.min_weight)


def _group_tokens(config: Config, source: Path) -> tuple[Array, bool]:
    """[m] tokens of whole training sequences, and whether they are estimated."""
    found = forecast(config, default_out(source, config.title), None, data_only=True)
    context, rows = (
        config.model.context,
        {row["name"]: row for row in found["data"] if row["role"] == "group"},
    )
    counts: Sequence[float] = [
        rows[name]["train_tokens"] // (context + 1) * context for name in config.data.groups
    ]
    return np.array(counts, dtype=np.float64), bool(found["estimated"])
