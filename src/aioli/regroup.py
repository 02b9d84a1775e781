"""Groups that come and go: where new ones come from, and how what was known of the old ones carries over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array, Problem, read_only
from aioli.simplex import apportion

__all__ = ["Regroup", "Regroupable", "carry_state", "check_parents", "filled", "removed_tokens"]

S = TypeVar("S")
CONSTANT = ("total_steps", "step_tokens", "warmup_steps", "objective", "seed")


@dataclass(frozen=True)
class Regroup:
    """A change of a run's groups or targets between two steps.

    Whatever is known about the old groups is carried over by three rules. What adds up (counts) is divided
    among the children of a group by their tokens, and summed over the parents of one. What does not (losses,
    rewards) is inherited, from several parents as the mean weighted by their tokens. Proportions are divided
    and summed, too: an added group enters at its equal share, the others share the rest in their old ratios.

    Attributes:
        old, new: the run before and after.
        step: optimiser steps completed.
        parents: new group -> old groups that it comes from. A group not named comes from the old one of
            its name, or from nowhere: then it is added.

    Raises:
        InputError: unknown names, a change of anything but groups and targets, or no old group continued.
    """

    old: Problem
    new: Problem
    step: int = 0
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_parents(self.old.groups, self.new.groups, self.parents)
        for what in CONSTANT:
            before, now = getattr(self.old, what), getattr(self.new, what)
            if before != now:
                raise InputError(f"groups can change during a run, {what} cannot: it was {before}, is {now}")
        known = {g: (g,) if g in self.old.groups else () for g in self.new.groups}
        named = {g: tuple(dict.fromkeys(given)) for g, given in self.parents.items()}
        object.__setattr__(self, "parents", known | named)

    @property
    def removed(self) -> tuple[str, ...]:
        """Old groups that no new one comes from."""
        kept = {parent for parents in self.parents.values() for parent in parents}
        return tuple(name for name in self.old.groups if name not in kept)

    @cached_property
    def _links(self) -> Array:
        """[new m, old m] 1 where a new group comes from an old one that had data."""
        rows = [[float(old in self.parents[new]) for old in self.old.groups] for new in self.new.groups]
        return read_only(np.array(rows) * self.old.available)

    @cached_property
    def fresh(self) -> Array:
        """[new m] True for groups that nothing is known of: added, or without data before."""
        return read_only(self._links.sum(axis=1) == 0)

    @cached_property
    def shares(self) -> Array:
        """[new m, old m] the part of each old group that a new one has, by tokens; columns sum to 1 or 0."""
        weights = self._links * np.asarray(self.new.group_tokens, dtype=np.float64)[:, None]
        weights = np.where(weights.sum(axis=0) > 0, weights, self._links)
        return read_only(weights / np.maximum(weights.sum(axis=0), 1e-300))

    def proportions(self, p: Array) -> Array:
        """[new m] proportions from old ones [old m]: ratios kept, an added group at its equal share."""
        carried = np.where(self.new.available, self.shares @ p, 0.0)
        entering = self.fresh & self.new.available
        if not carried.sum() > 0:
            return self.new.uniform
        rest = 1 - float(self.new.uniform[entering].sum())
        mixed = np.where(entering, self.new.uniform, rest * carried / carried.sum())
        return mixed / mixed.sum()

    def counts(self, values: Array) -> Array:
        """[new m] whole numbers from whole numbers [old m]: divided by tokens (largest remainder), summed."""
        parts = [
            apportion(self.shares[:, old], int(n))
            for old, n in enumerate(values)
            if self.shares[:, old].any()
        ]
        return np.sum(parts, axis=0) if parts else np.zeros(self.new.m)

    def groups(self, values: Array) -> Array:
        """[..., new m] what is inherited, from values [..., old m]; NaN is unknown and stays so."""
        return _means(values, self._links * np.asarray(self.old.group_tokens))

    def targets(self, values: Array) -> Array:
        """[new n, ...] what is inherited along targets, from values [old n, ...]; NaN is unknown."""
        return np.moveaxis(_means(np.moveaxis(values, 0, -1), self._target_links), -1, 0)

    def matrix(self, values: Array) -> Array:
        """[new n, new m] from a matrix [old n, old m]; NaN is unknown."""
        return self.targets(self.groups(values))

    @cached_property
    def _target_links(self) -> Array:
        """[new n, old n] weights: as the groups' where targets are the groups, else 1 for the same name."""
        if self.old.targets_are_groups and self.new.targets_are_groups:
            return self._links * np.asarray(self.old.group_tokens)
        rows = [[float(old == new) for old in self.old.targets] for new in self.new.targets]
        return read_only(np.array(rows))


