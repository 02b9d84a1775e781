"""Comparison of runs: arithmetic worked by hand, pairing, refusals, the reading and the CSV."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.analysis.comparison import compare_runs, write_csv
from aioli.analysis.reading import verdict
from aioli.analysis.sequential import Stopping
from aioli.analysis.statistics import interval
from aioli.errors import InputError
from aioli.report.page import render_page

T3 = 4.302652729911275
"""97.5% point of Student's t with 2 degrees of freedom, from a printed table."""
BASE = [(10.0, 20.0), (12.0, 20.0), (11.0, 23.0)]
OTHER = [(9.0, 19.0), (11.0, 18.0), (12.0, 22.0)]


def run(label: str, seed: int, perplexities: tuple[float, ...], **changes: Any) -> dict[str, Any]:
    n = len(perplexities)
    losses = [math.log(p) for p in perplexities]
    result: dict[str, Any] = {
        "id": f"{label}-{seed}",
        "label": label,
        "method": label,
        "parameters": {},
        "seed": seed,
        "groups": ["a", "b"],
        "targets": ["a", "b", "c"][:n],
        "steps": 100,
        "parameters_count": 1000,
        "test": {"loss": losses, "tokens": [500] * n, "bits_per_byte": [loss / 2 for loss in losses]},
        "curve": {"step": [100], "train_loss": [[3.0, None]]},
        "proportions": {"step": [0], "values": [[0.5, 0.5]], "phase": ["train"]},
        "matrices": [],
        "drawn": [50, 50],
        "epochs": [0.5, 1.5],
        "deviation": 0.5,
        "cost": {
            "train_tokens": 1000,
            "evaluation_tokens": 0,
            "probe_steps": 0,
            "flops": 2e9,
            "seconds": 10.0,
        },
    }
    return result | changes


def two_methods(base: list[Any] = BASE, other: list[Any] = OTHER) -> list[dict[str, Any]]:
    return [
        *(run("stratified", seed, values) for seed, values in enumerate(base)),
        *(run("aioli", seed, values) for seed, values in enumerate(other)),
    ]


def method(results: dict[str, Any], label: str) -> dict[str, Any]:
    return next(entry for entry in results["methods"] if entry["label"] == label)


def test_three_seeds_worked_by_hand() -> None:
    results = compare_runs(two_methods())
    base, other = method(results, "stratified"), method(results, "aioli")
    # mean perplexities over targets: 15, 16, 17 and 14, 14.5, 17
    level = base["test"]["perplexity"]
    assert [level[key] for key in ("mean", "sd")] == pytest.approx([16.0, 1.0])
    assert level["high"] == pytest.approx(16.0 + T3 / math.sqrt(3))
    # paired differences -1, -1.5, 0: mean -5/6, variance 7/12
    half = T3 * math.sqrt(7 / 12) / math.sqrt(3)
    difference = other["difference"]["perplexity"]
    assert [difference[key] for key in ("mean", "low", "high")] == pytest.approx(
        [-5 / 6, -5 / 6 - half, -5 / 6 + half]
    )
    assert other["relative"]["mean"] == pytest.approx((-100 / 15 - 150 / 16) / 3)
    # target a: differences -1, -1, +1; target b: -1, -2, -1
    means = [target["mean"] for target in difference["per_target"]]
    assert means == pytest.approx([-1 / 3, -4 / 3])
    assert difference["per_target"][0]["high"] == pytest.approx(-1 / 3 + T3 * math.sqrt(4 / 3) / math.sqrt(3))


def test_a_tie_is_not_a_win_and_the_baseline_has_no_difference() -> None:
    results = compare_runs(two_methods())
    assert (method(results, "aioli")["wins"], method(results, "aioli")["of"]) == (2, 3)
    base = method(results, "stratified")
    assert base["difference"] is base["relative"] is base["wins"] is None
    assert base["cost"]["seconds_ratio"] == 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.floats(-1e3, 1e3), st.floats(0.1, 10))
