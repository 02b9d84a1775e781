"""Mixture reuse: groups that a change leaves alone keep their ratios, and only the rest is solved anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aioli.config import read_plain
from aioli.errors import InputError
from aioli.protocol import Array
from aioli.solvers.reuse import KEPT, Reuse
from aioli.static_law import ConvexLosses, FittedLaw

__all__ = ["CollapsedLaw", "describe_reuse", "read_reuse"]


@dataclass(frozen=True, eq=False)
class CollapsedLaw:
    """A law of m groups read on the mixtures that keep the ratios of a `Reuse`: 1 + a proportions."""

    law: FittedLaw
    reuse: Reuse

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses on collapsed mixtures [k, 1 + a]."""
        return self.law.predict(self.reuse.expand(mixtures), size, tokens)

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """The collapsed losses; None where the law is not convex, or not in a form that collapses."""
        losses = self.law.convex(size, tokens)
        if losses is None or losses.powers is not None or losses.inverses is not None:
            return None
        return self.reuse.losses(losses)

    def to_json(self) -> dict[str, Any]:
        """That of the law of all groups."""
        return self.law.to_json()


def read_reuse(
    path: Path,
    groups: Sequence[str],
    *,
    parents: Mapping[str, tuple[str, ...]] | None = None,
    revised: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> Reuse:
    """What an old solution leaves for a fit on these groups.

    Args:
        path: a solution, or any file of proportions by group.
        groups: those of the fit: all groups after the change, or `KEPT` and the affected ones, where the runs
            kept the old ratios.
        parents: new group -> the old ones that it is made of. revised: groups to choose anew although they
            stay. removed: old groups that are gone; a fit on all groups says so itself.

    Raises:
        InputError: no such file, unknown names, no group that stays.
    """
    before = _read(path)
    known = parents or {}
    for name in removed:
        if name not in before:
            raise InputError(f"{path} has no group {name!r} that could be removed")
    if KEPT not in groups:
        stray = [name for name in removed if name in groups]
        if stray:
            raise InputError(f"{stray[0]!r} is said to be removed, and the fit has it")
        return Reuse.of(before, groups, known, revised)
    affected = [name for name in groups if name != KEPT]
    consumed = {old for olds in known.values() for old in olds}
    stay = [name for name in before if name not in consumed and name not in removed and name not in affected]
    again = [name for name in affected if name in before and name not in known]
    found = Reuse.of(before, (*stay, *affected), known, [*again, *revised])
    if found.collapsed_groups != tuple(groups):
        raise InputError(
            f"the fit has the groups {', '.join(groups)}, the change {', '.join(found.collapsed_groups)}"
        )
    return found


def describe_reuse(reuse: Reuse, proportions: Array) -> dict[str, Any]:
    """What was frozen and what was solved for: {kept: {share, ratios}, affected: {group: share}}."""
    ratios = {name: float(r) for name, r in zip(reuse.groups, reuse.ratios, strict=True) if r > 0}
    shares = dict(zip(reuse.groups, proportions.tolist(), strict=True))
    total = float(np.sum([shares[name] for name in ratios]))
    return {
        "kept": {"share": total, "ratios": ratios},
        "affected": {name: shares[name] for name in reuse.affected},
    }


def _read(path: Path) -> dict[str, float]:
    content = read_plain(path, "the old mixture")
    found = content.get("proportions", content) if isinstance(content, dict) else content
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: expected proportions by group, as `aioli solve` writes them")
    try:
        read = {str(name): float(value) for name, value in found.items()}
    except (TypeError, ValueError):
        raise InputError(f"{path}: proportions must be numbers, got {found!r:.200}") from None
    if min(read.values()) < 0 or abs(sum(read.values()) - 1) > 1e-3:
        raise InputError(f"{path}: proportions must be >= 0 and sum to 1, got {sum(read.values()):.6g}")
    return read
