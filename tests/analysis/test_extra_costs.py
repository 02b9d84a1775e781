"""What extra runs cost, worked by hand, and where a reader sees it."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from rich.console import Console

from aioli.analysis.comparison import compare_runs
from aioli.analysis.extra import total_cost, with_extra
from aioli.analysis.tidy import csv_text
from aioli.report.page import render_page
from aioli.report.table import print_table


def run(key: str, seconds: float = 10.0, **changes: Any) -> dict[str, Any]:
    return {
        "id": key,
        "label": key,
        "method": key,
        "parameters": {},
        "seed": 0,
        "groups": ["a"],
        "targets": ["a"],
        "steps": 100,
        "parameters_count": 1000,
        "test": {"loss": [math.log(20.0)], "tokens": [500], "bits_per_byte": [1.0]},
        "curve": {"step": [100], "train_loss": [[3.0]]},
        "proportions": {"step": [0], "values": [[1.0]], "phase": ["train"]},
        "matrices": [],
        "drawn": [50],
        "epochs": [0.5],
        "deviation": 0.5,
        "cost": {
            "train_tokens": 1000, "evaluation_tokens": 0, "probe_steps": 0,
            "flops": 6e9, "joules": 15 * seconds, "seconds": seconds,
        },
    } | changes  # fmt: skip


REFERENCE = run("stratified", validation={"flops": 0.5e9})
PROXY = run("proxy", 20.0, inputs={"reference": "stratified"})
FINAL = run("doremi", 10.0, inputs={"mixture": "proxy"})
RUNS = {each["id"]: each for each in (REFERENCE, PROXY, FINAL)}


def test_a_run_is_charged_with_all_that_had_to_come_before_it_once() -> None:
    both = FINAL | {"inputs": {"mixture": "proxy", "reference": "stratified"}}
    for final in (FINAL, both):
        found = with_extra(final, RUNS.get)
        assert sorted(found["extra"]["runs"]) == ["proxy", "stratified"]
        assert total_cost(found) == {
            "train_tokens": 3000, "flops": 18.5e9, "joules": 600.0, "seconds": 40.0,
        }  # fmt: skip
    assert with_extra(REFERENCE, RUNS.get) == REFERENCE
    assert total_cost(REFERENCE)["train_tokens"] == 1000


def test_what_a_lost_run_cost_is_not_known() -> None:
    found = with_extra(FINAL, {"proxy": PROXY}.get)
    assert len(found["extra"]["runs"]) == 2
    assert total_cost(found) == dict.fromkeys(("train_tokens", "flops", "joules", "seconds"))


def compared() -> dict[str, Any]:
    return compare_runs([REFERENCE, with_extra(FINAL, RUNS.get)], created="now")


def test_the_summary_has_own_cost_and_cost_in_all() -> None:
    base, final = compared()["methods"]
    assert (base["extra_runs"], final["extra_runs"]) == (0, 2)
    assert final["cost"]["train_tokens"] == 1000 and final["cost"]["seconds_ratio"] == 1.0
    total = final["cost"]["total"]
    assert (total["train_tokens_ratio"], total["seconds_ratio"]) == (3.0, 4.0)
    assert total["flops_ratio"] == pytest.approx(18.5 / 6)
    assert base["cost"]["total"]["train_tokens_ratio"] == 1.0


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_says_it(width: int) -> None:
    text = io.StringIO()
    print_table(compared(), Console(file=text, width=width))
    told = text.getvalue()
    assert "extra runs" in told and "3.00x tokens" in told
    assert "training tokens relative to stratified: doremi 2 (3.00x)" in " ".join(told.split())


def test_the_page_and_the_csv_say_it() -> None:
    results = compared()
    page = render_page(results)
    for text in ("Extra runs", "Training tokens in all", "charged in full to each of them"):
        assert text in page
    rows = {
        (row["method"], row["metric"]): row["value"]
        for row in csv.DictReader(io.StringIO(csv_text(results)))
        if not row["target"]
    }
    assert rows["doremi", "extra_runs"] == "2" and rows["stratified", "extra_runs"] == "0"
    assert (rows["doremi", "train_tokens"], rows["doremi", "train_tokens_in_all"]) == ("1000", "3000")
    assert rows["doremi", "seconds_in_all"] == "40.0"


def test_without_extra_runs_nothing_is_said_of_them() -> None:
    results = compare_runs([REFERENCE, run("aioli")], created="now")
    assert (
        "extra runs" not in results["assumptions"]
        and "xtra runs" not in render_page(results).split("<script")[0]
    )