def test_interval_follows_shift_and_scale(values: list[float], shift: float, scale: float) -> None:
    plain = interval(values)
    moved = interval([shift + scale * value for value in values])
    assert plain.mean is not None and plain.low is not None and plain.high is not None
    assert plain.low <= plain.mean <= plain.high
    assert moved.low == pytest.approx(shift + scale * plain.low, rel=1e-6, abs=1e-5)


def test_no_value_and_not_finite_values_have_no_mean() -> None:
    assert interval([]) == interval([1.0, math.nan]) == interval([math.inf, 1.0]) == (None,) * 4


def test_missing_seeds_are_left_out_of_pairs_and_named() -> None:
    runs = two_methods()
    del runs[4]  # aioli, seed 1
    results = compare_runs(runs)
    other = method(results, "aioli")
    assert (other["seeds"], other["missing_seeds"], other["of"]) == ([0, 2], [1], 2)
    assert other["difference"]["perplexity"]["mean"] == pytest.approx(-0.5)
    assert method(results, "stratified")["test"]["perplexity"]["mean"] == pytest.approx(16.0)
    assert "aioli has no result for seed 1" in results["reading"]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf, 1e4, 1e300])
def test_a_diverged_run_counts_as_missing(bad: float | None, tmp_path: Path) -> None:
    runs = two_methods()
    runs[5]["test"]["loss"][0] = bad
    results = compare_runs(runs)
    assert method(results, "aioli")["missing_seeds"] == [2]
    assert [(failed["label"], failed["seed"]) for failed in results["failures"]] == [("aioli", 2)]
    assert "on a" in results["failures"][0]["message"]
    assert "aioli has no result for seed 2" in results["reading"]
    json.dumps(results, allow_nan=False)
    write_csv(results, tmp_path / "results.csv")
    render_page(results)


def test_no_shared_seed_leaves_differences_empty() -> None:
    runs = [run("stratified", 0, BASE[0]), run("aioli", 1, OTHER[0])]
    results = compare_runs(runs)
    other = method(results, "aioli")
    assert (other["of"], other["wins"]) == (0, 0)
    assert other["difference"]["perplexity"] == {
        "mean": None, "low": None, "high": None, "sd": None, "per_target": []
    }  # fmt: skip
    assert "no seed in common" in results["reading"]


def test_one_seed_has_no_interval_and_says_so() -> None:
    results = compare_runs(two_methods(BASE[:1], OTHER[:1]))
    change = method(results, "aioli")["difference"]["perplexity"]
    assert (change["mean"], change["low"], change["sd"]) == (pytest.approx(-1.0), None, None)
    assert "has no interval for aioli (-1.00, -6.67%" in results["reading"]
    assert "With 1 seed this is an illustration, not a claim" in results["reading"]


def test_the_time_of_short_runs_is_not_compared() -> None:
    short = [changed | {"cost": changed["cost"] | {"seconds": 4.0}} for changed in two_methods()]
    assert "Wall-clock" not in compare_runs(short)["reading"]
    assert "Wall-clock" in compare_runs(two_methods())["reading"]


def test_reading_of_five_seeds() -> None:
    base = [(20.0 + seed, 20.0) for seed in range(5)]
    better = [(19.0 + seed, 20.0 - 0.1 * seed) for seed in range(5)]
    noisy = [(20.0 + seed + (-1) ** seed, 20.0) for seed in range(5)]
    runs = [
        *(run("stratified", seed, values) for seed, values in enumerate(base)),
        *(run("aioli", seed, values, cost={"seconds": 12.5}) for seed, values in enumerate(better)),
        *(run("matched", seed, values) for seed, values in enumerate(noisy)),
    ]
    results = compare_runs(runs)
    reading = results["reading"]
    assert results["illustration"] is False and "illustration" not in reading
    # differences -0.5, -0.55 .. -0.7: mean -0.6, sd 0.0791, t(4) = 2.776, half width 0.0982
    assert "lower for aioli (-0.60, 95% interval -0.70 to -0.50, lower on 5 of 5 seeds)" in reading
    assert "The 95% interval includes zero for matched" in reading
    assert "cannot tell it from stratified: 5 seeds easily miss changes below" in reading
    assert "From seed to seed stratified itself varies by 3." in reading
    assert "about 1.25x for aioli" in reading
    assert 2 <= reading.count(". ") + 1 <= 6


