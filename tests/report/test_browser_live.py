"""The live page in a real browser: it changes by itself and nothing on the screen moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from aioli.analysis.comparison import compare_runs
from aioli.jobs import live_server
from aioli.report.live import Going, Live
from aioli.report.page import fill_page, page_parts

pytestmark = pytest.mark.requires("browser")
Runs = Callable[..., list[dict[str, Any]]]
GROUPS = ("law", "code", "maths", "medicine", "speeches", "encyclopaedia", "stories")


class Changing:
    """A page whose one run goes on when told to, and finishes."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts, self.step, self.finished = parts, 0, False

    def version(self) -> tuple[int, bool]:
        return self.step, self.finished

    def render(self) -> str:
        at = list(range(10, self.step + 1, 10))
        series = {"step": at, "values": [[1 / 7] * 7] * len(at)}
        curve = {"step": at, "train_loss": [[3.0] * 7] * len(at)}
        run = Going("aioli", 5, "running", 1000, self.step, 3.0, 60.0, series, curve)
        live = Live("Fish", 13, 12, GROUPS, () if self.finished else (run,))
        return fill_page(self.parts, live)


def test_it_changes_by_itself_and_nothing_moves(
    browser: Browser, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_server, "SHARE", 0.0)
    shown = Changing(page_parts(compare_runs(runs(), config={"title": "Fish"})))
    address: list[str] = []
    there, servers, make = threading.Event(), [], live_server._Server

    def server(*arguments: Any) -> Any:
        servers.append(make(*arguments))
        return servers[-1]

    def ready(told: str) -> None:
        address.append(told)
        there.set()

    monkeypatch.setattr(live_server, "_Server", server)
    thread = threading.Thread(target=live_server.serve, args=(shown, 0, ready))
    thread.start()
    assert there.wait(20)
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(address[0])
        assert page.locator("#live-losses").count() == 0 and "0%" in page.locator("#runs").inner_text()
        page.locator("#notes summary").click()
        page.locator("#summary").get_by_role("button", name="Test perplexity").click()
        page.locator("#costs h2").scroll_into_view_if_needed()
        page.wait_for_timeout(300)  # smooth scrolling
        before = page.locator("#costs").bounding_box()
        page.evaluate("document.querySelector('#costs').remembered = true")

        shown.step = 400  # two sections more, above what is on the screen
        page.locator("#live-losses figure").first.wait_for(state="attached", timeout=20_000)
        after = page.locator("#costs").bounding_box()
        assert before and after and after["y"] == pytest.approx(before["y"], abs=1.5)
        assert page.evaluate("document.querySelector('#costs').remembered") is True  # was not replaced
        assert "40%" in page.locator("#runs").inner_text()
        assert page.locator("#notes details").first.get_attribute("open") is not None
        assert page.locator("#summary [aria-sort=ascending]").count() == 1
        order = page.evaluate("[...document.querySelectorAll('main > section')].map((each) => each.id)")
        assert order[:4] == ["runs", "live-proportions", "live-losses", "summary"]

        shown.finished = True
        page.locator("#runs").wait_for(state="detached", timeout=20_000)
        assert page.locator("#live-losses").count() == 0
        end = page.locator("#costs").bounding_box()
        assert end and end["y"] == pytest.approx(before["y"], abs=1.5)
        assert [text for text in said if "304" not in text] == []
    finally:
        page.close()
        servers[0].shutdown()
        thread.join(10)
