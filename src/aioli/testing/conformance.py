"""What every mixing method must satisfy, as functions that raise AssertionError.

Each takes `make`, a function from a problem to the method (parameters may depend on the groups).
`check_method(make)` runs them all. `pytest --pyargs aioli.testing` runs them over every method in the
registry, those of installed packages included.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.journal import Journal
from aioli.mixer import Mixer, replay
from aioli.protocol import Method, Observation, Problem, Request
from aioli.state import encode
from aioli.testing.worlds import DecayWorld, run

__all__ = ["CHECKS", "check_method", "make_world"]

BATCH = 8
Make = Callable[[Problem], Method[Any]]


def make_world(groups: int = 3, steps: int = 120, empty: int | None = None, seed: int = 0) -> DecayWorld:
    """A small world with uneven groups; group number `empty` has no data."""
    names = tuple(f"group-{i}" for i in range(groups))
    tokens = [int(10_000 * (1 + i)) for i in range(groups)]
    if empty is not None:
        tokens[empty] = 0
    problem = Problem(names, tuple(tokens), steps, BATCH * 32, warmup_steps=7, seed=seed)
    i = np.arange(groups)
    return DecayWorld(problem, BATCH, 1.0 + 0.1 * i, 2.0 + 0.3 * i, 1.0 + (i * 7) % 5)


def check_simplex(make: Make) -> None:
    """Every request lies on the simplex and the run ends after exactly its steps (Mixer checks each)."""
    world = make_world()
    mixer = run(Mixer(make(world.problem), world.problem), world)
    assert mixer.step == world.problem.total_steps
    assert mixer.drawn.sum() == BATCH * world.problem.total_steps


def check_purity(make: Make) -> None:
    """`request` and `update` neither change their arguments nor depend on being asked before."""
    world = make_world()
    problem, method = world.problem, make(world.problem)
    state = method.init(problem)
    assert encode(state) == encode(method.init(problem)), "init is not deterministic"
    mixer = Mixer(method, problem)
    while not mixer.done:
        before = encode(mixer.state)
        first, second = (method.request(problem, mixer.state) for _ in range(2))
        assert _same(first, second), "request is not pure: asked twice, it answered differently"
        assert encode(mixer.state) == before, "request changed the state"
        kept, request = mixer.state, mixer.request
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions))
        values = world.measure(request.observe, mixer.segment_drawn)
        seen = Observation(mixer.step, mixer.segment_drawn.copy(), values)
        shown = (seen.drawn.tolist(), {signal: value.tolist() for signal, value in values.items()})
        once, twice = (encode(method.update(problem, kept, seen)) for _ in range(2))
        assert once == twice, "update is not pure: the same record gave two states"
        assert shown == (seen.drawn.tolist(), {s: v.tolist() for s, v in seen.values.items()}), (
            "update changed the observation it was given"
        )
        assert encode(kept) == before, "update changed the state it was given"
        mixer.tell(values)


def check_replay(make: Make) -> None:
    """The final state is the fold of `update` over the journal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        world = make_world()
        method = make(world.problem)
        mixer = run(Mixer(method, world.problem, journal=path), world)
        mixer.close()
        states = [state for _, state in replay(method, Journal.read(path))]
        assert encode(states[-1]) == encode(mixer.state)


def check_resume(make: Make) -> None:
    """Stopped after any step and continued from JSON, a run ends exactly as if never stopped."""
    world = make_world()
    method = make(world.problem)
    whole = run(Mixer(method, world.problem), world)
    for step in range(1, world.problem.total_steps, 13):
        world = make_world()
        first = run(Mixer(method, world.problem), world, stop=lambda mixer, at=step: mixer.step == at)
        saved = json.loads(json.dumps(first.state_dict()))
        second = Mixer(method, world.problem)
        second.load_state_dict(saved)
        assert encode(second.state) == encode(first.state), f"state changed by saving at step {step}"
        run(second, world)
        assert encode(second.state) == encode(whole.state), f"resumed at step {step}: another end"
        assert (second.drawn == whole.drawn).all()


def check_permutation(make: Make) -> None:
    """Numbering the groups differently permutes the answer and changes nothing else."""
    world = make_world()
    order = np.array([2, 0, 1])
    problem = replace(
        world.problem,
        groups=tuple(world.problem.groups[i] for i in order),
        targets=tuple(world.problem.groups[i] for i in order),
        group_tokens=tuple(world.problem.group_tokens[i] for i in order),
    )
    a, b = Mixer(make(world.problem), world.problem), Mixer(make(problem), problem)
    while not a.done:
        first, second = a.request, b.request
        assert first.steps == second.steps and first.phase == second.phase
        np.testing.assert_allclose(first.proportions[order], second.proportions, atol=1e-9)
        for _ in range(first.steps):
            drawn = world.draw(first.proportions)
            a.advance(drawn)
            b.advance(drawn[order])
        values = world.measure(first.observe, a.segment_drawn)
        a.tell(values)
        b.tell({signal: value[order] for signal, value in values.items()})


def check_one_group(make: Make) -> None:
    """With a single group everything is that group."""
    world = make_world(groups=1)
    mixer = Mixer(make(world.problem), world.problem)
    assert mixer.request.proportions.tolist() == [1.0]
    assert run(mixer, world).step == world.problem.total_steps


def check_group_without_data(make: Make) -> None:
    """A group without data is never asked for (Mixer raises if it is)."""
    world = make_world(groups=3, empty=1)
    mixer = run(Mixer(make(world.problem), world.problem), world)
    assert mixer.drawn[1] == 0 and mixer.step == world.problem.total_steps


CHECKS = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_simplex,
        check_purity,
        check_replay,
        check_resume,
        check_permutation,
        check_one_group,
        check_group_without_data,
    )
}


def check_method(make: Make) -> None:
    """Run every check on a method, given as a function from a problem to it."""
    for check in CHECKS.values():
        check(make)


def _same(a: Request, b: Request) -> bool:
    def plain(request: Request) -> tuple[object, ...]:
        weights = None if request.loss_weights is None else np.asarray(request.loss_weights).tolist()
        return (request.proportions.tolist(), request.steps, request.observe, request.phase, weights)

    return plain(a) == plain(b)
