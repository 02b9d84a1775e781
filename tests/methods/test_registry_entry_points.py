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


PARTS = """
from dataclasses import dataclass
from aioli.estimators import Probes
from aioli.laws import Linear
from aioli.signals import SignalInfo
from aioli.solvers import ExponentiatedGradient

@dataclass(frozen=True)
class Flipped(ExponentiatedGradient):
    "Steps the other way."
    def step(self, problem, state, law, proportions, matrix, weights):
        return super().step(problem, state, law, proportions, -matrix, weights)

@dataclass(frozen=True)
class Coarse(Probes):
    digits: int = 1
    def matrix(self, problem, state):
        return super().matrix(problem, state).round(self.digits)

@dataclass(frozen=True)
class Straight(Linear):
    pass

CURVATURE = SignalInfo("curvature", ("group",))
"""
USE_PARTS = """
from aioli.methods import registry
from aioli.methods.parts import part_names
from aioli.signals import signal_names
from aioli.testing.conformance import check_method
parts = {"estimator": {"coarse": {"digits": 3}}, "solver": {"flipped": {"eta": 0.5}}, "law": "straight"}
built = registry.build("lmo", parts)
kinds = [type(part).__name__ for part in (built.estimator, built.solver, built.law)]
print(*kinds, built.estimator.digits)
check_method(lambda problem: registry.build("lmo", parts))
print([part_names(kind)[-1] for kind in ("law", "estimator", "solver")], signal_names()[-1])
"""


def test_a_package_adds_parts_and_signals_that_recombine_with_ours(tmp_path):
    (tmp_path / "my_parts.py").write_text(PARTS)
    info = tmp_path / "my_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[aioli.solvers]\nflipped = my_parts:Flipped\n[aioli.estimators]\ncoarse = my_parts:Coarse\n"
        "[aioli.laws]\nstraight = my_parts:Straight\n[aioli.signals]\ncurvature = my_parts:CURVATURE\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", USE_PARTS],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first == "Coarse Flipped Straight 3"
    assert second == "['straight', 'coarse', 'flipped'] curvature"
