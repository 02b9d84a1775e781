"""Methods that an installed package declares through an entry point."""

from __future__ import annotations

import os
import subprocess
import sys

METHOD = """
from dataclasses import dataclass
from aioli.methods.static import Stratified

@dataclass(frozen=True)
class Mine(Stratified):
    "Equal shares, by another name."
    speed: float = 1.0
"""
SCRIPT = """
from aioli import InputError
from aioli.methods import registry
print(registry.names()[-2:], registry.describe("mine").summary, registry.describe("mine").parameters)
registry.build("aioli")
try:
    registry.build("broken")
except InputError as error:
    print(error)
"""


def test_a_package_adds_a_method_and_a_broken_one_spoils_only_its_own(tmp_path):
    (tmp_path / "my_mixing.py").write_text(METHOD)
    info = tmp_path / "my_mixing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-mixing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[aioli.methods]\nmine = my_mixing:Mine\nbroken = my_mixing:Absent\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = run.stdout.splitlines()
    assert "mine" in first and "by another name" in first and "('speed', 'float', '1.0')" in first
    assert "'broken' of the entry point my_mixing:Absent cannot be loaded (AttributeError" in second
