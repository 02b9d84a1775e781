"""Perplexity under one way to a mixture against another, paired by seed: the answers of three stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.paper_study.plan import CONTROL, SETTINGS

from aioli.analysis.extra import total_cost
from aioli.analysis.noise import noise_of
from aioli.analysis.statistics import interval
from aioli.protocol import Array

__all__ = ["Line", "out_of_domain", "restricted", "triple", "unrestricted"]

BASELINE = "stratified"
SURE = ("better", "worse")
BAD = 2.0
"""Percent of perplexity above stratified from which a mixture is bad."""
PUBLISHED_NAMES = {
    "grid search": "grid search", "dml": "DML", "skill_it": "Skill-It", "doremi": "DoReMi", "doge": "DoGE",
    "aioli": "Aioli",
}  # fmt: skip
"""Our labels of the paper's methods, and its own names of them."""
Line = Mapping[str, Any]


def perplexities(lines: Sequence[Line]) -> dict[str, dict[int, float]]:
    """Mean test perplexity over targets, by label and seed."""
    return _by_label(lines, lambda loss: float(np.exp(loss).mean()))


def mean_losses(lines: Sequence[Line]) -> dict[str, dict[int, float]]:
    """Mean test loss over targets in nats a token, by label and seed."""
    return _by_label(lines, lambda loss: float(loss.mean()))


def _by_label(lines: Sequence[Line], summary: Callable[[Array], float]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        value = summary(np.array(line["test"]["loss"], dtype=np.float64))
        found.setdefault(line["label"], {})[line["seed"]] = value
    return found


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[str, Any]:
    """Change of perplexity over the seeds that both have: absolute, in percent, and how sure it is."""
    seeds = sorted(ours.keys() & theirs.keys())
    difference = _differences(ours, theirs)
    percent = np.array([100 * (ours[seed] / theirs[seed] - 1) for seed in seeds])
    noise = noise_of(percent)
    return {
        "seeds": seeds,
        "change": triple(difference),
        "percent": triple(percent),
        "by_seed": percent.tolist(),
        "by_seed_change": difference.tolist(),
        "lower_in": int((difference < 0).sum()),
        "verdict": verdict(triple(percent)),
        "detectable": noise.detectable if noise else None,
    }


def _differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Array:
    """Over the seeds that both have."""
    return np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])


def verdict(triple: Sequence[float | None]) -> str:
    """better, worse, or undecided, by the interval (mean, low, high) of a change of perplexity."""
    _, low, high = triple
    if low is None or high is None:
        return "undecided"
    return "better" if high < 0 else "worse" if low > 0 else "undecided"


def triple(values: Array) -> list[float | None]:
    found = interval(values)
    return [found.mean, found.low, found.high]


