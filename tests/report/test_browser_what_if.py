"""Sliders, choices and two runs in a real browser, against what Python predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from aioli.analysis.comparison import compare_runs
from aioli.fitting.fit import Fit, fit
from aioli.protocol import Array
from aioli.report.law_page import write_diagnosis_page, write_fit_page
from aioli.report.page import write_page
from aioli.report.what_if import thinned
from aioli.table import Table

pytestmark = pytest.mark.requires("browser")
Make = Callable[..., Any]
LAWS = [
    "linear",
    "log_linear",
    "bimix",
    "additive",
    "effective",
    {"average": {"members": ["linear", "bimix"]}},
]


def opened(browser: Browser, path: Path, width: int = 1000) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    return page


def shares(section: Locator) -> Array:
    return np.array([float(each.get_attribute("data-share")) for each in section.locator("input").all()])


def column(section: Locator, place: int) -> Array:
    """[n, 3] value, low and high of a column of predictions; NaN where there is no interval."""
    cells = section.locator(f"tbody tr td:nth-of-type({place})").all()
    ends = [[cell.get_attribute(f"data-{key}") for key in ("value", "low", "high")] for cell in cells]
    return np.array([[np.nan if end is None else float(end) for end in row] for row in ends])


def planted(scaled: bool = False) -> Table:
    rng = np.random.default_rng(2)
    mixtures = rng.dirichlet(np.full(3, 2.0), size=24)
    mixtures = 0.8 * mixtures + 0.2 / 3
    losses = 2 + 0.3 * (mixtures @ np.array([[1.0, 0.4], [0.3, 1.2], [0.6, 0.5]]) + 0.05) ** -0.5
    names = tuple(f"run{k}" for k in range(24))
    tokens = np.where(np.arange(24) % 2, 1e6, 3e6) if scaled else None
    noise = 0.003 * rng.standard_normal((24, 2))
    extra = 0.0 if tokens is None else 40 * tokens[:, None] ** -0.4
    return Table(
        groups=("a", "b", "c"),
        names=names,
        mixtures=mixtures,
        tokens=tokens,
        targets=("x", "y"),
        losses=losses + extra + noise,
    )


def check_fit(section: Locator, fitted: Fit) -> None:
    """The numbers on the screen are those of the fit with the page's replicates."""
    p, start = shares(section), fitted.table.mixtures.mean(axis=0)
    tokens = None if fitted.table.tokens is None else np.array([fitted.table.tokens.max()])
    known = replace(fitted, replicates=thinned(fitted))
    here, there = (known.predict(mixture[None], None, tokens) for mixture in (p, start))
    expected = np.stack([here.losses[0], here.low[0], here.high[0]], axis=1)
    np.testing.assert_allclose(column(section, 1)[:-1], expected, atol=1e-6)
    np.testing.assert_allclose(column(section, 2)[:-1, 0], there.losses[0], atol=1e-6)
    each = np.array([one.predict(p[None], None, tokens)[0] for one in known.replicates])
    each -= np.array([one.predict(start[None], None, tokens)[0] for one in known.replicates])
    low, high = np.quantile(each, [0.025, 0.975], axis=0)
    change = column(section, 3)
    np.testing.assert_allclose(change[:-1, 1:], np.stack([low, high], axis=1), atol=1e-6)
    np.testing.assert_allclose(change[-1, 0], (here.losses - there.losses)[0] @ fitted.weights, atol=1e-6)
    outside = float(section.get_attribute("data-outside") or "nan")
    assert outside == pytest.approx(float(here.outside[0]), abs=1e-5)
    assert ("extrapolates" in (section.get_attribute("class") or "")) == (here.outside[0] > 0)


@pytest.mark.parametrize("law", [*LAWS, "joint"], ids=str)
def test_sliders_of_a_fit_by_keyboard(browser: Browser, tmp_path: Path, law: Any) -> None:
    fitted = fit(planted(scaled=law == "joint"), law, replicates=12, splits=1)
    write_fit_page(fitted, tmp_path / "fit.html")
    page = opened(browser, tmp_path / "fit.html")
    section = page.locator(".what-if")
    check_fit(section, fitted)
    before = shares(section)
    slider = section.get_by_label("b", exact=True)
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    p = shares(section)
    assert (
        p[1] > before[1]
        and p.sum() == pytest.approx(1)
        and p[0] / p[2] == pytest.approx(before[0] / before[2])
    )
    check_fit(section, fitted)
    assert "Inside the mixtures" in section.locator(".outside").inner_text()
    slider.press("End")
    assert shares(section).tolist() == [0, 1, 0]
    check_fit(section, fitted)
    assert "Extrapolation" in section.locator(".outside").inner_text()
    section.get_by_role("button", name="Back to the mean of the runs").click()
    np.testing.assert_allclose(shares(section), before, atol=1e-9)
    page.close()


