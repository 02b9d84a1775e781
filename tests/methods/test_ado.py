"""Adaptive Data Optimization: one step worked by hand, the schedule, and planted power laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aioli import InputError, Mixer, Problem, Signal, zoo
from aioli.laws.power import PowerLaws
from aioli.methods.ado import RECORDS, Ado, AdoState
from aioli.protocol import Observation
from aioli.testing.worlds import World, run

PRIOR = (0.69, 0.30, 0.01)
LAWS = PowerLaws(np.array([0.6, 0.8, 0.7]), np.array([2.0, 1.5, 1.0]), np.array([0.30, 0.02, 0.50]))


def problem(steps=20_000, tokens=(69, 30, 1), **changes) -> Problem:
    names = tuple(f"g{i}" for i in range(len(tokens)))
    return Problem(names, tuple(10_000 * n for n in tokens), steps, 512, **changes)


def test_two_steps():
    run_problem, method = problem(), Ado()
    mu = np.array(PRIOR)
    state = method.init(run_problem)._replace(
        step=999, sequences=20_000 - 16.0, shares=np.array([0.65, 0.34, 0.01]), laws=LAWS
    )
    np.testing.assert_allclose(state.proportions, mu, atol=1e-12)
    for step, shares, h, p, mean in (
        (
            1000,
            [0.75, 0.25, 0],
            [0.66, 0.331, 0.009],
            [0.687086, 0.302924, 0.00999],
            [0.689971, 0.300029, 0.01],
        ),
        (
            1001,
            [0.60, 0.38, 0.02],
            [0.654, 0.3359, 0.0101],
            [0.686792, 0.303218, 0.00999],
            [0.689939, 0.300061, 0.01],
        ),
    ):
        losses = np.where(np.array(shares) > 0, 3.0, np.nan)
        seen = Observation(step, 16 * np.array(shares), {Signal.TRAIN_LOSS: losses})
        state = method.update(run_problem, state, seen)
        np.testing.assert_allclose(state.shares, h, atol=1e-6)
        np.testing.assert_allclose(state.proportions, p, atol=1e-6)
        np.testing.assert_allclose(state.mean, mean, atol=1e-6)


def test_speeds_before_and_after_the_floor():
    reducible = LAWS.reducible(np.log(20_000))
    np.testing.assert_allclose(reducible, [0.378687, 3.676386, 0.019221], atol=1e-6)
    np.testing.assert_allclose(np.exp(LAWS.log_floor) + reducible, [2.200805, 5.901927, 2.032974], atol=1e-6)
    state = (
        Ado().init(problem())._replace(sequences=20_000.0, shares=np.array([0.66, 0.331, 0.009]), laws=LAWS)
    )
    for floor, expected in ((0.0, [0.667404, 0.332501, 0.000096]), (0.01, [0.660858, 0.329240, 0.009902])):
        np.testing.assert_allclose(Ado(floor=floor)._speeds(problem(), state), expected, atol=1e-6)


@dataclass
class PowerWorld(World):
    """Every group's loss is a power law of the sequences trained in all, as ADO assumes."""

    floor: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray
    noise: float = 0.0

    def losses(self):
        n = max(self.trained.sum(), 1.0)
        exact = self.floor + self.scale * n**-self.exponent
        wobble = np.random.default_rng(int(n)).normal(size=self.problem.m)
        return exact * np.exp(self.noise * wobble)

    def falls(self):
        return np.eye(self.problem.m)


def power_world(steps: int, noise: float) -> PowerWorld:
    return PowerWorld(
        problem(steps, (1, 1, 1)), 16, np.array([1.2, 2.5, 0.9]), np.array([40.0, 25.0, 3.0]),
        np.array([0.45, 0.35, 0.12]), noise,
    )  # fmt: skip


def test_planted_laws_are_recovered_during_the_run():
    world = power_world(2000, 0.0)
    mixer = run(Mixer(zoo.ado(), world.problem), world)
    laws = mixer.state.laws
    np.testing.assert_allclose(laws.exponent, world.exponent, atol=0.01)
    np.testing.assert_allclose(np.exp(laws.log_floor), world.floor, rtol=0.12)  # the flattest is the hardest


def test_the_mixture_follows_the_speed_of_learning_of_planted_laws():
    world = power_world(3000, 0.01)
    mixer = run(Mixer(zoo.ado(), world.problem), world)
    n = mixer.drawn.sum()
    speed = world.exponent * world.scale * n**-world.exponent
    p = mixer.state.proportions
    assert np.argsort(p).tolist() == np.argsort(speed).tolist()
    assert p.max() > 0.4 and p.min() >= 0.005


def test_the_state_is_bounded_however_long_the_run():
    world = power_world(6000, 0.01)
    mixer = Mixer(zoo.ado(ignore=10, start=100, refit=3000), world.problem)
    run(mixer, world)
    state: AdoState = mixer.state
    assert RECORDS // 2 <= len(state.records) < RECORDS == 200
    assert state.stretch == 4 * 8  # 90 / 20 steps a record, three times doubled
    assert (np.diff(state.log_counts) > 0).all()


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"),
    [(100_000, 0, (500, 1000, 1000, 10)), (2000, 0, (100, 200, 100, 5)), (2000, 300, (300, 400, 100, 5))],
)
def test_the_schedule_follows_the_length_of_the_run(steps, warmup, expected):
    assert tuple(Ado().schedule(problem(steps, warmup_steps=warmup))) == expected


def test_groups_keep_a_floor_and_one_excluded_by_the_prior_stays_out():
    world = power_world(2000, 0.01)
    mixer = run(Mixer(zoo.ado(prior=(0.5, 0.5, 0.0)), world.problem), world)
    assert mixer.drawn[2] == 0 and mixer.state.proportions[:2].min() > 0.005


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mixer(zoo.ado(), problem(60)), "it needs 5 and some of the run left"),
        (lambda: Mixer(zoo.ado(start=500, ignore=1000), problem(5000)), "would see 0 points"),
        (lambda: Mixer(zoo.ado(start=900, ignore=0), problem(900)), "at step 900 of 900"),
        (lambda: zoo.ado(refit=0), "refit must be at least 1"),
        (lambda: zoo.ado(floor=1.0), "floor must be in"),
    ],
)
def test_mistakes_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
