"""The estimator bench: scores against a planted law, and its report from kept lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.estimators.compared import estimators
from benchmarks.estimators.kept import POINTS, RUNS, keep_points, keep_runs, read_points
from benchmarks.estimators.plot import front, worth
from benchmarks.estimators.report import table, write_overview, write_report
from benchmarks.estimators.scores import NULL, OTHER_SEED, REFERENCE, at_horizon, mean_error, summary

from aioli.analysis.diagnosis import fidelities, law_at
from aioli.analysis.fidelity import fidelity_of
from aioli.config import read_methods
from aioli.errors import InputError
from aioli.sweep.designs import smoothed
from aioli.sweep.region import Region

M = 7
DESIGN = np.vstack(
    [smoothed(Region.simplex(M), 0.4), smoothed(Region.simplex(M), 0.8), np.full((1, M), 1 / M)]
)
WORTH = np.random.default_rng(0).normal(size=M)
A = 0.01 * np.eye(M) * WORTH + 0.1 + 0.002 * WORTH
LABELS = [choice.label for choice in read_methods(estimators(M, True, 500))]
COST = {"probe_steps": 8, "evaluation_tokens": 4096, "seconds": 1.5, "other_runs": 0}


def branch(mixture: np.ndarray, rng: np.random.Generator, noise: float) -> dict[str, Any]:
    """The result of a branch in a world whose law over h steps is A h / 20."""
    points = [{"step": 0, "loss": [3.0] * M, "drawn": [0] * M}]
    for steps in (5, 20):
        loss = 3 - A @ mixture * steps / 20 + noise * rng.normal(size=M)
        points.append({"step": steps, "loss": loss.tolist(), "drawn": (1e6 * mixture).tolist()})
    return {"id": "x", "branch": {"points": points}}


def planted(noise: float, labels: list[str], seeds: Sequence[int] = (0,)) -> dict[str, Any]:
    """What `diagnose` returns at three checkpoints: estimators that see A, the later ones with less noise."""
    points = []
    for step, seed in product((200, 500, 1000), seeds):
        rng = np.random.default_rng([step, seed] if seed else step)
        laws = [law_at([branch(row, rng, noise) for row in DESIGN], h, np.ones(M)) for h in (5, 20)]
        results = [
            {
                "label": label,
                "seed": seed,
                "groups": list("abcdefg"),
                "targets": list("abcdefg"),
                "matrices": [{"values": (A + 0.02 * rng.normal(size=A.shape) / k).tolist()}],
            }
            for k, label in enumerate(labels, start=1)
        ]
        rows = fidelities(results, laws, np.ones(M))
        for row in rows:
            row["cost"] = COST | {"worth_steps": 2.0 * labels.index(row["label"])}
        cost = {"train_tokens": 1, "seconds": 1.0}
        point = {"seed": seed, "step": step, "losses": [3.0] * M, "laws": laws, "fidelity": rows}
        points.append(point | {"runs": ["r"], "cost": cost, "trunk_cost": cost})
    names = [f"g{j}" for j in range(M)]
    same = {"label": "stratified", "groups": names, "targets": names, "steps": 1500, "orders": 1}
    return same | {"weights": [1.0] * M, "points": points}


def kept(
    tmp_path: Path, noise: float = 1e-4, labels: list[str] = LABELS, seeds: Sequence[int] = (0,)
) -> Path:
    keep_points(planted(noise, labels, seeds), tmp_path / POINTS)
    return tmp_path / POINTS


def test_all_are_scored_against_the_same_truth_and_beside_chance(tmp_path: Path) -> None:
    content = planted(1e-4, LABELS)
    rows = summary(read_points(kept(tmp_path)))
    of = {(row["estimator"], row["horizon"]): row for row in rows}
    told = [
        r for p in content["points"] for r in p["fidelity"] if (r["label"], r["horizon"]) == (LABELS[3], 20)
    ]
    assert of[LABELS[3], 20]["centred"] == pytest.approx(
        np.mean([row["centred"]["similarity"] for row in told]), abs=1e-4
    )
    assert of[LABELS[3], 20]["raw"] == pytest.approx(
        np.mean([r["raw"]["similarity"] for r in told]), abs=1e-4
    )
    assert abs(of[NULL, 20]["centred"]) < 0.1 and (OTHER_SEED, 20) not in of
    assert 0.1 < of[NULL, 20]["centred_error"] < 0.4  # of the mean of three random estimators
    assert of["branches of 5 steps", 20]["centred"] > 0.95 and ("branches of 5 steps", 5) not in of
    assert of[LABELS[-1], 20]["centred"] > of[LABELS[0], 20]["centred"]
    assert of[REFERENCE, 20]["change"] == 0 and of[REFERENCE, 20]["checkpoints"] == 3
    change = of[LABELS[-1], 20]
    assert change["change"] == pytest.approx(change["centred"] - of[REFERENCE, 20]["centred"])


def test_checkpoints_of_one_seed_are_not_independent() -> None:
    values = np.array([0.1, 0.2, np.nan, 0.5, 0.7, 0.9])
    assert mean_error(values, [0] * 6)[1] == pytest.approx(
        np.std(values[[0, 1, 3, 4, 5]], ddof=1) / np.sqrt(5)
    )
    mean, error = mean_error(values, [0, 0, 0, 1, 1, 1])
    assert mean == pytest.approx(0.48) and error == pytest.approx((0.7 - 0.15) / 2)
    assert mean_error(values[2:3], [0]) == (None, None) and mean_error(values[:1], [0]) == (0.1, None)


def test_the_law_of_other_seeds_says_less_where_branches_are_noisier(tmp_path: Path) -> None:
    means = []
    for noise in (1e-4, 3e-3, 3e-2):
        points = read_points(kept(tmp_path, noise, LABELS[:1], seeds=(0, 1)))
        rows = {row["estimator"]: row for row in summary(points) if row["horizon"] == 20}
        means.append(rows[OTHER_SEED]["centred"])
        assert rows[OTHER_SEED]["checkpoints"] == 6
        one, other = (np.array(point["laws"][1]["gains"]) for point in points[:2])
        found = at_horizon(points[0], 20, points)[OTHER_SEED]["centred"]
        assert found == pytest.approx(fidelity_of(other, one, centre=True).similarity)
    assert means[0] > 0.98 and means[0] > means[1] > means[2]
    assert at_horizon(points[0], 75, points) == {}


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    costs = {"dear": (9, 0.8), "cheap": (1, 0.2), "beaten": (5, 0.1), "twin": (1, 0.1), "free": (0, -0.3)}
    rows = [
        {"estimator": name, "centred": value, "cost": {"worth_steps": cost}}
        for name, (cost, value) in costs.items()
    ]
    assert [row["estimator"] for row in front(rows)] == ["free", "cheap", "dear"]
    assert worth(rows[-1]) == 0.1 and front([]) == []


def test_the_report_is_the_same_bytes_from_the_kept_lines(tmp_path: Path) -> None:
    kept(tmp_path, 1e-3, seeds=(0, 1))
    names = ("table.json", "table.md", "pareto.svg", "pareto.png")
    rows = write_report("seven", tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in names}
    assert write_report("seven", tmp_path) == rows
    assert first == {name: (tmp_path / name).read_bytes() for name in names}
    assert len(first["pareto.png"]) > 20_000
    assert all(f">{label}<" in first["pareto.svg"].decode() for label in LABELS)
    assert max(map(len, (tmp_path / POINTS).read_text().splitlines())) <= 20_000
    lines = first["table.md"].decode().splitlines()
    body = lines[lines.index(next(line for line in lines if line.startswith("|---"))) + 1 :]
    assert body[0].startswith(f"| {OTHER_SEED} |") and body[-1].startswith(f"| {NULL} |")
    assert len(body) == len(LABELS) + 3 and {line.count("|") for line in body} == {body[0].count("|")}
    assert next(line for line in body if "| probes 2x4 |" in line).endswith("| 8 | 4096 | 1.5 | 0 | 2.0 |")


def test_an_overview_averages_what_all_settings_have(tmp_path: Path) -> None:
    rows = {}
    for name, labels in (("one", LABELS[:4]), ("two", LABELS[1:6])):
        (tmp_path / "found" / name).mkdir(parents=True)
        kept(tmp_path / "found" / name, 1e-3, labels, seeds=(0, 1))
        rows[name] = write_report(name, tmp_path / "found" / name)
    write_overview(rows, tmp_path / "found")
    text = (tmp_path / "found.md").read_text()
    (line,) = [each for each in text.splitlines() if each.startswith(f"| {LABELS[2]} |")]
    one, two = (
        next(row for row in rows[name] if (row["estimator"], row["horizon"]) == (LABELS[2], 5))
        for name in rows
    )
    error = np.hypot(one["centred_error"], two["centred_error"]) / 2
    mean = (one["centred"] + two["centred"]) / 2
    assert line.split("|")[2].strip() == f"{mean:+.2f} ({error:.2f})"
    assert f"| {LABELS[0]} |" not in text and f"| {LABELS[5]} |" not in text
    assert (tmp_path / "found" / "pareto.png").exists() and "(found/two/table.md)" in text


def test_a_law_that_explains_nothing_and_one_checkpoint_leave_no_gaps_in_the_table(tmp_path: Path) -> None:
    (point, *_) = read_points(kept(tmp_path, labels=LABELS[:2]))
    for law in point["laws"]:
        law |= {"sums_r2": None, "sums_held_out_r2": None}
    text = table("seven", [point], summary([point]))
    assert "- at 5, - at 20" in text and "nan" not in text.lower()


def test_nothing_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run the bench without --report first"):
        write_report("seven", tmp_path)
    (tmp_path / POINTS).write_text('{"seed": 0\n')
    with pytest.raises(InputError, match="is damaged"):
        write_report("seven", tmp_path)


def test_kept_runs_hold_what_was_measured_and_no_curves(tmp_path: Path) -> None:
    curve = {"step": list(range(5000)), "loss": [3.123456789] * 5000}
    result = {
        "id": "ab",
        "label": "probes 2x4",
        "method": "lmo",
        "seed": 0,
        "curves": curve,
        "cost": {"seconds": 1.23456789, "assumptions": {"flops": "counted"}},
        "matrices": [{"step": 1, "values": [[0.0]]}, {"step": 9, "values": [[0.123456789]]}],
        "proportions": {"step": [0, 9], "values": [[1.0], [0.5]]},
    }
    (tmp_path / "store/runs/ab").mkdir(parents=True)
    (tmp_path / "store/runs/ab/result.json").write_text(json.dumps(result))
    keep_runs(tmp_path / "store", ["ab", "ab"], tmp_path / RUNS)
    (line,) = (tmp_path / RUNS).read_text().splitlines()
    found = json.loads(line)
    assert found["matrices"] == [{"step": 9, "values": [[0.123457]]}] and "curves" not in found
    assert found["proportions"] == {"step": [9], "values": [[0.5]]} and found["cost"] == {"seconds": 1.23457}
