"""How much of a method's change the mixture that it drew explains, by the law of the setting's sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.paper_study.differences import BASELINE, Line, perplexities, triple

from aioli.fitting.registry import build_law
from aioli.protocol import Array
from aioli.table import Table

__all__ = ["explained", "sweep_table"]


def sweep_table(lines: Sequence[Line], losses: str = "validation") -> Table:
    """The runs of a sweep with the losses after the last step, on text of "validation" or "test"."""
    found = [line["test"]["loss"] if losses == "test" else line["validation"]["end"] for line in lines]
    return Table(
        groups=tuple(lines[0]["groups"]),
        names=tuple(line["label"] for line in lines),
        mixtures=drawn_shares(lines),
        targets=tuple(lines[0]["targets"]),
        losses=np.array(found),
    )


def drawn_shares(lines: Sequence[Line]) -> Array:
    """[runs, m] shares of the sequences that each run drew, probes included."""
    drawn = np.array([line["drawn"] for line in lines], dtype=np.float64)
    return drawn / drawn.sum(axis=1, keepdims=True)


def explained(
    compared: Mapping[str, Sequence[Line]], sweeps: Mapping[str, Sequence[Line]]
) -> dict[str, dict[str, Any]]:
    """By method over the settings with a sweep: change in percent, what its mixtures predict, and the rest.

    The prediction is that of a log-linear law fitted to the sweep's test losses, for the share of every group
    over the whole run, against the equal mixture. What is left is the order in which groups were drawn
    (probes above all), what the law gets wrong, and noise, that of stratified included, which all methods
    share. Means over settings are taken for each seed first.
    """
    by_method: dict[str, list[tuple[dict[int, float], dict[int, float]]]] = {}
    for name, lines in compared.items():
        if name in sweeps:
            for label, pair in _of_setting(lines, sweeps[name]).items():
                by_method.setdefault(label, []).append(pair)
    return {label: _overall(pairs) for label, pairs in by_method.items()}


def _of_setting(
    lines: Sequence[Line], sweep: Sequence[Line]
) -> dict[str, tuple[dict[int, float], dict[int, float]]]:
    """By method: the change by seed, and the predicted one, both in percent of perplexity."""
    law = build_law("log_linear").fit(sweep_table(sweep, "test"), seed=0)
    m = len(lines[0]["groups"])
    predicted = np.exp(law.predict(drawn_shares(lines))).mean(axis=1)
    equal = float(np.exp(law.predict(np.full((1, m), 1 / m))).mean())
    levels = perplexities(lines)
    found: dict[str, tuple[dict[int, float], dict[int, float]]] = {}
    for line, value in zip(lines, predicted, strict=True):
        label, seed = line["label"], line["seed"]
        if label != BASELINE and seed in levels[BASELINE]:
            measured, told = found.setdefault(label, ({}, {}))
            measured[seed] = 100 * (levels[label][seed] / levels[BASELINE][seed] - 1)
            told[seed] = 100 * (float(value) / equal - 1)
    return found


def _overall(pairs: Sequence[tuple[Mapping[int, float], Mapping[int, float]]]) -> dict[str, Any]:
    seeds = sorted(set.intersection(*(set(measured) for measured, _ in pairs)))
    measured, told = (
        np.array([[pair[k][seed] for seed in seeds] for pair in pairs]).mean(axis=0) for k in (0, 1)
    )
    return {
        "settings": len(pairs),
        "change": triple(measured),
        "by_mixture": triple(told),
        "rest": triple(measured - told),
    }
