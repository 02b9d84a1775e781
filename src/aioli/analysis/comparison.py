"""From finished runs to `results.json`: methods compared by seed against a baseline.

Every number about a method is first computed for each seed (the mean over targets where it says mean),
then summarised over seeds. Differences are paired: only seeds that both methods finished count.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from aioli.analysis.extra import ASSUMPTION, TOTALS
from aioli.analysis.intervals import Interval
from aioli.analysis.ledger import data_ledger
from aioli.analysis.noise import noise_of
from aioli.analysis.reading import is_decided, write_reading
from aioli.analysis.runs import METRICS, Result, Runs, by_label, check_comparable, label_of
from aioli.analysis.sequential import Decision, Stopping, sequence_interval
from aioli.analysis.statistics import interval
from aioli.analysis.stopped import counted, decisions, percent_changes
from aioli.analysis.tidy import write_csv
from aioli.errors import InputError, nearest
from aioli.protocol import Array

__all__ = ["CLAIM_SEEDS", "DEFAULT_BASELINE", "compare_runs", "write_csv"]

DEFAULT_BASELINE = "stratified"
CLAIM_SEEDS = 5
COSTS = ("train_tokens", "evaluation_tokens", "test_tokens", "probe_steps", "flops", "joules", "seconds")
KEPT = ("seed", "curve", "proportions", "matrices", "epochs", "drawn", "deviation", "test", "cost")
KEPT_IF_ANY = ("changes", "evaluation_sequences", "warnings", "mixture", "inputs", "extra", "trust")
ASSUMPTIONS = {
    "intervals": (
        "Two-sided 95% Student t intervals over seeds; differences are paired by seed. "
        "Each interval stands alone: none is corrected for the number of methods compared."
    ),
    "perplexity": "Mean test perplexity is the plain mean over targets of exp(test loss in nats per token).",
    "detectable": (
        "The smallest true change of mean test perplexity that as many seeds, as noisy as these, show (95% "
        "interval excluding zero) four times out of five; below it how many seeds would show the measured "
        "change as often."
    ),
}
STOPPED = {
    "stopping": (
        "Seeds were added to each method until its interval was decided: excluding zero, or within "
        "{margin:g}% of it. Intervals of differences are t confidence sequences for that reason: each holds "
        "the true difference at all numbers of seeds together with probability {level:g}%, so that seeds may "
        "be added after a look, and is wider than one for a number fixed before. A run after the decision "
        "does not count."
    ),
    "detectable": (
        "The smallest true change of mean test perplexity for which as many seeds, as noisy as these, give a "
        "confidence sequence that excludes zero four times out of five; below it after how many "
        "seeds it is decided if the measured change and its spread stay as they are."
    ),
}


def compare_runs(
    results: Sequence[Result],
    baseline: str | None = None,
    corpus_index: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    citations: Mapping[str, str] | None = None,
    failures: Sequence[Mapping[str, Any]] = (),
    stopping: Stopping | None = None,
    order: Sequence[int] = (),
    created: str | None = None,
) -> dict[str, Any]:
    """Summarise run results into the content of `results.json` (plain JSON values, no NaN).

    Args:
        results: one dict for each run, as `result.json` holds them, those that read other runs with what
            `aioli.analysis.extra.with_extra` adds; their order decides the methods' order.
        baseline: label every method is compared with; None: "stratified" where it was run, else nothing
            is compared.
        corpus_index: index of the tokenised corpus, for the table of data.
        config: resolved configuration, kept in the results as it is.
        citations: where each method (by its name in the registry) was published.
        failures: {label, seed, message} of every run that did not finish; named in the reading, as are
            runs whose test loss is not finite.
        stopping: the rule by which seeds were added, None where their number was fixed before.
        order: the seeds in the order in which they were added; those not named follow.
        created: ISO 8601 time stamp; None: now, in UTC.

    Raises:
        InputError: no runs, runs that cannot be compared (other groups, targets, steps, model or test
            sets), the same method and seed twice, or a baseline that was not run.
    """
    check_comparable(results)
    labels = by_label(results)
    reference = _find_baseline(labels, baseline)
    seeds = sorted({int(run["seed"]) for run in [*results, *failures]})
    found: dict[str, Decision] = {}
    wanted: dict[str, set[int]] = {}
    if stopping and reference:
        order = [*order, *(seed for seed in seeds if seed not in order)]
        found = decisions(labels, reference, order, stopping)
        told = [str(run["label"]) for run in failures]
        wanted = counted(found, order, reference.label, [*labels, *told])
        results = [run for run in results if int(run["seed"]) in wanted[label_of(run)]]
        failures = [run for run in failures if int(run["seed"]) in wanted[str(run["label"])]]
        labels = by_label(results)
        reference = labels[reference.label]
    methods = [
        _summarise(
            runs,
            reference,
            [seed for seed in seeds if seed in wanted.get(runs.label, seeds)],
            citations or {},
            stopping,
        )
        for runs in labels.values()
    ]
    for method in methods:
        if method["label"] in found:
            method["decided"] = found[method["label"]]._asdict()
    content = _frame(results, dict(config or {}), created) | {
        "baseline": reference.label if reference else None,
        "stopping": {**asdict(stopping), "seeds": list(order)} if stopping else None,
        "illustration": _is_illustration(methods),
        "data": data_ledger(results[0]["groups"], results[0]["targets"], corpus_index),
        "methods": methods,
        "failures": [*map(dict, failures), *_diverged(labels)],
    }
    if stopping:
        level = {"margin": stopping.margin, "level": 100 * (1 - stopping.alpha)}
        content["assumptions"] |= {key: text.format(**level) for key, text in STOPPED.items()}
    return content | {"reading": write_reading(content)}


def _frame(results: Sequence[Result], settings: dict[str, Any], created: str | None) -> dict[str, Any]:
    """What the runs share, and the runs themselves."""
    first = results[0]
    return {
        "version": 1,
        "title": settings.get("title") or "Comparison of data mixtures",
        "created": created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "groups": list(first["groups"]),
        "targets": list(first["targets"]),
        "objective": settings.get("objective"),
        "steps": first["steps"],
        "parameters_count": first.get("parameters_count"),
        "runs": {str(result["id"]): _kept(result) for result in results},
        "machines": _distinct(result.get("machine") for result in results),
        "config": settings,
        "assumptions": ASSUMPTIONS | _assumptions(results) | _extra_assumption(results),
    }


def _diverged(labels: Mapping[str, Runs]) -> list[dict[str, Any]]:
    """Runs that ended with test losses nobody can compare, as failures."""
    return [
        {"label": runs.label, "seed": seed, "message": message}
        for runs in labels.values()
        for seed, message in runs.failed.items()
    ]


def _find_baseline(labels: Mapping[str, Runs], baseline: str | None) -> Runs | None:
    if baseline is None:
        return labels.get(DEFAULT_BASELINE)
    if baseline not in labels:
        raise InputError(
            f"the baseline {baseline!r} is not among the methods that were run; {nearest(baseline, labels)}"
        )
    return labels[baseline]


def _describe(values: Array, stopping: Stopping | None = None) -> dict[str, Any]:
    """Summary of values [seeds, n]: their mean over targets, and each target."""
    targets = [_interval(column, stopping)._asdict() for column in values.T]
    return _interval(_mean_over_targets(values), stopping)._asdict() | {"per_target": targets}


def _interval(values: Array, stopping: Stopping | None) -> Interval:
    """The interval that the way in which seeds were added calls for."""
    return interval(values) if stopping is None else sequence_interval(values, stopping.alpha)


def _mean_over_targets(values: Array) -> Array:
    return values.mean(axis=1) if values.size else np.empty(0)


def _summarise(
    runs: Runs,
    reference: Runs | None,
    every_seed: Sequence[int],
    citations: Mapping[str, str],
    stopping: Stopping | None,
) -> dict[str, Any]:
    seeds = sorted(runs.finished)
    summary: dict[str, Any] = {
        "label": runs.label,
        "method": runs.method,
        "parameters": runs.parameters,
        "citation": citations.get(runs.method),
        "seeds": seeds,
        "missing_seeds": [seed for seed in every_seed if seed not in runs.finished],
        "test": {metric: _describe(runs.values(seeds, metric)) for metric in METRICS},
        "spread": _spread(_mean_over_targets(runs.values(seeds, "perplexity"))),
        "difference": None,
        "relative": None,
        "noise": None,
        "decided": None,
        "wins": None,
        "of": None,
        "extra_runs": runs.extra_runs(),
        "cost": _mean_cost(runs.costs(seeds)) | {"total": _mean_total(runs.totals(seeds))},
        "runs": [str(runs.finished[seed]["id"]) for seed in seeds],
    }
    if reference is not None:
        shared = [seed for seed in seeds if seed in reference.finished]
        summary["cost"] |= _cost_ratios(runs.costs(shared), reference.costs(shared))
        summary["cost"]["total"] |= _cost_ratios(runs.totals(shared), reference.totals(shared), TOTALS)
        if runs is not reference:
            summary |= _paired(runs, reference, shared, stopping)
    return summary


def _paired(runs: Runs, reference: Runs, shared: Sequence[int], stopping: Stopping | None) -> dict[str, Any]:
    """Differences, percent changes, noise and wins against the reference over the seeds both finished."""
    with np.errstate(invalid="ignore"):
        difference = {
            metric: _describe(runs.values(shared, metric) - reference.values(shared, metric), stopping)
            for metric in METRICS
        }
        ours, theirs = (each.values(shared, "perplexity") for each in (runs, reference))
        mean, base = _mean_over_targets(ours), _mean_over_targets(theirs)
        changes = percent_changes(ours, theirs) if shared else np.empty(0)
        targets = [_interval(column, stopping)._asdict() for column in 100 * (ours / theirs - 1).T]
    noise = noise_of(changes, stopping)
    return {
        "difference": difference,
        "relative": _interval(changes, stopping)._asdict() | {"per_target": targets},
        "noise": noise._asdict() if noise else None,
        "wins": int((mean < base).sum()),
        "of": len(shared),
    }


def _spread(values: Array) -> float | None:
    """Sample standard deviation over seeds in percent of the mean; None for fewer than 2."""
    return float(100 * values.std(ddof=1) / values.mean()) if values.size > 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the numbers; None when there are none or one is unknown."""
    present = [float(value) for value in values if value is not None]
    return sum(present) / len(present) if present and len(present) == len(values) else None


