"""Constraints inside law x estimator x solver: no winding up, no probes of what is fixed, old states."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aioli import Mixer, Problem, zoo
from aioli.constraints import Limits
from aioli.estimators import Probes
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.protocol import Constraints
from aioli.solvers import ExponentiatedGradient, TrustRegion
from aioli.state import seal, unseal
from aioli.testing.worlds import LinearWorld, run

STEPS, BATCH = 400, 8


def linear(matrix, constraints: Constraints | None = None, **changes) -> LinearWorld:
    """A linear world of groups a, b, c with plenty of tokens (8 a step)."""
    names = ("a", "b", "c")[: len(matrix[0])]
    problem = Problem(
        names, (10**6,) * len(names), STEPS, BATCH, constraints=constraints or Constraints(), **changes
    )
    return LinearWorld(problem, BATCH, np.full(len(matrix), 5.0), np.array(matrix, dtype=float))


def proportions_over_time(method, world) -> np.ndarray:
    mixer, seen = Mixer(method, world.problem), []
    run(mixer, world, stop=lambda m: seen.append(m.state.proportions))
    return np.array(seen)


def test_steps_do_not_add_up_beyond_a_cap():
    """With a cap of 0.3 on the good group, the state waits at the cap."""
    tokens = 0.3 * STEPS * BATCH
    method = zoo.aioli(eta=1.0, round_steps=20, sweeps=1, probe_steps=1)
    world = linear([[3, 0, 0], [3, 1, 0], [3, 0, 0]], Constraints(max_repeats={"a": tokens / 10**6}))
    held = proportions_over_time(method, world)
    assert held[20:, 0].max() < 0.32 and held[-1, 0] > 0.25
    # the free groups go on accumulating: 20 rounds of eta x 1 / 10, the matrix's sum
    assert held[-1, 1] / held[-1, 2] == pytest.approx(np.exp(2))
    free = proportions_over_time(method, linear([[3, 0, 0]] * 3))
    assert free[-1, 0] > 0.99


def test_a_group_at_its_floor_comes_back_at_once():
    method = zoo.aioli(eta=1.0, round_steps=20, sweeps=1, probe_steps=1)
    world = linear([[3, 0, 0]] * 3, Constraints(floors=0.05))
    mixer = run(Mixer(method, world.problem), world, stop=lambda m: m.step == STEPS // 2)
    assert mixer.state.proportions[1:] == pytest.approx([0.05, 0.05])
    world.matrix[:] = [[0, 3, 0]] * 3  # the best group changes
    world.start = world.start + (world.matrix @ world.trained) / (BATCH * STEPS)
    after = []
    run(mixer, world, stop=lambda m: after.append(m.state.proportions[1]))
    assert after[45] > 0.1  # two rounds later; from exp(-10) it would take ten


def test_a_fixed_group_is_not_probed_and_the_others_are_told_apart():
    matrix = np.array([[2.0, 0.5, 1.0], [0.3, 1.0, 4.0], [0.0, 2.0, 0.7]])
    world = linear(matrix, Constraints(fixed={"b": 0.25}))
    method = zoo.aioli(round_steps=40, sweeps=1, probe_steps=2, focus=2 / 3)
    mixer, probes = Mixer(method, world.problem), []
    while not mixer.done:
        request = mixer.request
        if request.phase == "probe":
            probes.append(request.proportions)
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions))
        mixer.tell(world.measure(request.observe, mixer.segment_drawn))
    assert len(probes) == 2 * 10
    assert {tuple(np.round(p, 9)) for p in probes} == {(0.5, 0.25, 0.25), (0.25, 0.25, 0.5)}
    found = mixer.state.matrix * STEPS / 2  # a probe is 2 of 400 steps
    assert not found[:, 1].any()
    # what the fixed group does adds 0.25 / 0.75 of its column to both others
    np.testing.assert_allclose(found[:, [0, 2]], matrix[:, [0, 2]] + matrix[:, [1]] / 3, atol=1e-9)


@pytest.mark.parametrize("solver", [ExponentiatedGradient(0.5), TrustRegion(0.05)])
def test_a_fixed_group_s_column_moves_nothing(solver):
    problem = linear(np.eye(3), Constraints(fixed={"b": 0.2})).problem
    now, ones = np.array([0.4, 0.2, 0.4]), np.ones(3)
    matrix = np.array([[1.0, 0.0, 0.5], [0.2, 0.0, 0.1], [0.0, 0.0, 0.3]])
    other = matrix + np.array([0.0, -7.0, 0.0])
    first, second = (
        solver.step(problem, solver.init(problem, now), Linear(), now, a, ones)[1] for a in (matrix, other)
    )
    np.testing.assert_allclose(first, second, atol=1e-12)
    assert first[0] > first[2]
    p = Limits.of(problem).restrict(first, 0, np.zeros(3))
    assert p[1] == pytest.approx(0.2)
    assert p[0] / p[2] == pytest.approx(first[0] / first[2])


def test_everything_fixed_leaves_nothing_to_decide():
    world = linear(np.eye(3), Constraints(fixed={"a": 0.5, "b": 0.25, "c": 0.25}))
    for solver in (ExponentiatedGradient(0.5), TrustRegion(0.05)):
        fresh = linear(np.eye(3), world.problem.constraints)
        mixer = run(Mixer(Lmo(Linear(), Probes(), solver), fresh.problem), fresh)
        assert mixer.drawn.tolist() == [0.5 * STEPS * BATCH, 0.25 * STEPS * BATCH, 0.25 * STEPS * BATCH]


def test_targets_other_than_groups_and_excess_objectives_in_the_law():
    """Two groups, each good for one of two targets: the excess decides which target counts."""
    matrix = [[2.0, 0.0], [0.0, 2.0]]
    for objective, references, favoured in (
        ("worst_excess", (1.0, 4.5), 0),
        ("worst_excess", (4.5, 1.0), 1),
        ("mean_excess", (1.0, 6.0), 0),  # the second target is below its reference from the start
        ("worst_target", None, None),
    ):
        world = linear(matrix, targets=("x", "y"), objective=objective, reference_losses=references)
        method = zoo.aioli(eta=0.5, round_steps=20, sweeps=1, probe_steps=1)
        p = run(Mixer(method, world.problem), world).state.proportions
        assert abs(p[0] - p[1]) < 0.3 if favoured is None else p[favoured] > 0.9


def test_states_saved_before_there_were_constraints_are_continued():
    world = linear(np.eye(3))
    method = zoo.aioli(round_steps=40)
    whole = run(Mixer(method, world.problem), linear(np.eye(3)))
    mixer = run(Mixer(method, world.problem), world, stop=lambda m: m.step == 55)
    content = unseal("mixer", json.loads(json.dumps(mixer.state_dict())))
    for key in ("constraints", "reference_losses"):
        del content["problem"][key]
    del content["last_mixture"], content["state"]["fields"]["drawn"]
    resumed = Mixer(method, world.problem)
    resumed.load_state_dict(seal("mixer", content))
    run(resumed, world)
    assert resumed.drawn.tolist() == whole.drawn.tolist()
    assert resumed.state.proportions.tolist() == whole.state.proportions.tolist()
    bound = Mixer(method, replace(world.problem, constraints=Constraints(floors=0.1)))
    with pytest.raises(ValueError, match=r"constraints.floors was None, is 0.1"):
        bound.load_state_dict(seal("mixer", content))
