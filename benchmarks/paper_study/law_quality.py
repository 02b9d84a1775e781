"""How well mixing laws describe the runs, and how faithful methods' own laws are: the answers on laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from benchmarks.paper_study.differences import Line, triple
from benchmarks.paper_study.explained import sweep_table
from scipy.stats import rankdata

from aioli.analysis.fidelity import fidelity_of
from aioli.analysis.static import PUBLISHED_R2, static_quality
from aioli.fitting.registry import build_law
from aioli.protocol import Array
from aioli.table import Table

__all__ = ["laws"]

DRAWS = 2000
OTHER_SEED = "another seed's law"


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
        found["shape"] = _shape([point for mine in points.values() for point in mine])
        if first:
            found["correlation"] = {h: _correlation(found["fidelity"], first, h) for h in horizons}
    return found


def _shape(points: Sequence[Line]) -> dict[str, int]:
    """How many laws of one target are largest at its own group, and how many sums over targets are concave.

    Concave: the targets' curvatures sum to less than 0, so that losses fall most inside, not at a corner.
    """
    found = {"targets": 0, "own": 0, "sums": 0, "concave": 0}
    for point in points:
        for law in point["laws"]:
            if "matrix" in law and point["groups"] == point["targets"]:
                largest = np.array(law["matrix"]).argmax(axis=1)
                found["targets"] += largest.size
                found["own"] += int((largest == np.arange(largest.size)).sum())
            bend = law.get("curvature")
            if bend and None not in bend:
                found["sums"] += 1
                found["concave"] += sum(bend) < 0
    return found


def _static(lines: Sequence[Line]) -> dict[str, dict[str, float | None]]:
    """R2 of static laws on whole runs: fitted, and each run predicted from the others (`SUMMARIES`)."""
    quality = static_quality(sweep_table(lines))["laws"]
    return {law: {key: find(values[key]) for key, find in SUMMARIES} for law, values in quality.items()}


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

    DML's column sums are the slopes of its static law at the equal mixture; they have no raw form. Nor has
    `OTHER_SEED`: the law that the other seeds' branches gave at the same step, for comparison.
    """
    values: dict[str, dict[str, dict[int, list[float]]]] = {}

    def keep(label: str, form: str, seed: int, similarity: float | None) -> None:
        seen = values.setdefault(label, {"raw": {}, "centred": {}})[form]
        if similarity is not None:
            seen.setdefault(seed, []).append(similarity)

    ours = _static_gains(sweep_table(sweep)) if sweep else None
    for point in points:
        for row in point["fidelity"]:
            if row["horizon"] == horizon:
                for form in ("raw", "centred"):
                    keep(row["label"], form, point["seed"], (row[form] or {}).get("similarity"))
        for law in _laws_at([point], horizon):
            if ours is not None:
                found = fidelity_of(ours, np.array(law["gains"]), centre=True).similarity
                keep("dml", "centred", point["seed"], found)
            others = [p for p in points if p["step"] == point["step"] and p["seed"] != point["seed"]]
            for other in _laws_at(others, horizon):
                found = fidelity_of(np.array(other["gains"]), np.array(law["gains"]), centre=True).similarity
                keep(OTHER_SEED, "centred", point["seed"], found)
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

    R2 of a straight line with its interval over resampled settings, the rank correlation, and `p`, how often
    r is as high when similarities change hands among the methods of each setting.
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
        fit = _line_fit(x, y)
        p = _by_chance(dots, fit["r"])
        found[form] = {"dots": dots, **fit, "r2_interval": _resampled(dots), "p": p}
    return found


def _line_fit(x: Array, y: Array) -> dict[str, float | None]:
    if x.size < 3 or not (np.ptp(x) and np.ptp(y)):
        return {"r2": None, "r": None, "spearman": None}
    r, ranks = (float(np.corrcoef(a, b)[0, 1]) for a, b in ((x, y), (rankdata(x), rankdata(y))))
    return {"r2": r * r, "r": r, "spearman": ranks}


def _by_chance(dots: Sequence[Mapping[str, Any]], r: float | None) -> float | None:
    """The share of exchanges of similarities within settings whose r is at least this one."""
    if r is None:
        return None
    rng, higher = np.random.default_rng(0), 0
    x, y = (np.array([dot[key] for dot in dots]) for key in ("similarity", "gain"))
    settings = np.array([dot["setting"] for dot in dots])
    for _ in range(DRAWS):
        moved = x.copy()
        for name in dict.fromkeys(settings):
            moved[settings == name] = rng.permutation(x[settings == name])
        higher += np.corrcoef(moved, y)[0, 1] >= r - 1e-12
    return (higher + 1) / (DRAWS + 1)


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
            _, low, high = triple(gains[step][:, i] - gains[step][:, j])
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
