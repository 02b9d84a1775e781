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

from aioli.errors import InputError
from aioli.journal import Journal
from aioli.mixer import Mixer, replay
from aioli.protocol import Constraints, Method, Observation, Problem, Request, answer
from aioli.state import encode, seal
from aioli.testing.worlds import DecayWorld, World, run, tell

__all__ = ["CHECKS", "check_method", "make_world"]

BATCH = 8
SEGMENTS = 120
"""Segments that the check with many groups trains."""
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
    """Every request lies on the simplex and the run ends after exactly its steps (Mixer checks each).

    So does the mixture to train with afterwards, if the method gives one.
    """
    world = make_world()
    mixer = run(Mixer(make(world.problem), world.problem), world)
    assert mixer.step == world.problem.total_steps
    assert mixer.drawn.sum() == BATCH * world.problem.total_steps
    _check_answer(mixer)


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
            mixer.advance(world.draw(request.proportions, request.loss_weights))
        values = world.measure(request.observe, mixer.segment_drawn, request.proportions)
        seen = Observation(mixer.step, mixer.segment_drawn.copy(), values, world.learning_rate)
        shown = repr((seen.drawn.tolist(), {signal: value.tolist() for signal, value in values.items()}))
        once, twice = (encode(method.update(problem, kept, seen)) for _ in range(2))
        assert once == twice, "update is not pure: the same record gave two states"
        assert shown == repr((seen.drawn.tolist(), {s: v.tolist() for s, v in seen.values.items()})), (
            "update changed the observation it was given"
        )
        assert encode(kept) == before, "update changed the state it was given"
        mixer.tell(values, world.learning_rate)


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
        assert (first.loss_weights is None) == (second.loss_weights is None)
        if first.loss_weights is not None and second.loss_weights is not None:
            np.testing.assert_allclose(first.loss_weights[order], second.loss_weights, atol=1e-9)
        for _ in range(first.steps):
            drawn = world.draw(first.proportions, first.loss_weights)
            a.advance(drawn)
            b.advance(drawn[order])
        values = world.measure(first.observe, a.segment_drawn, first.proportions)
        a.tell(values, world.learning_rate)
        b.tell(
            {signal: value[np.ix_(*[order] * value.ndim)] for signal, value in values.items()},
            world.learning_rate,
        )


def check_one_group(make: Make) -> None:
    """With a single group everything is that group."""
    world = make_world(groups=1)
    mixer = Mixer(make(world.problem), world.problem)
    assert mixer.request.proportions.tolist() == [1.0]
    assert run(mixer, world).step == world.problem.total_steps


def check_group_without_data(make: Make) -> None:
    """A group without data is never asked for (Mixer raises if so), nor weighted; floors are for the rest."""
    for floor in (0.0, 0.05):
        world = make_world(groups=3, empty=1)
        world.problem = replace(world.problem, constraints=Constraints(floors=floor or None))
        mixer = Mixer(make(world.problem), world.problem)
        while not mixer.done:
            weights = mixer.request.loss_weights
            assert weights is None or weights[1] == 0, "loss weight for a group without data"
            least = mixer.request.proportions[world.problem.available].min()
            assert least >= floor - 1e-9, f"a proportion of {least}, below its floor of {floor}"
            _segment(mixer, world)
        assert mixer.drawn[1] == 0 and mixer.step == world.problem.total_steps
        _check_answer(mixer)


def check_progress(make: Make) -> None:
    """Requests of 0 steps do not repeat without end, and loss weights leave something to minimise."""
    world = make_world()
    mixer, peeks = Mixer(make(world.problem), world.problem), 0
    while not mixer.done:
        request = mixer.request
        peeks = 0 if request.steps else peeks + 1
        assert peeks <= 4 * world.problem.m, f"{peeks} requests of 0 steps in a row at step {mixer.step}"
        assert request.loss_weights is None or np.sum(request.loss_weights) > 0, "all loss weights are 0"
        _segment(mixer, world)


def check_many_groups(make: Make) -> None:
    """A thousand groups, most of them absent from every batch, are no reason to fail."""
    world = make_world(groups=1000, steps=20_000)
    mixer = Mixer(make(world.problem), world.problem)
    for _ in range(SEGMENTS):
        if not mixer.done and mixer.request.steps <= 1000:
            _segment(mixer, world)


def check_regroup(make: Make) -> None:
    """After a change of groups at any step the run goes on to its end, or the change is refused whole.

    One group is kept, one split, one removed, one added. The state is again the fold over the journal, and
    resumes.
    """
    for step in range(2, 120, 29):
        world = make_world()
        changed = _changed(world)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "journal.jsonl"
            methods = make(world.problem), make(changed.problem)
            mixer = run(
                Mixer(methods[0], world.problem, path), world, lambda mixer, at=step: mixer.step == at
            )
            before, saved = mixer.state, mixer.drawn
            try:
                mixer.regroup(changed.problem, {"one": ("group-1",), "other": ("group-1",)}, methods[1])
            except InputError:
                assert mixer.state is before and mixer.problem == world.problem, "refused, but changed"
                return
            assert mixer.drawn[0] == saved[0] and mixer.drawn[1:3].sum() == saved[1] and mixer.drawn[3] == 0
            again = Mixer(methods[1], mixer.problem)
            again.load_state_dict(_without_journal(mixer.state_dict()))
            run(mixer, changed)
            mixer.close()
            run(again, _changed(world))
            assert mixer.step == world.problem.total_steps
            assert encode(again.state) == encode(mixer.state), "resumed after the change: another end"
            states = [state for _, state in replay(methods, Journal.read(path))]
            assert encode(states[-1]) == encode(mixer.state)


def _changed(world: DecayWorld) -> DecayWorld:
    """A world of group 0, the halves of group 1, and a new group."""
    names, tokens = ("group-0", "one", "other", "new"), (10_000, 12_000, 8_000, 15_000)
    problem = replace(world.problem, groups=names, targets=names, group_tokens=tokens)
    i = np.arange(4)
    return DecayWorld(problem, world.batch, 1.0 + 0.1 * i, 2.0 + 0.3 * i, 1.0 + (i * 7) % 5)


def _without_journal(saved: dict[str, Any]) -> dict[str, Any]:
    content = json.loads(json.dumps(saved["content"])) | {"journal": None}
    return seal("mixer", content)


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
        check_progress,
        check_many_groups,
        check_regroup,
    )
}


def check_method(make: Make) -> None:
    """Run every check on a method, given as a function from a problem to it."""
    for check in CHECKS.values():
        check(make)


def _segment(mixer: Mixer, world: World) -> None:
    request = mixer.request
    for _ in range(request.steps):
        mixer.advance(world.draw(request.proportions, request.loss_weights))
    tell(mixer, world)


def _check_answer(mixer: Mixer) -> None:
    mixture = answer(mixer.method, mixer.problem, mixer.state)
    if mixture is not None:
        assert np.shape(mixture) == (mixer.problem.m,) and np.min(mixture) >= 0, f"answer {mixture}"
        assert abs(np.sum(mixture) - 1) < 1e-6, f"the answer sums to {np.sum(mixture)}"
        assert not np.any(mixture[~mixer.problem.available]), "the answer uses a group without data"


def _same(a: Request, b: Request) -> bool:
    def plain(request: Request) -> tuple[object, ...]:
        weights = None if request.loss_weights is None else np.asarray(request.loss_weights).tolist()
        return (request.proportions.tolist(), request.steps, request.observe, request.phase, weights)

    return plain(a) == plain(b)
