"""The page in a real browser, narrow and wide, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from aioli.analysis.comparison import compare_runs
from aioli.report.page import write_page

pytestmark = pytest.mark.requires("browser")
Runs = Callable[..., list[dict[str, Any]]]
LONG_NAMES = tuple(f"a-long-group-name-{number:02d}" for number in range(30))
SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "many": {"seeds": 5, "groups": LONG_NAMES, "targets": ("one", "two")},
    "least": {"seeds": 1, "methods": ("aioli",), "groups": ("only",), "bits": False},
}


@pytest.fixture(scope="module")
def pages(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pages")
    for name, shape in SHAPES.items():
        write_page(compare_runs(runs(**shape), config={"title": name}), directory / f"{name}.html")
    return {name: directory / f"{name}.html" for name in SHAPES}


def opened(browser: Browser, path: Path, width: int, scheme: Any = "light") -> tuple[Page, list[str]]:
    """The page at a width, and everything it said or fetched."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page, said


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [400, 1400])
def test_plots_are_drawn_and_nothing_overflows(
    browser: Browser, pages: dict[str, Path], shape: str, width: int
) -> None:
    page, said = opened(browser, pages[shape], width)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    figures = page.locator("figure").all()
    assert len(figures) >= 6
    for figure in figures:
        drawing = figure.locator("svg[role=img]")
        box = drawing.bounding_box()
        assert box is not None and box["width"] > 200 and box["height"] > 40
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        drawn = drawing.evaluate(
            """svg => {
              const shapes = [...svg.querySelectorAll("g path, g use")].map((each) => each.getBBox());
              return {shapes: shapes.filter((box) => box.width > 0 || box.height > 0).length,
                      height: svg.getBBox().height, texts: svg.querySelectorAll("text").length};
            }"""
        )
        least = 1 if shape == "least" else 5  # a matrix of one group is one cell
        assert drawn["shapes"] >= least and drawn["texts"] > 2 and drawn["height"] > 30
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screenshot_is_not_blank(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    page, _ = opened(browser, pages["usual"], 1400, scheme)
    shot = page.locator("figure svg[role=img]").first.screenshot()
    pixels = np.asarray(Image.open(BytesIO(shot)).convert("RGB"), dtype=float)
    corner = pixels[0, 0].mean()
    assert (corner > 200) == (scheme == "light")
    assert 0.002 < (np.abs(pixels - corner).max(axis=-1) > 60).mean() < 0.5
    page.close()


def test_text_stays_inside_the_drawing(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["many"], 1400)
    outside = page.evaluate(
        """[...document.querySelectorAll("figure svg[role=img]")].flatMap((svg) => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll("text")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 2 || box.right > frame.right + 12 || box.bottom > frame.bottom + 2;
          }).map((text) => text.textContent);
        })"""
    )
    assert outside == []
    page.close()


def test_sorting_a_table(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["usual"], 1400)
    table = page.locator("#summary table")

    def order() -> list[str]:
        return table.locator("tbody th").all_inner_texts()

    heading = table.get_by_role("button", name="Test perplexity")
    heading.click()
    assert order() == ["aioli", "matched", "stratified", "temperature(tau=2)"]
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"
    heading.click()
    assert order() == ["temperature(tau=2)", "stratified", "matched", "aioli"]
    table.get_by_role("button", name="Method").click()
    assert order() == ["aioli", "matched", "stratified", "temperature(tau=2)"]
    assert table.locator("[aria-sort]").count() == 1
    page.close()


def test_the_csv_can_be_saved(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    page, _ = opened(browser, pages["usual"], 1400)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download every seed as CSV").click()
    assert download.value.suggested_filename == "results.csv"
    download.value.save_as(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text().startswith("method,seed,target,metric,value\n")
    page.close()
