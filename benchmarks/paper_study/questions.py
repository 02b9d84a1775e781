"""The study's questions, answered from the stored lines alone, in plain values (None where unknown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.paper_study.plan import SETTINGS
from benchmarks.paper_study.store import read_lines
from scipy.stats import rankdata

from aioli.analysis.diagnosis import PUBLISHED_R2, static_quality
from aioli.analysis.extra import total_cost
from aioli.analysis.fidelity import fidelity_of
from aioli.analysis.noise import noise_of
from aioli.analysis.statistics import interval
from aioli.fitting.registry import build_law
from aioli.protocol import Array
from aioli.table import Table

__all__ = ["answers"]

BASELINE = "stratified"
PUBLISHED_NAMES = {
    "grid search": "grid search", "dml": "DML", "skill_it": "Skill-It", "doremi": "DoReMi", "doge": "DoGE",
    "aioli": "Aioli",
}  # fmt: skip
"""Our labels of the paper's methods, and its own names of them."""
DRAWS = 2000
Line = Mapping[str, Any]


def answers(results: Path) -> dict[str, Any]:
    """What every stage says so far; None for a stage without stored runs."""
    compared = _by_setting(results / "unrestricted")
    points = _by_setting(results / "laws")
    sweeps = _by_setting(results / "sweep")
    learned = _by_setting(results / "restricted")
    outside = read_lines(results / "out_of_domain" / "out_of_domain.jsonl")
    first = unrestricted(compared) if compared else None
    return {
        "unrestricted": first,
        "laws": laws(points, sweeps, first) if points or sweeps else None,
        "restricted": restricted(learned) if learned else None,
        "out_of_domain": out_of_domain(outside) if outside else None,
    }


def _by_setting(directory: Path) -> dict[str, list[dict[str, Any]]]:
    found = {name: read_lines(directory / f"{name}.jsonl") for name in SETTINGS}
    return {name: lines for name, lines in found.items() if lines}


def perplexities(lines: Sequence[Line]) -> dict[str, dict[int, float]]:
    """Mean test perplexity over targets, by label and seed."""
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        value = float(np.exp(line["test"]["loss"]).mean())
        found.setdefault(line["label"], {})[line["seed"]] = value
    return found


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[str, Any]:
    """Change of perplexity over the seeds that both have: absolute, in percent, and how sure it is."""
    seeds = sorted(ours.keys() & theirs.keys())
    difference = np.array([ours[seed] - theirs[seed] for seed in seeds])
    percent = np.array([100 * (ours[seed] / theirs[seed] - 1) for seed in seeds])
    noise = noise_of(percent)
    return {
        "seeds": seeds,
        "change": _triple(difference),
        "percent": _triple(percent),
        "by_seed": percent.tolist(),
        "by_seed_change": difference.tolist(),
        "lower_in": int((difference < 0).sum()),
        "verdict": verdict(_triple(percent)),
        "detectable": noise.detectable if noise else None,
    }


def verdict(triple: Sequence[float | None]) -> str:
    """better, worse, or undecided, by the interval (mean, low, high) of a change of perplexity."""
    _, low, high = triple
    if low is None or high is None:
        return "undecided"
    return "better" if high < 0 else "worse" if low > 0 else "undecided"


def _triple(values: Array) -> list[float | None]:
    found = interval(values)
    return [found.mean, found.low, found.high]


