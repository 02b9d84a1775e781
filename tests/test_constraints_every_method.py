"""Every method of the registry under caps, floors, fixed proportions and a maximum change."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aioli import Journal, Mixer, replay
from aioli.methods import registry
from aioli.protocol import Constraints
from aioli.state import encode
from aioli.testing.conformance import BATCH, make_world
from aioli.testing.worlds import DecayWorld, run

CAPS = np.array([4000.0, 8000.0, np.inf, np.inf])
FLOOR, FIXED, CHANGE = 0.06, 0.3, 0.04
TIGHT = Constraints({"group-0": 0.4, "group-1": 0.4}, FLOOR, {"group-3": FIXED}, CHANGE)
LOOSE = Constraints(max_repeats=1e6, floors=0.0, max_change=1.0)


def world(constraints: Constraints) -> DecayWorld:
    """Four groups of 10,000 to 40,000 tokens and a run of 30,720."""
    made = make_world(groups=4)
    return replace(made, problem=replace(made.problem, constraints=constraints))


def mixer(name: str, of: DecayWorld, journal=None) -> Mixer:
    return Mixer(registry.example(name, of.problem), of.problem, journal)


@pytest.mark.parametrize("name", registry.names())
def test_every_request_and_the_final_counts_keep_to_the_constraints(name, tmp_path):
    tight = world(TIGHT)
    problem, sequence = tight.problem, tight.problem.step_tokens / BATCH
    done = run(mixer(name, tight, tmp_path / "journal.jsonl"), tight)
    done.close()
    journal = Journal.read(tmp_path / "journal.jsonl")
    left, step, previous = CAPS.copy(), 0, None
    for request, seen in journal.records:
        p = request.proportions
        rest = (problem.total_steps - step) * problem.step_tokens
        cap = left / rest
        if request.phase == "probe":
            span = max(request.steps, 1) * problem.step_tokens
            cap = np.maximum(cap, (left - FLOOR * (rest - span)) / span)
        assert abs(p.sum() - 1) < 1e-9
        assert p[3] == pytest.approx(FIXED, abs=1e-9)
        assert (p <= cap + 1e-9).all()
        assert (p[:3] >= np.minimum(FLOOR, cap[:3]) - 1e-9).all()
        if request.phase != "probe" and previous is not None:
            forced = np.maximum(previous - cap, 0).sum()  # what shrunken caps give to the others
            assert (p >= np.minimum(previous, cap) - CHANGE - 1e-9).all()
            assert (p <= previous + max(CHANGE, forced) + 1e-9).all()
        if request.phase != "probe" and request.steps:
            previous = p
        left, step = np.maximum(left - seen.drawn * sequence, 0), seen.step
    assert step == problem.total_steps
    assert (done.drawn * sequence <= CAPS + 3 * sequence).all()
    assert done.drawn[3] == pytest.approx(FIXED * BATCH * problem.total_steps, abs=2)
    states = [state for _, state in replay(done.method, journal)]
    assert encode(states[-1]) == encode(done.state)


@pytest.mark.parametrize("name", registry.names())
def test_constraints_that_meet_nothing_change_nothing(name):
    free, loose = (run(mixer(name, made), made) for made in (world(Constraints()), world(LOOSE)))
    assert encode(free.state) == encode(loose.state)
    assert free.drawn.tolist() == loose.drawn.tolist()


@pytest.mark.parametrize("name", ["aioli", "odm", "matched", "static"])
def test_a_resumed_run_asks_for_the_same(name, tmp_path):
    whole = world(TIGHT)
    run(mixer(name, whole, tmp_path / "whole.jsonl"), whole).close()
    for at in (1, 17, 50, 119):
        path = tmp_path / f"{at}.jsonl"
        half = world(TIGHT)
        first = run(mixer(name, half, path), half, stop=lambda m, at=at: m.step == at)
        saved = json.loads(json.dumps(first.state_dict()))
        first.close()
        second = mixer(name, half, path)
        second.load_state_dict(saved)
        run(second, half).close()
        assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
