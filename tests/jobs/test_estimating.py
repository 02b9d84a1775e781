"""How long a method must train for one estimate: by simulation in a closed-form world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aioli import Mixer, Problem
from aioli.errors import InputError
from aioli.jobs.checkpoints import estimate_cost
from aioli.jobs.estimating import enough_steps, one_estimate
from aioli.methods.registry import stand_in
from aioli.sweep.spec import RunSpec
from aioli.testing.worlds import LinearWorld, run

WHOLE = Problem(("a", "b", "c"), (10**9,) * 3, 1500, 16 * 64, warmup_steps=100)
SOLVER = {"solver": {"exponentiated_gradient": {"eta": 0.2}}}


@pytest.mark.filterwarnings("ignore:probing takes")
@pytest.mark.parametrize(
    ("name", "parameters", "steps"),
    [
        ("aioli", {}, 2 * 3 * 2 + 1),  # of rounds of 70 steps a quarter: 2 sweeps of 3 probes of 2 steps
        ("aioli_static", {"probe_steps": 5, "sweeps": 1, "prior_steps": 300}, 16),
        ("lmo", {"estimator": {"probes": {"sweeps": 4}}, **SOLVER}, 4 * 3 * 1 + 1),
        ("lmo", {"estimator": {"blocks": {"pairs": 2, "block_steps": 20}}, **SOLVER}, 80),
        ("lmo", {"estimator": "blocks", **SOLVER}, 32),  # half of 70 steps: 4 blocks of 8
        ("directional", {}, 1),
        ("lmo", {"estimator": {"alignment": {"measure_steps": 20}}, **SOLVER}, 20),
        ("skill_it", {}, 2),
        ("sheared", {}, 2),
        ("odm", {}, None),
    ],
)
def test_one_estimate_and_no_more(name: str, parameters: dict[str, Any], steps: int | None) -> None:
    known, found = one_estimate(name, parameters, WHOLE)
    assert found == steps
    if steps is None:
        assert known == parameters
        return
    branch = replace(WHOLE, total_steps=steps, warmup_steps=0)
    method = stand_in(name, known, branch)
    world = LinearWorld(branch, 30, np.full(3, 3.0), np.diag([0.3, 0.2, 0.1]) + 0.05)
    mixer = run(Mixer(method, branch), world)
    assert mixer.done and np.isfinite(mixer.state.matrix).all()
    if name not in ("skill_it", "sheared"):
        assert mixer.state.round == 0


def test_a_method_that_needs_a_longer_run_gets_one() -> None:
    assert enough_steps("odm", {"warmup_steps": 0}, WHOLE, 75, 500) == 75
    assert enough_steps("ado", {}, WHOLE, 75, 500) == 150  # its first fit would see 4 points of 75
    with pytest.raises(InputError, match="of 80, would see 4 points"):
        enough_steps("ado", {}, WHOLE, 75, 80)


def test_other_runs_are_charged_with_the_reading_of_their_validation_losses() -> None:
    spec = RunSpec("skill_it", "f", inputs={"trunk": "t", "only a": "a", "only b": "b"})
    tokens = spec.train.batch * spec.model.context
    cost = {"train_tokens": 10 * tokens, "probe_steps": 4, "evaluation_tokens": 30, "split": {}}
    run = {"cost": {"flops": 50.0 * tokens, "seconds": 2.0}, "validation": {"flops": 5.0 * tokens}}
    results = {spec.id: {"cost": cost | {"flops": 61.0 * tokens}}, "t": run, "a": run, "b": run}
    found = estimate_cost(spec, results, token_flops=6.0)
    assert found["flops"] == 25 * tokens  # beside 6 ordinary steps
    assert (found["other_runs"], found["other_flops"]) == (2, 110 * tokens)
    assert found["worth_steps"] == 135 / 6
