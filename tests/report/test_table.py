"""The terminal table: complete at 80 columns, plain where there is no terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from aioli.analysis.comparison import compare_runs
from aioli.report.table import print_table

Runs = Callable[..., list[dict[str, Any]]]


def printed(results: dict[str, Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table(results, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_nothing_is_cut(runs: Runs, width: int) -> None:
    results = compare_runs(runs())
    text = printed(results, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text and "…" not in text
    words = " ".join(text.split())
    assert results["reading"] in words
    for expected in ("3 of 3", "0 of 3", "280", "1.31x", "1.32M", "baseline", "bits/byte", "eval tokens"):
        assert expected in words
    change = next(m for m in results["methods"] if m["label"] == "aioli")["difference"]["perplexity"]
    assert f"{change['mean']:.2f}" in words and f"{change['low']:.2f} to {change['high']:.2f}" in words


def test_one_seed_and_no_bits_per_byte(runs: Runs) -> None:
    text = printed(compare_runs(runs(seeds=1, bits=False)), 80)
    assert "its 95% interval" not in text and not re.search(r"\d to [-+]?\d", text)
    assert "–" in text


def test_without_a_baseline(runs: Runs) -> None:
    text = printed(compare_runs(runs(methods=("aioli",))), 80)
    assert "difference" not in text and "wins" not in text
    assert "No baseline was run" in text


def test_square_brackets_in_a_label_are_text(runs: Runs) -> None:
    results = compare_runs(runs(methods=("stratified", "static[bold]")))
    assert "static[bold]" in "".join(printed(results, 80).split())