def check_parents(old: Sequence[str], new: Sequence[str], parents: Mapping[str, Sequence[str]]) -> None:
    """Refuse parents that do not exist, and new groups that none of the old ones goes on in.

    Raises:
        InputError: so.
    """
    for name, given in parents.items():
        if name not in new:
            raise InputError(
                f"{name!r}, said to come from {', '.join(given)}, is not among the new groups; "
                f"{nearest(name, new)}"
            )
        for parent in given:
            if parent not in old:
                raise InputError(
                    f"{name!r} cannot come from {parent!r}, which is not a group of the run; "
                    f"{nearest(parent, old)}"
                )
    if not any(parents.get(name, name in old) for name in new):
        raise InputError(
            f"the change would remove all groups of the run ({', '.join(old)}): keep one, or say which of "
            "them each new one comes from"
        )


def removed_tokens(
    old: Problem, groups: Sequence[str], parents: Mapping[str, Sequence[str]], step: int, drawn: Array
) -> int:
    """`Problem.removed_tokens` after a change to new `groups`, `step` steps having drawn `drawn` [old m]."""
    kept = {parent for name in groups for parent in parents.get(name, (name,))}
    gone = sum(count for name, count in zip(old.groups, drawn.tolist(), strict=True) if name not in kept)
    trained = step * old.step_tokens - old.removed_tokens
    return old.removed_tokens + round(trained * gone / max(float(drawn.sum()), 1.0))


def _means(values: Array, weights: Array) -> Array:
    """[..., k] weighted means over the last axis of `values` [..., l], `weights` [k, l]; NaN is left out."""
    known = ~np.isnan(values)
    total = known.astype(np.float64) @ weights.T
    sums = np.where(known, values, 0.0) @ weights.T
    return np.where(total > 0, sums / np.maximum(total, 1e-300), np.nan)


def filled(values: Array) -> Array:
    """Values with the mean of the known ones along the last axis in the place of NaN; 0 where none is known.

    >>> filled(np.array([1.0, np.nan, 3.0]))
    array([1., 2., 3.])
    """
    known = ~np.isnan(values)
    sums = np.where(known, values, 0.0).sum(axis=-1, keepdims=True)
    return np.where(known, values, sums / np.maximum(known.sum(axis=-1, keepdims=True), 1))


@runtime_checkable
class Regroupable(Protocol[S]):
    """A method, or a part of one, that can go on with other groups; asked for by `carry_state`.

    `regroup` is pure, as `update` is: from the state in the run `change.old` to that in `change.new`, at
    `change.step`. The segment that the change cuts short ends unmeasured; the method never hears of it.
    """

    def regroup(self, change: Regroup, state: S) -> S: ...


def carry_state(method: Any, change: Regroup, state: Any) -> Any:
    """The state with which `method` goes on after a change.

    That is what its `regroup` says, with `step`, where the state has such a field, set to the present one. A
    method without `regroup` whose state is nothing but `step` has learned nothing: it starts anew there.

    Raises:
        InputError: settings that do not fit the new groups, or a method that has learned something and cannot
            say what of it still holds.
    """
    carried = method.init(change.new)  # refuses settings that do not fit
    if isinstance(method, Regroupable):
        carried = method.regroup(change, state)
    elif getattr(state, "_fields", None) != ("step",):
        raise InputError(
            f"{type(method).__name__} cannot go on with other groups: it has no `regroup`, and what it has "
            "learned belongs to the old ones; finish the run as it is, or start another"
        )
    return carried._replace(step=change.step) if "step" in getattr(carried, "_fields", ()) else carried
