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
from benchmarks.estimators.scores import (
    BEFORE,
    NULL,
    OTHER_SEED,
    REFERENCE,
    holm,
    law_probabilities,
    mean_error,
    over_settings,
    permuted_means,
    summary,
)

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


def rows_of(path: Path) -> dict[tuple[str, int], Any]:
    return {(row["estimator"], row["horizon"]): row for row in summary(read_points(path)).rows}


def test_all_are_scored_against_the_same_truth_and_beside_chance(tmp_path: Path) -> None:
    content = planted(1e-4, LABELS)
    of = rows_of(kept(tmp_path))
    told = [
        r for p in content["points"] for r in p["fidelity"] if (r["label"], r["horizon"]) == (LABELS[3], 20)
    ]
    assert of[LABELS[3], 20]["centred"] == pytest.approx(
        np.mean([row["centred"]["similarity"] for row in told]), abs=1e-4
    )
    assert abs(of[NULL, 20]["centred"]) < 0.1 and (OTHER_SEED, 20) not in of
    assert of["branches of 5 steps", 20]["centred"] > 0.95 and ("branches of 5 steps", 5) not in of
    assert of["branches of 5 steps", 20]["p"] is None  # it shares the truth's noise
    assert of[LABELS[-1], 20]["centred"] > of[LABELS[0], 20]["centred"]
    assert of[REFERENCE, 20]["change"] == 0 and of[REFERENCE, 20]["checkpoints"] == 3
    assert of[BEFORE, 20]["checkpoints"] == 2 and of[BEFORE, 20]["centred"] > 0.95
    change = of[LABELS[-1], 20]
    assert change["change"] == pytest.approx(change["centred"] - of[REFERENCE, 20]["centred"])
    assert change["p"] < 0.01


def test_random_numbers_scatter_as_one_vector_does_where_checkpoints_have_one_law(tmp_path: Path) -> None:
    """Three checkpoints of the same law are one piece of evidence, not three."""
    of = rows_of(kept(tmp_path, 1e-6))
    assert of[NULL, 20]["centred_error"] == pytest.approx(0.40, abs=0.05)  # of a single similarity


def test_without_knowledge_p_is_uniform_however_alike_the_checkpoints_are() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        truth = np.tile(rng.normal(size=5), (6, 1)) + 0.1 * rng.normal(size=(6, 5))
        sums = np.tile(rng.normal(size=5), (6, 1))
        means = permuted_means(sums, truth)
        assert len(means) == 120
        found.append((means >= means[0] - 1e-9).mean())
    assert np.mean(np.array(found) <= 0.05) < 0.1 and 0.4 < np.mean(found) < 0.6


def test_an_estimate_that_tells_no_group_apart_scores_nothing(tmp_path: Path) -> None:
    path = kept(tmp_path)
    points = read_points(path)
    points[0]["estimates"][LABELS[0]]["sums"] = [1.0] * M
    rows = {(row["estimator"], row["horizon"]): row for row in summary(points).rows}
    before = rows_of(path)[LABELS[0], 20]
    assert rows[LABELS[0], 20]["checkpoints"] == 3
    assert rows[LABELS[0], 20]["centred"] < before["centred"]


def test_holm_adjusts_for_how_many_are_tried() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None, "e": 0.9})
    assert found == pytest.approx({"a": 0.04, "c": 0.09, "b": 0.09, "e": 0.9})


