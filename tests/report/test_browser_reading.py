"""Every kind of page on a telephone: nothing overflows, and all of it can be read, reached and told apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from aioli.analysis.comparison import compare_runs
from aioli.fitting.fit import fit
from aioli.report.law_page import write_diagnosis_page, write_fit_page
from aioli.report.live import Going, Live
from aioli.report.page import fill_page, page_parts
from aioli.table import Table

Make = Callable[..., Any]
SEEN = """() => {
  const shown = (each) => each.getClientRects().length > 0 && !each.closest(".hidden");
  const size = (text) => {
    const svg = text.closest("svg");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    return scale * parseFloat(getComputedStyle(text).fontSize);
  };
  const all = (names) => [...document.querySelectorAll(names)].filter(shown);
  const texts = all("p, li, th, td, small, dd, label, figcaption, svg text");
  const headings = all("h1, h2, h3, h4");
  const least = (box) => Math.min(box.width, box.height);
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  return {
    width: document.documentElement.scrollWidth,
    small: texts.filter((each) => size(each) < 11.5).map((each) => each.textContent),
    narrow: all("a, button, select, input, summary")
      .filter((each) => least(each.getBoundingClientRect()) < 24).map((each) => each.outerHTML),
    skipped: headings.filter((each, i) => i > 0 && each.localName[1] - headings[i - 1].localName[1] > 1)
      .map((each) => each.textContent),
    repeated: ids.filter((id, i) => ids.indexOf(id) !== i),
    held: all(".scroll").filter((each) => each.scrollWidth > each.clientWidth)
      .map((each) => getComputedStyle(each).overflowX === "auto" && each.tabIndex === 0),
  };
}"""


def going(step: int) -> Live:
    at = list(range(10, step + 1, 10))
    series = {"step": at, "values": [[0.5, 0.3, 0.2]] * len(at)}
    curve = {"step": at, "train_loss": [[9.0 - k / 10, 8.0 - k / 10, 7.0] for k in range(len(at))]}
    run = Going("aioli", 5, "running", 1000, step, 3.0, 60.0, series, curve)
    return Live("Fish", 13, 12, ("a", "b", "c"), (run,))


@pytest.fixture(scope="module")
def pages(runs: Make, diagnosis: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    where = tmp_path_factory.mktemp("kinds")
    results = compare_runs(runs(groups=("a", "b", "c"), seeds=2), config={"title": "Fish"})
    parts = page_parts(results, [diagnosis()])
    (where / "comparison.html").write_text(fill_page(parts))
    (where / "live.html").write_text(fill_page(parts, going(80)))
    write_diagnosis_page(diagnosis(seeds=2), where / "diagnosis.html")
    mixtures = np.random.default_rng(2).dirichlet(np.full(3, 2.0), size=20)
    names = tuple(f"run{k}" for k in range(20))
    losses = 3 - mixtures @ np.array([[1.0, 0.4], [0.3, 1.2], [0.6, 0.5]])
    table = Table(groups=("a", "b", "c"), names=names, mixtures=mixtures, targets=("x", "y"), losses=losses)
    write_fit_page(fit(table, "linear", replicates=4, splits=1), where / "fit.html")
    return {path.stem: path for path in where.iterdir()}


@pytest.mark.requires("browser")
@pytest.mark.parametrize("kind", ["comparison", "live", "diagnosis", "fit"])
def test_a_narrow_page_can_be_read_and_reached(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(pages[kind].as_uri())
    seen = page.evaluate(SEEN)
    assert seen["width"] <= 400
    assert seen["small"] == [] and seen["narrow"] == [] and seen["skipped"] == [] and seen["repeated"] == []
    assert all(seen["held"])
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert page.evaluate("document.activeElement !== document.body") and outline != "none"
    page.close()


@pytest.mark.requires("browser")
def test_a_legend_stays_with_its_plots(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(pages["comparison"].as_uri())
    page.locator("#losses figure").last.evaluate("figure => figure.scrollIntoView({behavior: 'instant'})")
    box = page.locator("#losses > .legend").bounding_box()
    assert box is not None and 0 <= box["y"] < 100
    page.close()


def test_proportions_of_a_run_that_goes_on_end_where_it_is() -> None:
    drawn = going(80).sections[0].figures[0].svg
    path = re.search(r'd="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: var\(--series-0\)', drawn)
    assert path is not None
    places = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", path[1])]
    assert max(places) < 50 + 0.1 * (340 - 50)


def test_the_reading_of_many_methods_is_short(runs: Make) -> None:
    methods = ("stratified", *(f"worse-{k}" for k in range(5)))
    results = runs(methods=methods, seeds=3)
    for result in results:
        if result["label"] != "stratified":
            result["test"]["loss"] = [loss + 0.5 for loss in result["test"]["loss"]]
    compared = compare_runs(results)
    first, *others = page_parts(compared)["reading"]
    assert compared["reading"].count("interval") > 4 and "interval" not in first and "for worse-4." in first
    assert others and all(sentence.endswith(".") for sentence in others)
