"""What is exported: proportions of tokens by group, and what a trainer may ask beside them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from aioli.errors import InputError, MixingWarning
from aioli.protocol import Array, read_only
from aioli.simplex import as_proportions

__all__ = ["LEAST", "Blend", "Entry", "Stage", "entries", "present", "require"]

LEAST = 1e-9
"""Shares below this are written as none: a thousand tokens of a trillion."""

OPTIONS = {
    "paths": "where its files are: give --paths FILE.yaml or --config CONFIG",
    "tokens": "how many tokens it has: give --tokens FILE.yaml, or --tokens with a tokenised corpus",
    "lengths": "its mean number of tokens per example: give --lengths with a number for all groups, "
    "FILE.yaml, or a tokenised corpus",
}
"""What a format may need for every group, and the options that give it."""


@dataclass(frozen=True)
class Stage:
    """Proportions [m] from `step` on (0 the first)."""

    step: int
    proportions: Array


@dataclass(frozen=True)
class Entry:
    """One dataset of a trainer: a group, or one of its several paths, with its share of all tokens.

    Attributes:
        name: the group's; of several paths with `-2`, `-3` ... behind it. path: empty when none is known.
        tokens, length: as `Blend.tokens` and `Blend.lengths` have them; None when not known.
    """

    name: str
    group: str
    path: str
    share: float
    tokens: float | None = None
    length: float | None = None


@dataclass(frozen=True, eq=False)
class Blend:
    """A mixture to hand to a trainer.

    Attributes:
        groups: [m] names. proportions: [m] shares of tokens, summing to 1; the mean of the stages if any.
        paths: files of a group, each with its tokens (None: not known); in the trainer's own spelling.
        tokens: available in a group. lengths: mean tokens of an example of a group.
        stages: proportions over the steps, the first from step 0; None: constant.
        steps: of the schedule; batch: sequences a step; budget: tokens to train. None: not known.

    Raises:
        InputError: proportions that do not fit the groups, names that are empty or not text, sizes or
            lengths that are not positive, stages out of order.
    """

    groups: tuple[str, ...]
    proportions: Array
    paths: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    tokens: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)
    stages: tuple[Stage, ...] | None = None
    steps: int | None = None
    batch: int | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        for name in (*self.groups, *(path for paths in self.paths.values() for path in paths)):
            _check_text(name)
        if len(set(self.groups)) < len(self.groups):
            raise InputError(f"group names must be unique, got {', '.join(self.groups)}")
        object.__setattr__(self, "proportions", _shares(self.proportions, self.groups))
        for what, values in (("tokens", self.tokens), ("lengths", self.lengths)):
            for group, value in values.items():
                if not 0 <= value < np.inf or (what == "lengths" and value == 0):
                    raise InputError(f"{what} of group {group!r} must be a positive number, got {value}")
        for what in ("steps", "batch", "budget"):
            value = getattr(self, what)
            if value is not None and not 0 < value < np.inf:
                raise InputError(f"{what} must be a positive number, got {value}")
        if self.stages is not None:
            self._check_stages(self.stages)

    def _check_stages(self, stages: tuple[Stage, ...]) -> None:
        starts = [stage.step for stage in stages]
        if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
            raise InputError(f"stages must begin at step 0 and follow each other, got {starts}")
        if self.steps is None or self.steps <= starts[-1]:
            raise InputError(f"a schedule needs steps beyond the last stage's start {starts[-1]}")
        whole = tuple(Stage(s.step, _shares(s.proportions, self.groups)) for s in stages)
        object.__setattr__(self, "stages", whole)

    def constant(self, why: str) -> Blend:
        """The same without stages; warns that the mean stands for them, and `why`."""
        if self.stages is None:
            return self
        warnings.warn(f"{why}; the mean of its proportions is written", MixingWarning, stacklevel=2)
        return replace(self, stages=None)


def _shares(values: Array, groups: tuple[str, ...]) -> Array:
    """Checked and summing to 1; what does already stays as it is, so that 0.7 is written as 0.7."""
    p = as_proportions(values, groups)
    given = np.asarray(values, dtype=np.float64)
    return read_only(given if abs(given.sum() - 1) < 1e-12 else p)


def _check_text(name: str) -> None:
    try:
        sound = isinstance(name, str) and name.strip() and "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        sound = False
    if not sound:
        raise InputError(f"names of groups and paths must be text that can be written, got {name!r}")


def present(blend: Blend) -> dict[str, float]:
    """Groups with a share, renormalised; those below `LEAST` are left out, with a warning unless zero."""
    ever = blend.proportions
    for stage in blend.stages or ():
        ever = np.maximum(ever, stage.proportions)
    tiny = [group for group, p in zip(blend.groups, ever, strict=True) if 0 < p < LEAST]
    if tiny:
        warnings.warn(
            f"left out, with less than {LEAST:g} of the tokens: {', '.join(tiny)}",
            MixingWarning,
            stacklevel=2,
        )
    kept = {
        group: float(p)
        for group, p, most in zip(blend.groups, blend.proportions, ever, strict=True)
        if most >= LEAST
    }
    total = sum(kept.values())
    return {group: p / total for group, p in kept.items()}


def require(blend: Blend, what: str, groups: Mapping[str, float]) -> None:
    """Check that "paths", "tokens" or "lengths" are known of every one of `groups`.

    Raises:
        InputError: some are missing; the message says which option gives them.
    """
    known: Mapping[str, object] = getattr(blend, what)
    missing = [group for group in groups if not known.get(group)]
    if missing:
        more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"of group {missing[0]!r}{more} the format needs {OPTIONS[what]}")


def entries(blend: Blend) -> list[Entry]:
    """One entry a path of every group present; a group without paths is one entry.

    Several paths of a group share its tokens in proportion to their own.

    Raises:
        InputError: a group with several paths whose tokens are not all known.
    """
    found: list[Entry] = []
    for group, share in present(blend).items():
        paths = blend.paths.get(group) or {"": None}
        sizes = list(paths.values())
        if len(paths) > 1 and not all(sizes):
            raise InputError(
                f"group {group!r} has {len(paths)} paths, and this format gives each a weight of its own: "
                "say in --paths how many tokens each has, as in {web: {a: 2e9, b: 5e9}}"
            )
        total = sum(size or 1 for size in sizes)
        for number, (path, size) in enumerate(paths.items(), start=1):
            name = group if number == 1 else f"{group}-{number}"
            part = (size or 1) / total
            tokens = size if size is not None else blend.tokens.get(group)
            found.append(Entry(name, group, path, share * part, tokens, blend.lengths.get(group)))
    _refuse_same_names(found)
    return found


def _refuse_same_names(found: list[Entry]) -> None:
    names = [entry.name for entry in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"two datasets would be called {twice[0]!r}: rename that group, or join its paths")