def _mean_cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parts = list(dict.fromkeys(part for cost in costs for part in cost.get("split") or {}))
    split = {part: _mean([(cost.get("split") or {}).get(part) for cost in costs]) for part in parts}
    return {key: _mean([cost.get(key) for cost in costs]) for key in COSTS} | {"split": split}


def _mean_total(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: _mean([cost.get(key) for cost in costs]) for key in TOTALS}


def _cost_ratios(
    ours: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
    keys: Sequence[str] = ("seconds", "flops"),
) -> dict[str, Any]:
    """Mean over seeds of our cost divided by the reference's of the same seed."""
    ratios: dict[str, Any] = {}
    for key in keys:
        pairs = [(a.get(key), b.get(key)) for a, b in zip(ours, theirs, strict=True)]
        ratios[f"{key}_ratio"] = _mean([a / b if a is not None and b else None for a, b in pairs])
    return ratios


def _is_illustration(methods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a comparison (without one: a method's mean) rests on few seeds that no rule found enough."""
    compared = [method for method in methods if method["of"] is not None]
    if not compared:
        return min(len(method["seeds"]) for method in methods) < CLAIM_SEEDS
    return any(method["of"] < CLAIM_SEEDS and not is_decided(method) for method in compared)


def _kept(result: Result) -> dict[str, Any]:
    """The part of a run that the report draws."""
    label = {"label": result.get("label") or result["method"]}
    optional = {key: result[key] for key in KEPT_IF_ANY if result.get(key)}
    return _without_nan(label | {key: result.get(key) for key in KEPT} | optional)


def _without_nan(value: Any) -> Any:
    """The same JSON value with null for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _distinct(items: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item and item not in found:
            found.append(item)
    return found


def _extra_assumption(results: Sequence[Result]) -> dict[str, str]:
    return {"extra runs": ASSUMPTION} if any(result.get("extra") for result in results) else {}


def _assumptions(results: Sequence[Result]) -> dict[str, str]:
    """What the runs say their FLOPs and energy estimates assume, every distinct text once."""
    said = [(result.get("cost") or {}).get("assumptions") or {} for result in results]
    keys = dict.fromkeys(key for texts in said for key in texts)
    return {key: " ".join(_distinct(str(texts[key]) for texts in said if key in texts)) for key in keys}
