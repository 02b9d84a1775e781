"""The one skip marker of the test suite: `@pytest.mark.requires("browser")`."""

from __future__ import annotations

import shutil

import pytest

from aioli.sweep.gpus import visible_gpus

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


REQUIREMENTS = {
    "browser": (find_browser, f"no browser found (looked for {', '.join(BROWSERS)})"),
    "cuda": (visible_gpus, "torch finds no CUDA device"),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(name): skip, saying so, where `name` is not on this machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        find, reason = REQUIREMENTS[marker.args[0]]
        if not find():
            pytest.skip(f"{marker.args[0]}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {str(reason).removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def browser_path() -> str:
    path = find_browser()
    assert path is not None, 'mark the test with @pytest.mark.requires("browser")'
    return path
