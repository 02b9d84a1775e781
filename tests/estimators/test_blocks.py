"""Pairs of blocks in closed-form worlds: their matrix, forgetting, many groups, the mixture they reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem
from aioli.estimators import Blocks
from aioli.laws import Linear
from aioli.methods.lmo import Lmo
from aioli.methods.parts import build_part
from aioli.protocol import Constraints, Observation, Signal
from aioli.solvers import ExponentiatedGradient
from aioli.testing.worlds import DecayWorld, LinearWorld, run

A = np.array([[0.30, 0.02, 0.01], [0.05, 0.25, 0.03], [0.02, 0.04, 0.15]])


def problem(steps: int = 400, m: int = 3, **changes) -> Problem:
    groups = tuple(f"g{j}" for j in range(m))
    return Problem(groups, (10**9,) * m, steps, 512, **changes)


def estimated(blocks: Blocks, matrix: np.ndarray, steps: int, *, rounds: int = 1, **changes) -> np.ndarray:
    """The last matrix of a run of some rounds on the uniform mixture, in falls a block."""
    n, m = matrix.shape
    targets = () if n == m else tuple(f"t{i}" for i in range(n))
    mine = problem(steps, m, targets=targets, **changes)
    world = LinearWorld(mine, 64 * m, np.full(n, 3.0), matrix)
    method = Lmo(Linear(), blocks, ExponentiatedGradient(1e-9), round_steps=steps // rounds)
    mixer = run(Mixer(method, mine), world)
    return mixer.state.matrix


def test_the_matrix_of_a_linear_world_is_found() -> None:
    found = estimated(Blocks(pairs=4, block_steps=25, ridge=0.0), A, 400)
    np.testing.assert_allclose(found, A * 25 / 400, atol=1e-9)


def test_golden_numbers_of_one_pair() -> None:
    # two groups, one target; counts [7, 3] then [3, 7], losses 2.00, 1.90, 1.86: x = [-.4, .4], y = -.06;
    # Gram eigenvalue .32, C = y x / .32 = [.075, -.075], d = .07, q = [.5, .5]
    two = problem(20, 2, targets=("t",))
    blocks = Blocks(pairs=1, block_steps=10, ridge=0.0)
    state = blocks.begin(two, 0, None)
    assert np.isnan(blocks.matrix(two, state)).all()
    for drawn, loss in (([0, 0], 2.00), ([7, 3], 1.90), ([3, 7], 1.86)):
        seen = Observation(0, np.array(drawn, float), {Signal.VALIDATION_LOSS: np.array([loss])})
        state = blocks.update(two, state, seen)
    np.testing.assert_allclose(blocks.matrix(two, state), [[0.145, -0.005]], atol=1e-12)
    half = replace(blocks, ridge=1.0).matrix(two, state)
    np.testing.assert_allclose(half, [[0.1075, 0.0325]], atol=1e-12)  # contrasts halved, mean fall kept


def test_blocks_swap_halves_around_the_mixture_in_force() -> None:
    mine = problem(200, 5)
    blocks = Blocks(pairs=2, block_steps=10, spread=0.4)
    p = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    state = blocks.begin(mine, 3, None)
    first = blocks.block_mixture(mine, state._replace(position=0), p) / p
    second = blocks.block_mixture(mine, state._replace(position=1), p) / p
    assert ((first > 1) != (second > 1)).all() and 2 <= (first > 1).sum() <= 3
    np.testing.assert_allclose(first.max() / first.min(), 1.4 / 0.6)


def test_which_half_is_raised_follows_the_names_and_not_their_order() -> None:
    names = ("a", "b", "c", "d")
    p = np.full(4, 0.25)
    blocks = Blocks(pairs=1, block_steps=1)

    def raised(groups: tuple[str, ...]) -> set[str]:
        mine = Problem(groups, (10**6,) * 4, 100, 64)
        mixture = blocks.block_mixture(mine, blocks.begin(mine, 0, None)._replace(position=0), p)
        return {name for name, share in zip(groups, mixture, strict=True) if share > 0.25}

    assert raised(names) == raised(names[::-1]) and len(raised(names)) == 2


def test_rounds_of_one_pair_add_up_and_the_past_fades() -> None:
    rng = np.random.default_rng(0)
    many = rng.uniform(0.0, 0.3, (2, 8))
    found = estimated(Blocks(pairs=1, block_steps=10, memory=1.0, ridge=0.0), many, 400, rounds=20)
    np.testing.assert_allclose(found, many * 10 / 400, atol=1e-8)
    two = problem(100, 2, targets=("t",))
    blocks = Blocks(pairs=1, block_steps=10, memory=0.5, ridge=0.0)
    state = blocks.begin(two, 0, None)
    for turn in range(12):  # group 0 helps until turn 6, group 1 afterwards
        state = blocks.begin(two, turn, state)
        good, loss = (0, 1)[turn >= 6], 2.0
        for drawn in ([0, 0], [7, 3], [3, 7]):
            loss -= 0.1 * drawn[good] / 10
            seen = Observation(0, np.array(drawn, float), {Signal.VALIDATION_LOSS: np.array([loss])})
            state = blocks.update(two, state, seen)
    contrast = np.diff(blocks.matrix(two, state)[0])[0]
    assert contrast == pytest.approx(0.1 * (1 - 2 * 0.5**6 / (2 - 0.5**11)), rel=0.02)


def test_fixed_and_empty_groups_keep_their_share() -> None:
    mine = replace(
        problem(200, 4, constraints=Constraints(fixed={"g3": 0.2})), group_tokens=(10**9, 10**9, 0, 10**9)
    )
    p = np.array([0.4, 0.4, 0.0, 0.2])
    blocks = Blocks(pairs=1, block_steps=10)
    for position in (0, 1):
        mixture = blocks.block_mixture(mine, blocks.begin(mine, 0, None)._replace(position=position), p)
        np.testing.assert_allclose(mixture[2:], [0.0, 0.2])
        assert mixture.sum() == pytest.approx(1.0) and abs(mixture[0] - mixture[1]) > 0.1


def test_a_method_on_blocks_comes_near_the_best_mixture() -> None:
    mine = problem(2000)
    world = DecayWorld(mine, 48, np.full(3, 1.0), np.array([2.0, 1.0, 0.5]), np.full(3, 4.0))
    method = Lmo(Linear(), Blocks(), ExponentiatedGradient(0.5), round_steps=100)
    run(Mixer(method, mine), world)
    best = world.loss_of(world.optimum())
    even = world.loss_of(np.full(3, 1 / 3))
    assert world.losses().mean() - best < 0.5 * (even - best)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"spread": 1.0}, "spread"),
        ({"memory": 0.0}, "memory"),
        ({"ridge": -1.0}, "ridge"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        build_part("estimator", {"blocks": given})


def test_blocks_longer_than_a_round_are_refused() -> None:
    with pytest.raises(InputError, match="take 80 steps, a round has 50"):
        Blocks(pairs=2, block_steps=20).check(problem(), 50)