def test_a_law_without_a_formula_says_so(browser: Browser, tmp_path: Path) -> None:
    write_fit_page(fit(planted(), "gaussian_process", replicates=0, splits=1), tmp_path / "fit.html")
    page = opened(browser, tmp_path / "fit.html")
    assert "cannot be evaluated in a page" in page.locator(".what-if").inner_text()
    assert page.locator("input").count() == 0
    page.close()


def predicted(point: dict[str, Any], law: dict[str, Any], p: Array) -> tuple[Array, Array, Array]:
    """Losses [n], half intervals of a run's loss, half intervals of the difference from the run's mixture."""
    axes, variances = np.array(law["axes"]), np.array(law["variances"])
    covariance = np.einsum("lj,nl,lk->njk", axes, variances, axes)
    spread = np.einsum("j,njk,k->n", p, covariance, p) + np.array(law["noise"]) ** 2
    moved = p - np.array(point["mixture"])
    apart = np.einsum("j,njk,k->n", moved, covariance, moved)
    losses = np.array(point["losses"]) - np.array(law["matrix"]) @ p
    return losses, law["critical"] * np.sqrt(spread), law["critical"] * np.sqrt(apart)


@pytest.mark.parametrize("width", [400, 1400])
def test_sliders_of_a_diagnosis_by_keyboard(
    browser: Browser, diagnosis: Make, tmp_path: Path, width: int
) -> None:
    found = diagnosis()
    write_diagnosis_page(found, tmp_path / "diagnosis.html")
    page = opened(browser, tmp_path / "diagnosis.html", width)
    section = page.locator("#what-if-0")

    def check(point: dict[str, Any], law: dict[str, Any]) -> None:
        p = shares(section)
        losses, half, apart = predicted(point, law, p)
        seen = column(section, 1)
        expected = np.stack([losses, losses - half, losses + half], axis=1)
        np.testing.assert_allclose(seen[:-1], expected, atol=1e-6)
        assert seen[-1, 0] == pytest.approx(losses.mean(), abs=1e-6)
        change = column(section, 3)[:-1]
        np.testing.assert_allclose(change[:, 2] - change[:, 0], apart, atol=1e-6)

    point = found["points"][-1]
    np.testing.assert_allclose(shares(section), point["mixture"])
    slider = section.get_by_label("group-0", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    assert shares(section)[0] > point["mixture"][0]
    check(point, point["laws"][-1])
    section.get_by_label("Checkpoint and horizon").select_option("step 300, 10 steps on")
    check(found["points"][0], found["points"][0]["laws"][0])
    page.close()


def test_one_panel_at_a_time(browser: Browser, diagnosis: Make, tmp_path: Path) -> None:
    write_diagnosis_page(diagnosis(), tmp_path / "diagnosis.html")
    page = opened(browser, tmp_path / "diagnosis.html", 400)
    panels = page.locator("#law-0 .panels").first
    assert panels.locator("figure:visible").count() == 3
    assert "step 600, 50 steps on" in (panels.locator("svg:visible").first.get_attribute("aria-label") or "")
    choice = panels.get_by_label("Checkpoint and horizon")
    choice.focus()
    choice.press("ArrowUp")
    assert "step 600, 10 steps on" in (panels.locator("svg:visible").first.get_attribute("aria-label") or "")
    page.close()


@pytest.mark.parametrize("width", [400, 1400])
def test_any_two_runs_side_by_side(browser: Browser, runs: Make, tmp_path: Path, width: int) -> None:
    results = compare_runs(runs(seeds=2))
    write_page(results, tmp_path / "report.html")
    page = opened(browser, tmp_path / "report.html", width)
    section = page.locator("#two-runs")
    assert section.locator("figure").count() == 4
    section.get_by_label("Run A").select_option("aioli, seed 1")
    section.get_by_label("Run B").select_option("temperature(tau=2), seed 0")
    a, b = results["runs"]["aioli-1"], results["runs"]["temperature(tau=2)-0"]
    rows = section.locator("table.tested tbody tr td:last-child").all()
    shown = [float(cell.get_attribute("data-value")) for cell in rows]
    np.testing.assert_allclose(shown, np.subtract(b["test"]["loss"], a["test"]["loss"]))
    read = [
        float(cell.get_attribute("data-value")) for cell in section.locator(".ledger td:nth-of-type(1)").all()
    ]
    assert sum(read) == pytest.approx(a["cost"]["train_tokens"])
    assert f"{a['epochs'][0]:.2f} epochs" in section.locator("table.ledger").inner_text()
    assert section.locator("figcaption").first.inner_text() == "aioli, seed 1: proportions"
    box = section.locator("figure svg").first.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
    page.close()
