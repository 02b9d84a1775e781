"""Reasons not to trust a fit, as sentences with numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aioli.fitting.assess import Scores, spearman_columns
from aioli.laws.static.held_out import mixture_of
from aioli.protocol import Array
from aioli.static_law import FittedLaw, StaticLaw
from aioli.table import Table

__all__ = ["doubts", "doubts_of_fit", "doubts_of_table"]

RUNS_A_NUMBER = 2
LARGEST_CONDITION = 30.0
LEAST_R2 = 0.5
LEAST_AGREEMENT = 0.8
LARGEST_NOISE = 0.5
CONFOUNDED = 0.3
"""Share of the weakest direction from which a group is named as confounded."""


def doubts(
    table: Table,
    law: StaticLaw,
    fitted: FittedLaw,
    replicates: Sequence[FittedLaw],
    scores: Scores | None,
    weights: Array,
) -> tuple[str, ...]:
    """All reasons, those of the table first; weights [n] of the targets."""
    of_fit = doubts_of_fit(table, law, fitted, replicates, scores, weights)
    return (*doubts_of_table(table), *of_fit)


def doubts_of_table(table: Table) -> list[str]:
    """Groups that never vary or move together, targets that never vary, noise between repetitions."""
    return [*_constant(table), *_confounded(table), *_noisy(table)]


def doubts_of_fit(
    table: Table,
    law: StaticLaw,
    fitted: FittedLaw,
    replicates: Sequence[FittedLaw],
    scores: Scores | None,
    weights: Array,
) -> list[str]:
    """Too few runs, scales that the law does not read, poor held-out scores, replicates that disagree."""
    return [
        *_few_runs(table, law),
        *_unread_scale(table, law, fitted),
        *_poor(table, law, scores),
        *_disagreeing(table, fitted, replicates, weights),
    ]


def _constant(table: Table) -> list[str]:
    told = [
        f"group {group} has the share {values[0]:.4g} in every run: what it does cannot be told"
        for group, values in zip(table.groups, table.mixtures.T, strict=True)
        if np.ptp(values) < 1e-9
    ]
    same = [name for name, losses in zip(table.targets, table.losses.T, strict=True) if not np.ptp(losses)]
    return told + [f"target {name} has the same loss in every run: check the column" for name in same]


def _confounded(table: Table) -> list[str]:
    """The direction in which standardised shares vary least, apart from the sum that is always 1."""
    varies = np.flatnonzero(np.ptp(table.mixtures, axis=0) >= 1e-9)
    distinct = int(mixture_of(table).max()) + 1
    if varies.size < 3:
        return []
    if distinct < varies.size:
        return [
            f"there are {distinct} distinct mixtures of {varies.size} groups that vary: at least "
            f"{varies.size} are needed to tell their effects apart"
        ]
    deviation = table.mixtures[:, varies].std(axis=0)
    standard = (table.mixtures[:, varies] - table.mixtures[:, varies].mean(axis=0)) / deviation
    always = deviation / np.linalg.norm(deviation)
    values, vectors = np.linalg.eigh(
        standard.T @ standard / len(table) + len(varies) * np.outer(always, always)
    )
    condition = float(np.sqrt(values[-2] / max(values[0], 1e-18)))
    if condition <= LARGEST_CONDITION:
        return []
    names = [table.groups[varies[one]] for one in np.flatnonzero(np.abs(vectors[:, 0]) > CONFOUNDED)]
    return [
        f"the shares of {', '.join(names)} move together in these runs (condition number {condition:.3g}, "
        f"{LARGEST_CONDITION:g} is acceptable): their effects cannot be told apart; add runs that part them"
    ]


def _noisy(table: Table) -> list[str]:
    """Standard deviation within repetitions against that between mixtures."""
    if any(scale is not None and np.ptp(scale) > 0 for scale in (table.size, table.tokens)):
        return []
    which = mixture_of(table)
    counts = np.bincount(which)
    spare = len(table) - len(counts)
    if spare == 0 or len(counts) < 2:
        return []
    means = np.stack([np.bincount(which, losses) / counts for losses in table.losses.T], axis=1)
    within = np.sqrt(((table.losses - means[which]) ** 2).sum(axis=0) / spare)
    between = means.std(axis=0, ddof=1)
    return [
        f"repetitions of one mixture differ by {within[one]:.3g} nats (standard deviation) on {name}, "
        f"mixtures by {between[one]:.3g}: train longer, or average more repetitions"
        for one, name in enumerate(table.targets)
        if within[one] > LARGEST_NOISE * between[one] > 0
    ]


def _few_runs(table: Table, law: StaticLaw) -> list[str]:
    numbers = law.parameters(table.m)
    if numbers is None or len(table) >= RUNS_A_NUMBER * numbers:
        return []
    return [
        f"{len(table)} runs for {numbers} numbers a target (law {law.name}): at least "
        f"{RUNS_A_NUMBER * numbers} are advised"
    ]


def _unread_scale(table: Table, law: StaticLaw, fitted: FittedLaw) -> list[str]:
    told: list[str] = []
    for what in ("size", "tokens"):
        scale = getattr(table, what)
        if scale is None or scale.max() <= 1.01 * scale.min():
            continue
        ends = np.array([scale.min(), scale.max()])
        given = {"size": table.size, "tokens": table.tokens}
        given = {key: None if values is None else np.full(2, values[0]) for key, values in given.items()}
        told_losses = fitted.predict(table.mixtures[[0, 0]], **(given | {what: ends}))
        if np.array_equal(told_losses[0], told_losses[1]):
            told.append(
                f"the runs differ in {what} ({ends[0]:g} to {ends[1]:g}) and the law {law.name} does not "
                "read it: fit joint, or extrapolate the runs to one scale first"
            )
    return told


def _poor(table: Table, law: StaticLaw, scores: Scores | None) -> list[str]:
    if scores is None:
        return [f"no run could be held out: with {len(table)} runs nothing checks the law {law.name}"]
    means = dict(zip(scores.columns, scores.r2.mean(axis=0), strict=True))
    poor = {name: value for name, value in means.items() if value < LEAST_R2}
    if not poor:
        return []
    worst = sorted(poor.items(), key=lambda one: one[1])[:5]
    listed = ", ".join(f"{name} {value:.2f}" for name, value in worst)
    more = f" and {len(poor) - 5} more" if len(poor) > 5 else ""
    return [
        f"on held-out runs the law {law.name} explains little of the variance (R2 below {LEAST_R2}): "
        f"{listed}{more}"
    ]


def _disagreeing(
    table: Table, fitted: FittedLaw, replicates: Sequence[FittedLaw], weights: Array
) -> list[str]:
    """Mean rank correlation of the replicates' objective with the fit's, over the trained mixtures."""
    if not replicates or len(table) < 3:
        return []
    at = (table.mixtures, table.size, table.tokens)
    fit = (fitted.predict(*at) @ weights)[:, None]
    each = np.column_stack([one.predict(*at) @ weights for one in replicates])
    ranks = spearman_columns(each, np.broadcast_to(fit, each.shape))
    agreement = float(np.nan_to_num(ranks).mean())
    if agreement >= LEAST_AGREEMENT:
        return []
    return [
        f"laws refitted to reweighted runs rank the mixtures differently (mean rank correlation "
        f"{agreement:.2f} with the fit, {LEAST_AGREEMENT} is acceptable): more runs are needed"
    ]