def test_a_reading_of_many_methods_stays_short() -> None:
    runs = two_methods()
    for number in range(7):
        runs += [run(f"other-{number}", seed, values) for seed, values in enumerate(OTHER[:2])]
    reading = compare_runs(runs)["reading"]
    assert "other-0, other-1, other-2" in reading and len(reading) < 700
    assert "from about 1.00x (" in reading
    assert "other-5, and other-6 have no result for seed 2" in reading


def test_illustration_follows_the_fewest_pairs() -> None:
    five = [(20.0 + seed, 20.0) for seed in range(5)]
    assert compare_runs(two_methods(five, five))["illustration"] is False
    assert compare_runs(two_methods(five, five[:4]))["illustration"] is True


def test_bits_per_byte_unknown_is_null_everywhere() -> None:
    runs = two_methods()
    for each in runs:
        each["test"]["bits_per_byte"] = [None, 1.5]
    other = method(compare_runs(runs), "aioli")
    assert other["test"]["bits_per_byte"]["mean"] is None
    assert [target["mean"] for target in other["test"]["bits_per_byte"]["per_target"]] == [None, 1.5]
    assert other["difference"]["bits_per_byte"]["mean"] is None


def test_costs_are_means_and_paired_ratios() -> None:
    runs = two_methods()
    for seed, each in enumerate(runs[3:]):
        each["cost"] = {"seconds": 20.0 + 10 * seed, "probe_steps": 8, "split": {"training": 1.0 + seed}}
    cost = method(compare_runs(runs), "aioli")["cost"]
    assert (cost["seconds"], cost["probe_steps"], cost["seconds_ratio"]) == (30.0, 8.0, 3.0)
    assert cost["split"] == {"training": 2.0}
    assert cost["flops"] is cost["flops_ratio"] is None


def test_without_a_baseline_nothing_is_compared() -> None:
    results = compare_runs([run("aioli", seed, values) for seed, values in enumerate(OTHER)])
    assert results["baseline"] is None
    assert method(results, "aioli")["difference"] is None
    assert results["reading"].startswith("No baseline was run")
    only = compare_runs([run("stratified", 0, BASE[0])])
    assert only["reading"].startswith("Only the baseline, stratified, was run")


def test_a_run_that_failed_is_named() -> None:
    failures = [{"label": "matched", "seed": 0, "message": "out of memory"}]
    results = compare_runs(two_methods(), failures=failures)
    assert results["failures"] == failures
    assert "matched has no finished run" in results["reading"]


def test_another_baseline_and_the_nearest_name() -> None:
    assert method(compare_runs(two_methods(), "aioli"), "stratified")["wins"] == 0
    with pytest.raises(InputError, match=r"'stratifed' is not among.*did you mean 'stratified'"):
        compare_runs(two_methods(), "stratifed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a", "x"]}, "same groups"),
        ({"targets": ["a", "x"]}, "same targets"),
        ({"steps": 7}, r"same steps: run stratified-0 has 100, run aioli-2 has 7"),
        ({"parameters_count": 7}, "same parameters_count"),
        ({"test": {"loss": [1.0, 2.0], "tokens": [1, 2]}}, "different numbers of tokens"),
        ({"seed": 0}, "two runs of seed 0"),
        ({"parameters": {"eta": 1}}, "both labelled 'aioli'"),
    ],
)
def test_runs_that_cannot_be_compared(change: dict[str, Any], message: str) -> None:
    runs = two_methods()
    runs[-1] |= change
    with pytest.raises(InputError, match=message):
        compare_runs(runs)


def test_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="at least one finished run"):
        compare_runs([])


def test_assumptions_of_the_runs_are_kept_once() -> None:
    runs = two_methods()
    for each in runs:
        each["cost"]["assumptions"] = {"energy": "15 W a core."}
    assert compare_runs(runs)["assumptions"]["energy"] == "15 W a core."


