"""What `aioli methods NAME` prints is written for every parameter of every method."""

from __future__ import annotations

import inspect
import json
import sys

import pytest

from aioli.cli import main
from aioli.errors import InputError
from aioli.methods.explain import explain
from aioli.methods.registry import build_of
from aioli.methods.zoo import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_and_every_method_is_explained(name: str) -> None:
    found = explain(name)
    known = list(inspect.signature(build_of(name)).parameters)
    assert list(found.parameters) == known
    assert all(len(text) > 5 and not text.endswith(";") for text in found.parameters.values())
    assert any(rule for rule, _, _ in found.parts.values())


def test_parts_that_a_user_gives_are_not_the_method_s() -> None:
    assert list(explain("lmo").parts) == ["Lmo"]
    assert list(explain("guarded").parts) == ["Guarded"]
    assert list(explain("aioli").parts) == ["Lmo", "Linear", "Probes", "ExponentiatedGradient"]


def test_the_constructor_s_own_text_comes_first() -> None:
    rule, references, departures = explain("doremi").parts["doremi"]
    assert rule.startswith("At every step") and "2305.10429" in references and "alpha_0" in departures
    assert explain("doremi").parameters["eta"] == explain("doremi").parameters["smoothing"]
    assert explain("aioli").parameters["restart"].startswith("whether the first update starts from the prior")
    with pytest.raises(InputError, match="unknown method 'aoli'"):
        explain("aoli")


def test_the_command_prints_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["aioli", "methods", *arguments])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    told = run("aioli")
    assert "eta: float = 0.2\n      step size;" in told
    assert "\nProbes\n" in told and "  References: arXiv 2411.05735, Algorithm 2" in told
    assert (
        json.loads(run("aioli", "--json"))[0]["texts"]["focus"] == "weight of the probed group, in (1/m, 1]."
    )
