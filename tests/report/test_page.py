"""The page as text: self-contained, deterministic, escaped, and complete for every shape of results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.analysis.comparison import compare_runs
from aioli.report.page import render_page, write_page
from aioli.report.plots import dot_chart, style
from aioli.report.series import MANY, gather, proportions, select

Runs = Callable[..., list[dict[str, Any]]]
NOW = "2026-01-02T03:04:05+00:00"


class Reader(HTMLParser):
    """Collects links, identifiers, figures and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.labels: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [values[key] or "" for key in ("href", "src", "xlink:href") if key in values]
        if values.get("id"):
            self.ids.append(values["id"] or "")
        if tag == "svg" and values.get("role") == "img":
            self.labels.append(values["aria-label"] or "")


SMALL: dict[str, Any] = {"methods": ("stratified", "aioli"), "seeds": 2, "groups": ("law", "code")}


@pytest.fixture(scope="module")
def usual(runs: Runs) -> dict[str, Any]:
    config = {"title": "Seven groups", "train": {"steps": 1000}}
    return compare_runs(runs(), config=config, created=NOW)


@pytest.fixture(scope="module")
def usual_page(usual: dict[str, Any]) -> tuple[str, Reader]:
    return page(usual)


def page(results: dict[str, Any]) -> tuple[str, Reader]:
    text = render_page(results)
    return text, Reader(text)


def test_nothing_is_fetched(usual_page: tuple[str, Reader]) -> None:
    text, reader = usual_page
    assert reader.links and all(link.startswith(("#", "data:")) for link in reader.links)
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    assert "default-src 'none'" in text


def test_same_results_same_bytes(runs: Runs, tmp_path: Path) -> None:
    results = compare_runs(runs(**SMALL), created=NOW)
    write_page(results, tmp_path / "a.html")
    write_page(json.loads(json.dumps(results)), tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_failed_write_keeps_the_old_page(runs: Runs, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_page(compare_runs(runs(**SMALL)), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_every_section_and_figure(usual_page: tuple[str, Reader]) -> None:
    text, reader = usual_page
    for part in (
        "summary",
        "targets",
        "proportions",
        "losses",
        "matrix-0",
        "costs",
        "two-runs",
        "data",
        "notes",
    ):
        assert part in reader.ids
    # 3 changes, 4 mixtures, 7 losses, 6 rounds of one matrix, 1 of predictions, 2 costs
    assert len(reader.labels) == 3 + 4 + 7 + 6 + 1 + 2
    assert all(reader.labels) and reader.tags.count("figcaption") == len(reader.labels)
    assert "aioli, R2 0.70, trend R2 0.10, covered 93%" in text
    assert "<h1>Seven groups</h1>" in text and "steps: 1000" in text
    assert "An illustration, not a claim" in text and "15 W for a busy CPU core." in text
    assert "aioli: probes take 28% of each round" in text


def test_results_are_inside_and_unharmed(usual: dict[str, Any], usual_page: tuple[str, Reader]) -> None:
    text, _ = usual_page
    found = re.search(r'<script type="application/json" id="results">(.*?)</script>', text, re.DOTALL)
    assert found and json.loads(found[1]) == usual


def test_names_are_text_not_markup(runs: Runs) -> None:
    name = '<script>alert("x")</script>'
    results = compare_runs(
        runs(methods=("stratified", name), groups=(name, "a&b", "$x_1$")), config={"title": name}
    )
    text, reader = page(results)
    assert reader.tags.count("script") == 2
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert "a&amp;b" in text and "$x_1$" in text


def test_letters_no_font_here_has(runs: Runs) -> None:
    text = render_page(compare_runs(runs(groups=("法律", "コード"), seeds=2)))
    assert "法律" in text


@pytest.mark.parametrize(
    "shape",
    [
        {"seeds": 1},
        {"seeds": 1, "methods": ("aioli",), "bits": False},
        {"methods": ("stratified",), "groups": ("only",)},
        {"groups": ("only",), "targets": ("one", "two"), "methods": ("stratified", "aioli")},
        {"targets": ("held-out",)},
        {"seeds": 5, "groups": tuple(f"group-{i:02d}" for i in range(30)), "targets": ("one", "two")},
    ],
    ids=["one seed", "no baseline", "one group", "two targets", "one target", "thirty groups"],
)
def test_every_shape_of_results(runs: Runs, shape: dict[str, Any]) -> None:
    _, reader = page(compare_runs(runs(**shape)))
    assert len(reader.labels) >= 5 and not any("nan" in label for label in reader.labels)


def test_thirty_groups_share_panels(runs: Runs) -> None:
    groups = tuple(f"group-{i:02d}" for i in range(30))
    text, reader = page(compare_runs(runs(groups=groups, seeds=1, methods=("stratified", "aioli"))))
    losses = [label for label in reader.labels if label.startswith("Training loss on")]
    assert len(losses) == MANY and losses[-1].startswith("Training loss on 19 others, mean")
    assert text.count("group-29") >= 1  # the ledger still has every group


def test_a_method_without_finished_runs(runs: Runs) -> None:
    results = runs(methods=("stratified", "aioli"), seeds=2)
    for result in results[2:]:
        result["test"]["loss"][0] = None
    text, reader = page(compare_runs(results))
    assert "no result for seed 0, 1" in text
    assert len(reader.labels) > 5


def test_failures_are_shown(runs: Runs) -> None:
    failed = [{"label": "matched", "seed": 3, "message": "killed by signal 9"}]
    assert "matched, seed 3 did not finish: killed by signal 9" in render_page(
        compare_runs(runs(**SMALL), failures=failed)
    )


def test_seeds_with_other_steps_are_not_averaged(runs: Runs) -> None:
    results = runs(methods=("stratified", "aioli"), seeds=2)
    results[3]["proportions"]["step"] = [step + 1 for step in results[3]["proportions"]["step"]]
    compared = compare_runs(results)
    series = proportions(compared, compared["methods"][1])
    assert series is not None and series.seeds == (0,)
    assert series.steps[-1] == compared["steps"]
    assert np.allclose(series.mean.sum(axis=1), 1.0)


def test_selection_keeps_the_movers_in_order() -> None:
    movement = np.arange(20.0)
    chosen = select(movement)
    assert chosen.shown == tuple(range(9, 20)) and chosen.rest == tuple(range(9))
    assert gather(movement, chosen).tolist() == [*range(9, 20), 4.0]
    assert select(np.ones(MANY)).rest == ()


def test_dot_chart_leaves_out_what_is_not_known() -> None:
    rows = np.array([[1.0, 0.5, 1.5], [2.0, np.nan, np.nan]])
    svg = dot_chart(
        ["a", "b"], rows, "label", x_label="x", limits=(0, 3), colours=[style(0), style(1)], zero=False
    )
    assert svg.count("stroke: var(--series-0)") == 1 and "stroke: var(--series-1); stroke-width: 2" not in svg
    assert "#" not in re.sub(r'"(url\()?#\w+\)?"', "", svg)
