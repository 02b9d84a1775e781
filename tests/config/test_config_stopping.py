"""The rule by which seeds are added: what it may say, and that it names no run."""

from __future__ import annotations

from typing import Any

import pytest

from aioli.analysis.sequential import Stopping
from aioli.config import Config, load
from aioli.errors import InputError
from aioli.jobs.planning import plan_runs

TWENTY = list(range(20))


def config(**keys: Any) -> Config:
    return load({"data": {"groups": {name: {"paths": ["x"]} for name in "ab"}}} | keys)


def test_its_defaults_and_the_way_back() -> None:
    assert config().stopping is None and config().to_dict()["stopping"] is None
    read = config(stopping={"margin": 1}, seeds=TWENTY)
    assert read.stopping == Stopping(margin=1.0, least=3, alpha=0.05)
    assert load(read.to_dict()).stopping == read.stopping and read.baseline == "stratified"


def test_it_names_no_run() -> None:
    plans = [plan_runs(config(seeds=TWENTY, **keys), "f") for keys in ({}, {"stopping": {}})]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"methods": ["matched", "aioli"]}, "methods needs stratified and others, got matched, aioli"),
        ({"methods": ["stratified"]}, "got stratified"),
        ({"seeds": [0, 1, 2]}, r"after 4 seeds at the earliest \(least is 3, alpha 0.05\), and seeds has 3"),
        ({"stopping": {"least": 21}}, "after 21 seeds at the earliest"),
        ({"stopping": {"alpha": 2.0}}, "stopping.alpha must be between 0 and 1, got 2.0"),
        ({"stopping": {"margins": 2.0}}, "unknown key stopping.margins; did you mean 'margin'"),
        ({"stopping": 5}, "stopping: expected"),
    ],
)
def test_what_could_never_decide_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config(**({"stopping": {}, "seeds": TWENTY} | keys))