def unrestricted(compared: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """Every method against stratified in every setting, and over all settings."""
    settings: dict[str, Any] = {}
    for name, lines in compared.items():
        levels = perplexities(lines)
        base = levels[BASELINE]
        costs = _costs(lines)
        published = SETTINGS[name].published
        settings[name] = {
            "stratified": _triple(np.array(list(base.values()))),
            "scatter": float(np.std(list(base.values()), ddof=1) / np.mean(list(base.values())) * 100)
            if len(base) > 1
            else None,
            "methods": {
                label: paired(ours, base)
                | costs[label]
                | {"published": published.get(PUBLISHED_NAMES.get(label, ""))}
                for label, ours in levels.items()
                if label != BASELINE
            },
        }
    labels = list(dict.fromkeys(label for each in settings.values() for label in each["methods"]))
    return {"settings": settings, "methods": {label: _overall(settings, label) for label in labels}}


def _overall(settings: Mapping[str, Any], label: str) -> dict[str, Any]:
    """One method over the settings; the mean is taken for each seed first: its interval is over seeds."""
    rows = {name: each["methods"][label] for name, each in settings.items() if label in each["methods"]}
    means = [row["change"][0] for row in rows.values()]
    worst = list(rows)[int(np.argmax(means))]
    shared = set.intersection(*(set(row["seeds"]) for row in rows.values()))
    keep = {name: [row["seeds"].index(seed) for seed in sorted(shared)] for name, row in rows.items()}

    def over_seeds(key: str) -> list[float | None]:
        return _triple(np.mean([np.array(row[key])[keep[name]] for name, row in rows.items()], axis=0))

    return {
        "settings": len(rows),
        "lower_in": int(np.sum(np.array(means) < 0)),
        "better": sum(row["verdict"] == "better" for row in rows.values()),
        "worse": sum(row["verdict"] == "worse" for row in rows.values()),
        "change": over_seeds("by_seed_change"),
        "percent": over_seeds("by_seed"),
        "worst": {"setting": worst, "change": rows[worst]["change"], "percent": rows[worst]["percent"]},
        "published_mean": float(np.mean([row["published"] for row in rows.values()]))
        if all(row["published"] is not None for row in rows.values())
        else None,
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


def laws(
    points: Mapping[str, Sequence[Line]],
    sweeps: Mapping[str, Sequence[Line]],
    first: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """How well the laws describe the runs, how faithful each method's is, and whether that explains gains."""
    static = {name: _static(lines) for name, lines in sweeps.items()}
    found: dict[str, Any] = {
        "published": dict(PUBLISHED_R2),
        "static": static,
        "static_mean": {
            law: {key: find([each[law][key] for each in static.values()]) for key, find in SUMMARIES}
            for law in ("log-linear", "linear")
        }
        if static
        else None,
        "dynamic": {},
        "fidelity": {},
        "correlation": {},
        "order": {},
    }
    for name, mine in points.items():
        horizons = [law["horizon"] for law in mine[0]["laws"]]
        found["dynamic"][name] = {horizon: _dynamic(mine, horizon) for horizon in horizons}
        found["fidelity"][name] = {
            horizon: _fidelity(mine, horizon, sweeps.get(name)) for horizon in horizons
        }
        found["order"][name] = {horizon: _order(mine, horizon) for horizon in horizons}
    if points:
        horizons = sorted({h for each in found["dynamic"].values() for h in each})
        found["dynamic_mean"] = {
            horizon: {
                key: find([each[horizon][key] for each in found["dynamic"].values()])
                for key, find in (*SUMMARIES, ("sums_r2", _median))
            }
            for horizon in horizons
        }
        if first:
            found["correlation"] = {h: _correlation(found["fidelity"], first, h) for h in horizons}
    return found


def _static(lines: Sequence[Line]) -> dict[str, dict[str, float | None]]:
    """R2 of static laws on whole runs: fitted, and each run predicted from the others (`SUMMARIES`)."""
    quality = static_quality(_table(lines))["laws"]
    return {law: {key: find(values[key]) for key, find in SUMMARIES} for law, values in quality.items()}


def _table(lines: Sequence[Line]) -> Table:
    drawn = np.array([line["drawn"] for line in lines], dtype=np.float64)
    return Table(
        groups=tuple(lines[0]["groups"]),
        names=tuple(line["label"] for line in lines),
        mixtures=drawn / drawn.sum(axis=1, keepdims=True),
        targets=tuple(lines[0]["targets"]),
        losses=np.array([line["validation"]["end"] for line in lines]),
    )


def _laws_at(points: Sequence[Line], horizon: int) -> list[Line]:
    return [law for point in points for law in point["laws"] if law["horizon"] == horizon]


def _dynamic(points: Sequence[Line], horizon: int) -> dict[str, float | None]:
    """R2 of the linear dynamic law: of single targets, and of the sum that methods act on."""
    mine = _laws_at(points, horizon)
    return {
        "r2": _mean([value for law in mine for value in law["r2"]]),
        "held_out_r2": _median([value for law in mine for value in law["held_out_r2"] or ()]),
        "sums_r2": _median([law["sums_held_out_r2"] for law in mine]),
        "checkpoints": len(mine),
    }


def _fidelity(points: Sequence[Line], horizon: int, sweep: Sequence[Line] | None) -> dict[str, Any]:
    """By method, the mean similarity over checkpoints and its standard error over seeds, raw and centred.

    DML's column sums are the slopes of its static law at the equal mixture; they have no raw form.
    """
    values: dict[str, dict[str, dict[int, list[float]]]] = {}

    def keep(label: str, form: str, seed: int, similarity: float | None) -> None:
        seen = values.setdefault(label, {"raw": {}, "centred": {}})[form]
        if similarity is not None:
            seen.setdefault(seed, []).append(similarity)

    ours = _static_gains(_table(sweep)) if sweep else None
    for point in points:
        for row in point["fidelity"]:
            if row["horizon"] == horizon:
                for form in ("raw", "centred"):
                    keep(row["label"], form, point["seed"], (row[form] or {}).get("similarity"))
        for law in _laws_at([point], horizon):
            if ours is not None:
                found = fidelity_of(ours, np.array(law["gains"]), centre=True).similarity
                keep("dml", "centred", point["seed"], found)
    return {
        label: {
            form: _over_seeds([float(np.mean(of)) for of in seen.values()]) for form, seen in each.items()
        }
        for label, each in values.items()
    }


def _static_gains(table: Table, reach: float = 0.05) -> Array:
    """[m] fall of the mean loss along each group's direction from the equal mixture, by a log-linear law."""
    fitted = build_law("log_linear").fit(table, seed=0)
    m = table.m
    steps = reach * (np.eye(m) - 1 / m)
    ahead, behind = (fitted.predict(1 / m + sign * steps).mean(axis=1) for sign in (1, -1))
    return (behind - ahead) / (2 * reach)


def _correlation(fidelity: Mapping[str, Any], first: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Similarity against improvement over methods and settings, the paper's Figure 3.

    R2 of a straight line with its interval over resampled settings, and the rank correlation.
    """
    found = {}
    for form in ("raw", "centred"):
        dots = [
            {
                "setting": name,
                "method": label,
                "similarity": row[form]["mean"],
                "gain": -first["settings"][name]["methods"][label]["percent"][0],
            }
            for name, each in fidelity.items()
            if name in first["settings"]
            for label, row in each.get(horizon, {}).items()
            if row[form]["mean"] is not None and label in first["settings"][name]["methods"]
        ]
        x, y = (np.array([dot[key] for dot in dots], dtype=np.float64) for key in ("similarity", "gain"))
        found[form] = {"dots": dots, **_line_fit(x, y), "r2_interval": _resampled(dots)}
    return found


def _line_fit(x: Array, y: Array) -> dict[str, float | None]:
    if x.size < 3 or not (np.ptp(x) and np.ptp(y)):
        return {"r2": None, "r": None, "spearman": None}
    r, ranks = (float(np.corrcoef(a, b)[0, 1]) for a, b in ((x, y), (rankdata(x), rankdata(y))))
    return {"r2": r * r, "r": r, "spearman": ranks}


def _resampled(dots: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """95% interval of R2 over settings drawn again with replacement; None for fewer than three settings."""
    names = sorted({dot["setting"] for dot in dots})
    if len(names) < 3:
        return None
    rng, seen = np.random.default_rng(0), []
    of = {name: [dot for dot in dots if dot["setting"] == name] for name in names}
    for _ in range(DRAWS):
        drawn = [dot for name in rng.choice(names, size=len(names)) for dot in of[name]]
        x, y = (np.array([dot[key] for dot in drawn]) for key in ("similarity", "gain"))
        fit = _line_fit(x, y)["r2"]
        if fit is not None:
            seen.append(fit)
    low, high = np.percentile(seen, [2.5, 97.5])
    return [float(low), float(high)]


def _order(points: Sequence[Line], horizon: int) -> dict[str, Any]:
    """Gains of the groups by checkpoint, and whether pairs of groups change places between first and last.

    A pair is told apart at a checkpoint where the t interval over seeds of its difference excludes zero.
    """
    steps = sorted({point["step"] for point in points})
    groups = points[0]["groups"]
    gains = {
        step: np.array([law["gains"] for p in points if p["step"] == step for law in _laws_at([p], horizon)])
        for step in steps
    }
    steps = [step for step in steps if len(gains[step])]
    told: dict[int, dict[tuple[int, int], int]] = {step: {} for step in steps}
    for step in steps:
        for i, j in combinations(range(len(groups)), 2):
            _, low, high = _triple(gains[step][:, i] - gains[step][:, j])
            if low is not None and high is not None and (low > 0 or high < 0):
                told[step][i, j] = 1 if low > 0 else -1
    first, last = (told[steps[0]], told[steps[-1]]) if steps else ({}, {})
    both = first.keys() & last.keys()
    return {
        "groups": groups,
        "steps": steps,
        "gains": {step: gains[step].mean(axis=0).tolist() for step in steps},
        "errors": {
            step: (gains[step].std(axis=0, ddof=1) / np.sqrt(len(gains[step]))).tolist()
            if len(gains[step]) > 1
            else None
            for step in steps
        },
        "pairs": len(groups) * (len(groups) - 1) // 2,
        "told_apart": [len(told[step]) for step in steps],
        "told_in_both": len(both),
        "reversed": sum(first[pair] != last[pair] for pair in both),
    }


def restricted(learned: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """Each learned mixture with Aioli beginning from it against the same mixture kept: the cases."""
    cases, settings = [], {}
    for name, lines in learned.items():
        levels = perplexities(lines)
        settings[name] = {"stratified": _triple(np.array(list(levels[BASELINE].values())))}
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
    percents = np.array([case["gain"]["percent"][0] for case in cases])
    best, worst = (cases[int(find(changes))] for find in (np.argmin, np.argmax))
    return {
        "cases": cases,
        "settings": settings,
        "count": len(cases),
        "improved": int((changes < 0).sum()),
        "better": sum(case["gain"]["verdict"] == "better" for case in cases),
        "worse": sum(case["gain"]["verdict"] == "worse" for case in cases),
        "mean_change": float(changes.mean()),
        "mean_percent": float(percents.mean()),
        "best": {"setting": best["setting"], "method": best["method"], **_brief(best["gain"])},
        "worst": {"setting": worst["setting"], "method": worst["method"], **_brief(worst["gain"])},
    }


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("change", "percent", "verdict")}


def out_of_domain(lines: Sequence[Line]) -> dict[str, Any]:
    """The target's perplexity under every way to a mixture, against stratified."""
    levels, costs = perplexities(lines), _costs(lines)
    return {
        "target": lines[0]["targets"][0],
        "stratified": _triple(np.array(list(levels[BASELINE].values()))),
        "methods": {
            label: {"perplexity": float(np.mean(list(ours.values())))}
            | paired(ours, levels[BASELINE])
            | costs[label]
            for label, ours in levels.items()
            if label != BASELINE
        },
    }


def _over_seeds(values: Sequence[float]) -> dict[str, float | None]:
    """Mean of one value a seed, and its standard error."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": _mean(values), "error": error}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


SUMMARIES = (("r2", _mean), ("held_out_r2", _median))
"""How R2 is summarised over targets and settings: fitted ones by their mean, as published, those of left-out
runs by their median, since one very negative value would rule a mean."""