def unrestricted(compared: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """Every method against stratified in every setting, and over all settings."""
    settings: dict[str, Any] = {}
    for name, lines in compared.items():
        levels, losses = perplexities(lines), mean_losses(lines)
        base = levels[BASELINE]
        both = _mean_of(base, levels.get(CONTROL, base))
        costs, same = _costs(lines), _same_runs(lines)
        published = SETTINGS[name].published
        settings[name] = {
            "stratified": triple(np.array(list(base.values()))),
            "scatter": float(np.std(list(base.values()), ddof=1) / np.mean(list(base.values())) * 100)
            if len(base) > 1
            else None,
            "methods": {
                label: paired(ours, base)
                | costs[label]
                | {
                    "published": published.get(PUBLISHED_NAMES.get(label, "")),
                    "loss": triple(_differences(losses[label], losses[BASELINE])),
                    "loss_by_seed": _differences(losses[label], losses[BASELINE]).tolist(),
                    "against_both": paired(ours, both)["percent"],
                    "same_runs": label in same,
                }
                for label, ours in levels.items()
                if label != BASELINE
            },
        }
    labels = list(dict.fromkeys(label for each in settings.values() for label in each["methods"]))
    return {"settings": settings, "methods": {label: _overall(settings, label) for label in labels}}


def _mean_of(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    return {seed: (one[seed] + other[seed]) / 2 for seed in sorted(one.keys() & other.keys())}


def _same_runs(lines: Sequence[Line]) -> set[str]:
    """Labels whose runs are, by their final weights, those of stratified."""
    weights: dict[str, set[str]] = {}
    for line in lines:
        weights.setdefault(line["label"], set()).add(line["weights_sha256"])
    return {label for label, mine in weights.items() if label != BASELINE and mine <= weights[BASELINE]}


def _overall(settings: Mapping[str, Any], label: str) -> dict[str, Any]:
    """One method over the settings; the mean is taken for each seed first: its interval is over seeds."""
    rows = {name: each["methods"][label] for name, each in settings.items() if label in each["methods"]}
    means = [row["change"][0] for row in rows.values()]
    worst = list(rows)[int(np.argmax(means))]
    shared = set.intersection(*(set(row["seeds"]) for row in rows.values()))
    keep = {name: [row["seeds"].index(seed) for seed in sorted(shared)] for name, row in rows.items()}

    published = [row["published"] for row in rows.values() if row["published"] is not None]

    def over_seeds(key: str) -> list[float | None]:
        return triple(np.mean([np.array(row[key])[keep[name]] for name, row in rows.items()], axis=0))

    return {
        "settings": len(rows),
        "seeds": sorted(shared),
        "by_seed_change": np.mean(
            [np.array(row["by_seed_change"])[keep[name]] for name, row in rows.items()], axis=0
        ).tolist(),
        "lower_in": int(np.sum(np.array(means) < 0)),
        "better": sum(row["verdict"] == "better" for row in rows.values()),
        "worse": sum(row["verdict"] == "worse" for row in rows.values()),
        "change": over_seeds("by_seed_change"),
        "percent": over_seeds("by_seed"),
        "loss": over_seeds("loss_by_seed"),
        "decided": {name: row["verdict"] for name, row in rows.items() if row["verdict"] in SURE},
        "decided_by_both": {
            name: told
            for name, row in rows.items()
            if not row["same_runs"] and (told := verdict(row["against_both"])) in SURE
        },
        "worst": {"setting": worst, "change": rows[worst]["change"], "percent": rows[worst]["percent"]},
        "published_mean": float(np.mean(published)) if len(published) == len(rows) else None,
        "published_lower_in": sum(value < 0 for value in published),
        "flops": float(np.mean([row["flops"] for row in rows.values()])),
    }


def _costs(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """By label: FLOPs in all relative to stratified, extra runs, probe steps, tokens read to measure."""
    of: dict[str, list[Line]] = {}
    for line in lines:
        of.setdefault(line["label"], []).append(line)
    base = np.mean([line["cost"]["flops"] for line in of[BASELINE]])
    return {
        label: {
            "flops": float(np.mean([total_cost(line)["flops"] or np.nan for line in mine]) / base),
            "extra_runs": max(len((line.get("extra") or {}).get("runs", ())) for line in mine),
            "probe_steps": float(np.mean([line["cost"]["probe_steps"] for line in mine])),
            "read_tokens": float(np.mean([line["cost"]["evaluation_tokens"] for line in mine])),
        }
        for label, mine in of.items()
    }


def restricted(learned: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """Each learned mixture with Aioli beginning from it against the same mixture kept: the cases."""
    cases, settings = [], {}
    for name, lines in learned.items():
        levels = perplexities(lines)
        settings[name] = {"stratified": triple(np.array(list(levels[BASELINE].values())))}
        for label, ours in levels.items():
            if label.endswith(" + aioli"):
                alone = levels[label.removesuffix(" + aioli")]
                mixture = next(x["mixture"]["mean"] for x in lines if x["label"] == label.split(" + ")[0])
                cases.append(
                    {
                        "setting": name,
                        "method": label.removesuffix(" + aioli"),
                        "mixture": mixture,
                        "alone": paired(alone, levels[BASELINE]),
                        "with_aioli": paired(ours, levels[BASELINE]),
                        "gain": paired(ours, alone),
                    }
                )
    changes = np.array([case["gain"]["change"][0] for case in cases])
    best, worst = (cases[int(find(changes))] for find in (np.argmin, np.argmax))
    return {
        "cases": cases,
        "settings": settings,
        "count": len(cases),
        "improved": int((changes < 0).sum()),
        "better": sum(case["gain"]["verdict"] == "better" for case in cases),
        "worse": sum(case["gain"]["verdict"] == "worse" for case in cases),
        "change": _over_cases(cases, "by_seed_change"),
        "percent": _over_cases(cases, "by_seed"),
        "bad": _bad(cases),
        "best": {"setting": best["setting"], "method": best["method"], **_brief(best["gain"])},
        "worst": {"setting": worst["setting"], "method": worst["method"], **_brief(worst["gain"])},
    }


def _bad(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What becomes of bad mixtures; for each seed, those that are bad by the other seeds.

    Chosen by the same runs that the change is measured against, bad ones would get better without any effect.
    """
    changes: dict[int, list[float]] = {}
    chosen = set()
    for number, case in enumerate(cases):
        for seed, change in zip(case["gain"]["seeds"], case["gain"]["by_seed_change"], strict=True):
            alone = zip(case["alone"]["seeds"], case["alone"]["by_seed"], strict=True)
            others = [value for other, value in alone if other != seed]
            if others and np.mean(others) >= BAD:
                changes.setdefault(seed, []).append(change)
                chosen.add(number)
    means = np.array([np.mean(each) for each in changes.values()])
    return {"count": len(chosen), "least": BAD, "change": triple(means) if chosen else None}


def _over_cases(cases: Sequence[Mapping[str, Any]], key: str) -> list[float | None]:
    """The mean over cases is taken for each seed first: its interval is over seeds."""
    shared = set.intersection(*(set(case["gain"]["seeds"]) for case in cases))
    by_case = [dict(zip(case["gain"]["seeds"], case["gain"][key], strict=True)) for case in cases]
    return triple(np.array([np.mean([mine[seed] for mine in by_case]) for seed in sorted(shared)]))


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("change", "percent", "verdict")}


def out_of_domain(lines: Sequence[Line]) -> dict[str, Any]:
    """The target's perplexity under every way to a mixture, against stratified."""
    levels, costs = perplexities(lines), _costs(lines)
    return {
        "target": lines[0]["targets"][0],
        "stratified": triple(np.array(list(levels[BASELINE].values()))),
        "methods": {
            label: {"perplexity": float(np.mean(list(ours.values())))}
            | paired(ours, levels[BASELINE])
            | costs[label]
            for label, ours in levels.items()
            if label != BASELINE
        },
    }
