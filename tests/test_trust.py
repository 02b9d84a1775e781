"""Predictions of the next losses: right laws, wrong laws, noise; the same score however it is computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from aioli.estimators import Alignment, Graph, Probes
from aioli.journal import Journal, Record
from aioli.laws import Linear
from aioli.methods import zoo
from aioli.methods.lmo import Lmo
from aioli.mixer import Mixer
from aioli.protocol import Array, Method, Observation, Problem, Request, Signal
from aioli.solvers import ExponentiatedGradient
from aioli.testing.worlds import LinearWorld, World, run
from aioli.trust import Score, Trust, begin_trust, follow, law_matrix, trust_along

M = 4


@dataclass
class Restless(LinearWorld):
    """Every step adds independent noise of the given deviation to the losses, which stays."""

    deviation: float = 0.0
    noise: Array = field(init=False)
    generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.noise = np.zeros(self.problem.n)
        self.generator = np.random.default_rng([self.problem.seed, 7])
        super().__post_init__()

    def losses(self) -> Array:
        return super().losses() + self.noise

    def step(self, drawn: Array, shares: Array) -> None:
        super().step(drawn, shares)
        self.noise = self.noise + self.deviation * self.generator.normal(size=self.problem.n)


def make_world(deviation: float = 0.0, seed: int = 0, m: int = M) -> Restless:
    problem = Problem(tuple(f"g{i}" for i in range(m)), (10**9,) * m, 1500, 1024, warmup_steps=50, seed=seed)
    matrix = np.random.default_rng([seed, m]).uniform(0.2, 2, (m, m))
    return Restless(problem, 16, np.full(m, 4.0), matrix, deviation)


@dataclass(frozen=True)
class Lying(Probes):
    """Probes whose matrix is replaced: by a random one, or by one that belongs to other groups."""

    lie: str = "random"
    waits: ClassVar[bool] = True

    def matrix(self, problem: Problem, state: Any) -> Array:
        true = super().matrix(problem, state)
        generator = np.random.default_rng([problem.seed, state.round])
        return generator.normal(size=true.shape) if self.lie == "random" else np.roll(true, 1, axis=1)


def lmo(estimator: Any, eta: float = 0.2) -> Lmo:
    return Lmo(Linear(), estimator, ExponentiatedGradient(eta))


def score_of(method: Method[Any], world: World, paired: bool = True) -> Score:
    mixer = Mixer(method, world.problem)
    mixer.trust(paired)
    return run(mixer, world).trust(paired)


@pytest.mark.parametrize("method", [zoo.aioli(), zoo.aioli_detrend(), zoo.aioli_ema()], ids=str)
def test_an_exact_law_predicts_exactly(method: Method[Any]) -> None:
    """Probes and the rest of rounds, 24 times as long; the trend that `detrend` takes off is put back."""
    score = score_of(method, make_world())
    rounds, spans = 20, 2 * M + 1
    assert score.spans == (rounds - 1) * spans
    assert score.r2 == pytest.approx(1, abs=1e-9) and score.coverage == 1
    assert score.r2_trend == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("lie", ["random", "rolled"])
def test_a_wrong_law_is_worse_than_the_trend_and_outside_its_intervals(lie: str) -> None:
    score = score_of(lmo(Lying(lie=lie)), make_world(1e-4))
    assert score.r2_trend is not None and score.r2_trend < 0
    assert score.coverage is not None and score.coverage < 0.8
    if lie == "random":
        assert score.r2 is not None and score.r2 < 0 and score.coverage < 0.1


def test_a_law_that_ignores_half_of_it_is_in_between() -> None:
    score, full = (score_of(lmo(Probes(diagonal=diagonal)), make_world(1e-4)) for diagonal in (True, False))
    assert score.r2 is not None and full.r2 is not None and 0 < score.r2 < 0.9 < 0.99 < full.r2
    assert score.coverage is not None and score.coverage < 0.4


def test_intervals_cover_what_they_promise() -> None:
    """Nominal 95%, over seeds, with noise as large as the differences between groups."""
    scores = [score_of(zoo.aioli(), make_world(2e-4, seed)) for seed in range(24)]
    covered = sum(score.covered for score in scores)
    assert covered == 24 * 171 * M
    assert 0.93 < sum(score.inside for score in scores) / covered < 0.97
    assert all(score.r2_trend is not None and score.r2_trend < 0.999 for score in scores)


def test_one_sweep_gives_no_interval() -> None:
    score = score_of(zoo.aioli(sweeps=1), make_world(2e-4))
    assert score.spans > 50 and score.coverage is None


def test_laws_without_a_unit_get_one_scale() -> None:
    """The true matrix at any scale predicts alike, from the second round on."""
    world = make_world()
    graphs = [tuple(map(tuple, (scale * world.matrix).tolist())) for scale in (1.0, 1e-3)]
    for estimator in (Alignment(), *(Graph(graph, window=1) for graph in graphs)):
        score = score_of(lmo(estimator, 5.0), make_world())
        assert score.spans >= 17 and score.r2 is not None and score.r2 > 0.98
    opposite = score_of(lmo(Graph(tuple(map(tuple, (-world.matrix).tolist())))), make_world())
    assert opposite.spans == 0 and opposite.r2 is None  # no scale >= 0 makes it predict


@pytest.mark.parametrize("method", [zoo.stratified(), zoo.odm(), zoo.doge(), zoo.aioli_static()], ids=str)
def test_what_never_measures_its_targets_after_training_is_not_scored(method: Method[Any]) -> None:
    score = score_of(method, make_world())
    assert score._replace(laws=0) == Score() and score.r2 is score.coverage is None
    assert (score.laws == 0) == (method in (zoo.stratified(), zoo.odm()))


def test_spans_between_different_sequences_are_left_out() -> None:
    """Unpaired, only the probes: the measurement that opens a round may read other sequences."""
    assert score_of(zoo.aioli(), make_world(), paired=False).spans == 19 * 2 * M
    assert score_of(lmo(Alignment()), make_world(), paired=False).spans >= 17  # nothing resizes there


def test_score_by_hand() -> None:
    """A in nats per probe of 2 steps; half a probe more on g0, then one span of 4 steps."""
    problem = Problem(("g0", "g1"), (10**6,) * 2, 100, 64)
    law = np.array([[0.2, 0.1], [0.0, 0.4]])
    observe = frozenset({Signal.VALIDATION_LOSS})

    def record(steps: int, drawn: list[int], losses: list[float], phase: str = "train") -> Record:
        asked = Request(np.array([0.5, 0.5]), steps, observe, phase)
        return Record(
            asked, Observation(0, np.array(drawn, float), {Signal.VALIDATION_LOSS: np.array(losses)})
        )

    trust, scored = follow(begin_trust(problem), record(0, [0, 0], [4.0, 3.0]), None, None)
    trust, scored = follow(trust, record(2, [6, 2], [3.9, 2.8], "probe"), None, law)
    assert scored is None and trust.basis.horizon == 2
    trust, scored = follow(trust, record(4, [4, 12], [3.6, 2.2]), law, law)
    assert scored is not None
    np.testing.assert_allclose(scored.predicted, [3.9 - 2 * 0.125, 2.8 - 2 * 0.3])
    error, still, trend = 0.05**2, 0.3**2 + 0.6**2, 0.1**2 + 0.2**2
    assert trust.score.r2 == pytest.approx(1 - error / still)
    assert trust.score.r2_trend == pytest.approx(1 - error / trend)


def recorded(path: Path, ask: bool = False, stop: int | None = None) -> Mixer:
    """A run of a noisy world that is recorded in `path`, up to a step."""
    world = make_world(2e-4)
    mixer = Mixer(zoo.aioli(), world.problem, path)
    if ask:
        mixer.trust()
    run(mixer, world, None if stop is None else lambda mixer: mixer.step == stop)
    mixer.close()
    return mixer


def test_replay_is_live_and_resuming_changes_nothing(tmp_path: Path) -> None:
    """Live from the start, asked for at the end, replayed, resumed at any step: bit for bit the same."""
    live = recorded(tmp_path / "whole", ask=True).trust()
    assert live.spans == 171 and recorded(tmp_path / "late").trust() == live
    trust, spans = trust_along([zoo.aioli()], Journal.read(tmp_path / "whole"))
    assert trust.score == live and len(spans) == live.spans
    for stop in (60, 700, 1499):
        world, path = make_world(2e-4), tmp_path / f"cut{stop}"
        first = Mixer(zoo.aioli(), world.problem, path)
        run(first, world, lambda mixer, at=stop: mixer.step == at)
        saved, so_far = json.loads(json.dumps(first.state_dict())), first.trust()
        first.close()
        again = Mixer(zoo.aioli(), world.problem, path)
        again.load_state_dict(saved)
        assert again.trust() == so_far
        assert run(again, world).trust() == live
        again.close()


def test_asking_changes_no_record(tmp_path: Path) -> None:
    recorded(tmp_path / "asked", ask=True)
    recorded(tmp_path / "unasked")
    assert (tmp_path / "asked").read_bytes() == (tmp_path / "unasked").read_bytes()


def test_without_a_journal_the_score_begins_when_asked() -> None:
    world = make_world()
    mixer = run(Mixer(zoo.aioli(), world.problem), world, lambda mixer: mixer.step == 700)
    assert mixer.trust() == Score()
    assert 0 < run(mixer, world).trust().spans < 171


def test_a_change_of_groups_keeps_the_score_and_cuts_the_span(tmp_path: Path) -> None:
    """The score of before stays, what is open is dropped, and new laws are scored in the new groups."""
    world, path = make_world(), tmp_path / "journal"
    mixer = run(Mixer(zoo.aioli(), world.problem, path), world, lambda mixer: mixer.step == 700)
    before = mixer.trust().spans
    changed = make_world(m=3)
    changed.matrix = world.matrix[:3, :3]
    mixer.regroup(changed.problem, {})
    assert mixer.trust().spans == before > 50
    score = run(mixer, changed).trust()
    mixer.close()
    assert score.spans > before + 50 and score.r2 == pytest.approx(1, abs=1e-9)
    assert trust_along([mixer.method] * 2, Journal.read(path))[0].score == score


def test_law_matrix_is_found_inside_other_methods() -> None:
    world = make_world()
    for method in (
        zoo.guarded(zoo.aioli(), zoo.stratified()),
        zoo.averaged(zoo.aioli()),
        zoo.after(zoo.stratified(), 100, zoo.aioli()),
    ):
        mixer = Mixer(method, world.problem)
        assert law_matrix(mixer.state) is None
        mixer.trust()
        score = run(mixer, make_world()).trust()
        assert score.spans > 100 and score.r2 == pytest.approx(1, abs=1e-6)
    assert isinstance(begin_trust(world.problem), Trust)