def test_data_from_the_index() -> None:
    split = {"tokens": 100, "documents": 4, "bytes": 350, "sha256": ""}
    index = {"splits": {"a": {"train": split, "validation": split, "test": split}, "c": {"test": split}}}
    runs = [run("stratified", 0, (10.0, 11.0, 12.0))]
    rows = {row["name"]: row for row in compare_runs(runs, corpus_index=index)["data"]}
    assert rows["a"]["train_tokens"] == 100 and rows["a"]["documents"] == 12
    assert rows["a"]["bytes_per_token"] == 3.5
    assert (rows["c"]["role"], rows["c"]["train_tokens"], rows["c"]["test_tokens"]) == ("target", None, 100)
    assert (rows["b"]["role"], rows["b"]["documents"]) == ("group", None)


def test_json_round_trip_and_time_stamp() -> None:
    results = compare_runs(two_methods(), config={"title": "T", "objective": "mean_loss"}, created="now")
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert (results["title"], results["objective"], results["created"]) == ("T", "mean_loss", "now")


def test_csv_has_every_seed_target_and_metric(tmp_path: Path) -> None:
    results = compare_runs(two_methods())
    write_csv(results, tmp_path / "out" / "results.csv")
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"method", "seed", "target", "metric", "value"}
    assert len({tuple(list(row.values())[:4]) for row in rows}) == len(rows)
    value = {(row["method"], row["seed"], row["target"], row["metric"]): row["value"] for row in rows}
    noise = method(results, "aioli")["noise"]
    assert float(value["aioli", "", "", "change_percent_detectable"]) == noise["detectable"]
    assert int(value["aioli", "", "", "change_seeds_needed"]) == noise["seeds"]
    assert float(value["stratified", "", "", "spread_percent"]) == pytest.approx(100 / 16)
    assert float(value["aioli", "1", "b", "perplexity"]) == pytest.approx(18.0)
    assert float(value["aioli", "1", "", "perplexity"]) == pytest.approx(14.5)
    assert value["aioli", "1", "", "joules"] == ""
    assert np.isclose(float(value["stratified", "0", "", "seconds"]), 10.0)


def test_the_noise_of_the_percent_change_stands_beside_it() -> None:
    changes = [100 * (28 / 30 - 1), 100 * (29 / 32 - 1), 0.0]  # means over targets of the two methods
    noise = compare_runs(two_methods())["methods"][1]["noise"]
    assert noise["sd"] == pytest.approx(np.std(changes, ddof=1), rel=1e-9)
    assert noise["detectable"] > abs(np.mean(changes)) and noise["seeds"] > 3
    assert compare_runs(two_methods())["methods"][0]["noise"] is None
    one_seed = compare_runs(two_methods(BASE[:1], OTHER[:1]))["methods"][1]
    assert one_seed["noise"] is None and one_seed["decided"] is None


def test_seeds_added_until_decided_get_an_interval_that_allows_it() -> None:
    base = [(10.0 + 0.1 * seed, 20.0) for seed in range(6)]
    better = [(9.0 + 0.1 * seed, 18.0 + 0.05 * (seed % 2)) for seed in range(6)]
    fixed = compare_runs(two_methods(base, better))
    found = compare_runs(two_methods(base, better), stopping=Stopping(margin=0.5))
    method, plain = found["methods"][1], fixed["methods"][1]
    assert method["decided"] == {"verdict": "lower", "seeds": 4, "pairs": 4} and verdict(method) == "lower"
    assert method["seeds"] == found["methods"][0]["seeds"] == [0, 1, 2, 3]  # later runs do not count
    assert not found["illustration"] and "decided after 4 seeds" in found["reading"]
    render_page(found)
    assert method["relative"]["low"] < plain["relative"]["low"] < plain["relative"]["high"] < 0
    assert "confidence sequences" in found["assumptions"]["stopping"]
    early = compare_runs(two_methods(base[:3], better[:3]), stopping=Stopping(least=2))["methods"][1]
    assert early["decided"]["verdict"] is None and verdict(early) == "unknown"
