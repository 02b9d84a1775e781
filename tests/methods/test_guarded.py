"""Guarded in closed-form worlds: harmless around adversaries, most of the gain around a good method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.estimators import Probes
from aioli.laws import Linear
from aioli.methods import zoo
from aioli.methods.evidence import add_pair, no_evidence, value_along
from aioli.methods.guarded import Guarded
from aioli.methods.lmo import Lmo
from aioli.mixer import Mixer
from aioli.protocol import Array, Method, Problem, Signal
from aioli.simplex import normalise
from aioli.solvers import ExponentiatedGradient
from aioli.testing.conformance import check_method
from aioli.testing.worlds import DecayWorld, run

WORLDS = {
    "equal rates": ([2, 2, 2], [3, 1, 1]),
    "rates 1/3/9": ([1, 3, 9], [1, 1, 1]),
    "mixed": ([1, 4, 6, 2], [2, 1, 1, 3]),
    "seven": ([1, 2, 3, 4, 5, 6, 7], [3, 1, 2, 1, 2, 1, 1]),
}


@dataclass
class NoisyWorld(DecayWorld):
    """Validation losses with independent errors of the given deviation."""

    deviation: float = 0.0
    generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.generator = np.random.default_rng([self.problem.seed, 1])

    def measure(self, *args: Any, **kwargs: Any) -> dict[str, Array]:
        values = super().measure(*args, **kwargs)
        if Signal.VALIDATION_LOSS in values:
            errors = self.deviation * self.generator.normal(size=self.problem.n)
            values[Signal.VALIDATION_LOSS] = values[Signal.VALIDATION_LOSS] + errors
        return values


def make_world(name: str, deviation: float = 0.0, seed: int = 0) -> NoisyWorld:
    rates, gaps = (np.array(values, dtype=np.float64) for values in WORLDS[name])
    m = len(rates)
    names = tuple(f"g{i}" for i in range(m))
    problem = Problem(names, (10**9,) * m, 1500, 16 * 64, warmup_steps=50, seed=seed)
    return NoisyWorld(problem, 16, np.ones(m), gaps, rates, deviation)


def loss_after(method: Method[Any], world: NoisyWorld) -> float:
    run(Mixer(method, world.problem), world)
    return float(world.losses().mean())


@dataclass(frozen=True)
class Lying(Probes):
    """Probes whose matrix is replaced: a random one, its opposite, one of heavy tails, an old one."""

    lie: str = "random"
    waits: ClassVar[bool] = True

    def matrix(self, problem: Problem, state: Any) -> Array:
        generator = np.random.default_rng([problem.seed, state.round])
        true = super().matrix(problem, state)
        return {
            "random": generator.normal(size=true.shape),
            "heavy-tailed": generator.standard_cauchy(size=true.shape),
            "inverted": -true,
            "delayed": np.roll(true, 1 + state.round // 4, axis=1),
        }[self.lie]


def liar(lie: str) -> Lmo:
    return Lmo(Linear(), Lying(lie=lie), ExponentiatedGradient(2.0))


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("lie", ["random", "inverted", "heavy-tailed", "delayed"])
def test_adversaries_cannot_do_harm(name: str, lie: str) -> None:
    """Within 1e-3 nats of the default, where the same method alone loses up to tenths."""
    for deviation in (0.0, 0.002, 0.01):
        default = loss_after(zoo.stratified(), make_world(name))
        guarded = loss_after(Guarded(liar(lie), zoo.stratified()), make_world(name, deviation))
        assert guarded < default + 1e-3


def test_the_adversaries_are_harmful_when_let_alone() -> None:
    harm = [
        loss_after(liar(lie), make_world("seven")) - loss_after(zoo.stratified(), make_world("seven"))
        for lie in ("random", "inverted", "heavy-tailed")
    ]
    assert min(harm) > 0.003 and max(harm) > 0.01


def test_a_good_proposal_is_followed() -> None:
    """The best static mixture, measured without error: at least half of its gain."""
    for name in ("equal rates", "mixed", "seven"):
        world = make_world(name)
        best = zoo.static(tuple(world.optimum()))
        gain = loss_after(zoo.stratified(), make_world(name)) - world.loss_of(world.optimum())
        reached = loss_after(zoo.stratified(), make_world(name)) - loss_after(
            Guarded(best, zoo.stratified()), make_world(name)
        )
        assert reached > 0.5 * gain


def test_aioli_guarded_keeps_most_of_its_gain_and_none_of_its_harm() -> None:
    base = loss_after(zoo.stratified(), make_world("equal rates"))
    alone = base - loss_after(zoo.aioli(eta=2.0), make_world("equal rates"))
    guarded = base - loss_after(Guarded(zoo.aioli(eta=2.0), zoo.stratified()), make_world("equal rates"))
    assert guarded > 0.6 * alone > 0.05
    base = loss_after(zoo.stratified(), make_world("rates 1/3/9"))
    alone = base - loss_after(zoo.aioli(eta=0.5), make_world("rates 1/3/9"))
    guarded = base - loss_after(Guarded(zoo.aioli(eta=0.5), zoo.stratified()), make_world("rates 1/3/9"))
    assert alone < -0.005 and guarded > -1e-3


def test_convex_bound_holds_in_every_world() -> None:
    """F(end) - F(default) <= -v . e, the bound that the rules work with, at the true v of the end."""
    for name in WORLDS:
        world = make_world(name)
        mixer = run(Mixer(Guarded(zoo.aioli(eta=2.0), zoo.stratified()), world.problem), world)
        share = world.trained / world.trained.sum()
        slopes = world.rate * world.gap * np.exp(-world.rate * share) / world.problem.m
        excursion = mixer.state.excursion / world.problem.total_steps
        np.testing.assert_allclose(excursion, share - 1 / world.problem.m, atol=1e-9)
        default = loss_after(zoo.stratified(), make_world(name))
        assert float(world.losses().mean()) - default <= -slopes @ excursion + 1e-4


def test_without_evidence_the_mixture_is_the_default_on_average() -> None:
    world = make_world("seven", deviation=0.5)
    run(Mixer(Guarded(zoo.static((0.94, *(0.01,) * 6)), zoo.stratified()), world.problem), world)
    np.testing.assert_allclose(normalise(world.trained), 1 / 7, atol=5e-3)


@pytest.mark.filterwarnings("ignore::aioli.errors.MixingWarning")  # probes of a tiny batch, pulled together
@pytest.mark.parametrize(
    "inner", [zoo.odm(), zoo.matched(objective="mean_perplexity"), zoo.aioli(), zoo.stratified()], ids=str
)
def test_conformance_around_methods_of_all_kinds(inner: Method[Any]) -> None:
    check_method(lambda problem: Guarded(inner))


@pytest.mark.filterwarnings("ignore::aioli.errors.MixingWarning")  # as above
def test_nothing_trained_moves_more_of_the_batch_than_was_earned() -> None:
    """Without evidence, probes and blocks alike stay within `explore` of the default."""
    world = make_world("seven", deviation=0.5)
    mixer = Mixer(Guarded(zoo.aioli(eta=2.0), zoo.stratified(), explore=0.1), world.problem)
    phases = set()
    while not mixer.done:
        request = mixer.request
        phases.add(request.phase)
        moved = 0.5 * np.abs(request.proportions - 1 / 7).sum()
        assert moved < 0.105  # blocks and probes at most 0.1; the rest repays what rounding left
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions))
        mixer.tell(world.measure(request.observe, mixer.segment_drawn, request.proportions))
    assert {"probe", "train", "measure"} <= phases


def test_default_is_the_prior_else_matched() -> None:
    problem = Problem(("a", "b"), (10**6,) * 2, 200, 512)
    prior = Guarded(zoo.aioli(prior=(0.8, 0.2)))
    assert Mixer(prior, problem).request.proportions.tolist() == [0.8, 0.2]
    assert Signal.TRAIN_LOSS in Guarded(zoo.aioli()).needs
    apart = Problem(("a", "b"), (10**6,) * 2, 200, 512, targets=("t",))
    with pytest.raises(InputError, match="guarded needs a default mixture"):
        Mixer(Guarded(zoo.aioli()), apart)
    assert not Mixer(Guarded(zoo.aioli(), zoo.stratified()), apart).done


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"explore": 0.0}, "explore must be in"),
        ({"caution": -1.0}, "caution must be a number of standard errors"),
        ({"block_steps": 0}, "block_steps must be at least 1"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Guarded(zoo.stratified(), **changes)


def test_a_default_that_measures_is_refused() -> None:
    problem = Problem(("a", "b"), (10**6,) * 2, 2000, 512)
    with pytest.raises(InputError, match="must not measure targets"):
        Mixer(Guarded(zoo.stratified(), zoo.aioli()), problem)


def test_evidence_recovers_planted_values_and_knows_what_it_does_not_know() -> None:
    values, generator = np.array([0.3, -0.1, -0.2]), np.random.default_rng(0)
    evidence = no_evidence(3)
    for _ in range(20):
        direction = generator.normal(size=3)
        direction -= direction.mean()
        first, second = direction @ values + 0.01 * generator.normal(size=2) * np.sqrt(2)
        evidence = add_pair(evidence, direction, (first + second) / 2, (first - second) ** 2 / 4)
    worth, error = value_along(evidence, np.array([1.0, -1.0, 0.0]), 1.0)
    assert abs(worth - 0.4) < 3 * error + 1e-9 and error < 0.02
    one = add_pair(no_evidence(3), np.array([1.0, -1.0, 0.0]), 0.4, 1e-8)
    worth, error = value_along(one, np.array([1.0, 1.0, -2.0]), 1.0)
    assert abs(worth) < 1e-6 and error > 0.5
