"""Which runs count where seeds are added until decided: those that the rule had asked for, and no others.

So results follow from the rule and the runs' numbers alone: not from the order in which runs ended, nor from
interruptions, nor from runs that happen to be there for another reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aioli.analysis.runs import Result, Runs, by_label
from aioli.analysis.sequential import Decision, Stopping
from aioli.protocol import Array

__all__ = ["changes_of", "counted", "decisions", "percent_changes", "standings"]


def percent_changes(ours: Array, theirs: Array) -> Array:
    """[seeds] percent changes of mean test perplexity, from values [seeds, n] of two methods."""
    return 100 * (ours.mean(axis=1) / theirs.mean(axis=1) - 1)


def decisions(
    labels: Mapping[str, Runs], reference: Runs, order: Sequence[int], rule: Stopping
) -> dict[str, Decision]:
    """Where every method but the reference stands, looked at after each of its seeds in their order."""
    found: dict[str, Decision] = {}
    for label, runs in labels.items():
        if runs is reference:
            continue
        found[label] = rule.decision(_by_seed(runs, reference, order))
    return found


def changes_of(runs: Runs, reference: Runs, seeds: Sequence[int]) -> list[float]:
    """The percent changes over those of the seeds that both have finished, in their order."""
    return [change for change in _by_seed(runs, reference, seeds) if change is not None]


def _by_seed(runs: Runs, reference: Runs, seeds: Sequence[int]) -> list[float | None]:
    shared = [seed for seed in seeds if seed in runs.finished and seed in reference.finished]
    if not shared:
        return [None] * len(seeds)
    ours, theirs = (each.values(shared, "perplexity") for each in (runs, reference))
    known = dict(zip(shared, percent_changes(ours, theirs).tolist(), strict=True))
    return [known.get(seed) for seed in seeds]


def standings(
    results: Sequence[Result], baseline: str, order: Sequence[int], rule: Stopping
) -> dict[str, Decision]:
    """The same from results as `result.json` holds them; empty while the baseline has none."""
    labels = by_label(results)
    return decisions(labels, labels[baseline], order, rule) if baseline in labels else {}


def counted(
    found: Mapping[str, Decision], order: Sequence[int], baseline: str, labels: Sequence[str]
) -> dict[str, set[int]]:
    """The seeds of each label that count: until it was decided; of the baseline as many as of any other."""
    seeds = {label: set(order[: found[label].seeds] if label in found else order) for label in labels}
    others = [seeds[label] for label in labels if label != baseline]
    return seeds | ({baseline: set[int]().union(*others)} if others else {})