def test_branches_without_a_law_tell_no_groups_apart(tmp_path: Path) -> None:
    noisy, clear = (read_points(kept(tmp_path, noise, LABELS[:1])) for noise in (1.0, 1e-4))
    assert max(law_probabilities(clear, 20)) < 0.01 and len(law_probabilities(clear, 20)) == 3
    assert max(law_probabilities(noisy, 20)) > 0.05 and law_probabilities(noisy, 75) == []


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
        rows = {row["estimator"]: row for row in summary(points).rows if row["horizon"] == 20}
        means.append(rows[OTHER_SEED]["centred"])
        assert rows[OTHER_SEED]["checkpoints"] == 6
        gains = {(p["seed"], p["step"]): np.array(p["laws"][1]["gains"]) for p in points}
        each = [
            fidelity_of(gains[1, step], gains[0, step], centre=True).similarity for step in (200, 500, 1000)
        ]
        assert rows[OTHER_SEED]["centred"] == pytest.approx(np.mean(each))
        assert rows[OTHER_SEED]["centred_error"] is None  # one pair of seeds
    assert means[0] > 0.98 and means[0] > means[1] > means[2]
    estimate = {row["estimator"]: row for row in summary(points).rows if row["horizon"] == 20}[LABELS[0]]
    ours = [np.array(point["estimates"][LABELS[0]]["sums"]) for point in points]
    other = [gains[1 - point["seed"], point["step"]] for point in points]
    assert estimate["elsewhere"] == pytest.approx(
        np.mean([fidelity_of(a, b, centre=True).similarity for a, b in zip(ours, other, strict=True)])
    )


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
    rows = write_report("seven", tmp_path).rows
    first = {name: (tmp_path / name).read_bytes() for name in names}
    assert write_report("seven", tmp_path).rows == rows
    assert first == {name: (tmp_path / name).read_bytes() for name in names}
    assert len(first["pareto.png"]) > 20_000
    assert all(f">{label}<" in first["pareto.svg"].decode() for label in LABELS)
    assert max(map(len, (tmp_path / POINTS).read_text().splitlines())) <= 20_000
    lines = first["table.md"].decode().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("|---")]
    body = lines[starts[0] + 1 : lines.index("", starts[0])]
    assert body[0].startswith(f"| {OTHER_SEED} |") and body[-1].startswith(f"| {NULL} |")
    assert len(body) == len(LABELS) + 4 and {line.count("|") for line in body} == {body[0].count("|")}
    assert next(line for line in body if "| probes 2x4 |" in line).endswith(
        "| 8 | 4096 | 1.5 | 0 | 2.0 | -6.0 |"
    )
    assert "**" in body[-3]
    evidence = lines[starts[1] + 1 :]
    assert len(evidence) == len(LABELS) + 2 and not any(line.startswith(f"| {NULL} |") for line in evidence)


def test_an_overview_averages_what_all_settings_have(tmp_path: Path) -> None:
    rows = {}
    for name, labels in (("one", LABELS[:4]), ("two", LABELS[1:6])):
        (tmp_path / "found" / name).mkdir(parents=True)
        kept(tmp_path / "found" / name, 1e-3, labels, seeds=(0, 1))
        rows[name] = write_report(name, tmp_path / "found" / name)
    write_overview(rows, tmp_path / "found")
    text = (tmp_path / "found.md").read_text()
    line = next(each for each in text.splitlines() if each.startswith(f"| {LABELS[2]} |"))
    one, two = (
        next(row for row in rows[name].rows if (row["estimator"], row["horizon"]) == (LABELS[2], 5))
        for name in rows
    )
    error = np.hypot(one["centred_error"], two["centred_error"]) / 2
    mean = (one["centred"] + two["centred"]) / 2
    assert line.split("|")[2].strip().strip("*") == f"{mean:+.2f} ({error:.2f})"
    assert f"| {LABELS[0]} |" not in text and f"| {LABELS[5]} |" not in text
    assert (tmp_path / "found" / "pareto.png").exists() and "(found/two/table.md)" in text


def test_one_checkpoint_leaves_no_gaps_in_the_table(tmp_path: Path) -> None:
    (point, *_) = read_points(kept(tmp_path, labels=LABELS[:2]))
    for law in point["laws"]:
        law["gain_freedom"] = 0
    text = table("seven", [point], summary([point]).rows)
    assert "0 of 0 over 5 steps" in text and "nan" not in text.lower()


def test_settings_together_tell_more_than_one(tmp_path: Path) -> None:
    """Three groups have six orders, so that no single setting of three can be sure."""
    rng = np.random.default_rng(1)
    points = []
    for seed in (0, 1):
        gains = np.array([0.3, 0.0, -0.3]) + 0.01 * rng.normal(size=3)
        law = {"horizon": 5, "gains": gains.tolist(), "gain_errors": [0.1] * 3, "gain_freedom": 3}
        estimate = {"sums": (gains + 0.01).tolist(), "matrix": True, "cost": COST | {"worth_steps": 9.0}}
        points.append({"seed": seed, "step": 200, "laws": [law], "estimates": {REFERENCE: estimate}})
    one = summary(points)
    alone = next(row["p"] for row in one.rows if row["estimator"] == REFERENCE)
    assert alone == pytest.approx(1 / 6)
    together = over_settings({name: one for name in "abc"})
    found = next(row for row in together if row["estimator"] == REFERENCE)
    assert found["p"] == pytest.approx(1 / 216, abs=0.003) and found["centred"] > 0.99


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
