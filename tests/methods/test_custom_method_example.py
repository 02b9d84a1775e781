"""The example that users copy."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from aioli.methods import registry

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_it_passes_the_conformance_suite_in_under_40_lines() -> None:
    path = EXAMPLES / "custom_method.py"
    assert len(path.read_text().splitlines()) < 40
    ran = subprocess.run([sys.executable, path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    drawn = eval(ran.stdout.removeprefix("sequences drawn: "), {})
    assert sum(drawn) == 120 * 8 and len(set(drawn)) > 1


def test_its_entry_point_makes_it_a_method_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    point = EntryPoint("hardest", "custom_method:HardestFirst", "aioli.methods")
    monkeypatch.setattr(registry, "_points", lambda: {"hardest": point})
    registry._loaded.cache_clear()
    assert registry.names()[-1] == "hardest"
    assert registry.build("hardest", {"temperature": 1.5}).temperature == 1.5
    wrapped = registry.build("guarded", {"method": {"hardest": {}}, "default": "stratified"})
    assert "train_loss" in wrapped.needs
