"""Fixed mixtures, matched sampling, and Aioli's rounds: numbers, refusals, and worlds with a known best."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli import InputError, Mixer, MixingWarning, Problem, Signal, zoo
from aioli.methods import registry
from aioli.methods.static import unimax
from aioli.objectives import get_objective
from aioli.testing.worlds import DecayWorld, LinearWorld, run

SIZES = (200, 10, 1000, 40)


def problem(**changes) -> Problem:
    settings = dict(groups=("a", "b", "c", "d"), group_tokens=SIZES, total_steps=1, step_tokens=400)
    return Problem(**(settings | changes))


def mixture(method, run: Problem | None = None) -> np.ndarray:
    return Mixer(method, run or problem()).request.proportions


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (zoo.stratified(), [0.25] * 4),
        (zoo.proportional(), [0.16, 0.008, 0.8, 0.032]),
        (zoo.temperature(2.0), [0.255958, 0.057234, 0.572340, 0.114468]),
        (zoo.unimax(2.0), [0.375, 0.05, 0.375, 0.2]),
        (zoo.static({"d": 0.1, "a": 0.2, "b": 0.3, "c": 0.4}), [0.2, 0.3, 0.4, 0.1]),
    ],
)
def test_fixed_mixtures(method, expected):
    np.testing.assert_allclose(mixture(method), expected, atol=1e-6)


def test_unimax_beyond_its_caps_is_proportional_and_says_what_is_missing():
    p, shortfall = unimax(np.array(SIZES, float), 3000, 2)
    np.testing.assert_allclose(p, [0.16, 0.008, 0.8, 0.032], atol=1e-12)
    assert shortfall == 500
    with pytest.warns(MixingWarning, match="500 more than 2 epochs"):
        Mixer(zoo.unimax(2.0), problem(step_tokens=3000))


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.floats(0.5, 20), st.floats(0.01, 1))
def test_unimax_respects_its_caps_and_raises_the_smallest_share(sizes, cap, fill):
    tokens = np.array(sizes, float)
    budget = fill * cap * tokens.sum()
    p, shortfall = unimax(tokens, budget, cap)
    assert shortfall <= 1e-6 * budget
    assert (p * budget <= cap * tokens * (1 + 1e-9)).all()
    uncapped = p * budget < cap * tokens * (1 - 1e-9)
    if uncapped.any():
        np.testing.assert_allclose(p[uncapped], p.max(), rtol=1e-9)


def test_matched_is_stratified_for_the_mean_loss_and_softmax_for_the_mean_perplexity():
    losses = np.array([2.0, 3.0, 1.0])
    for objective, expected in (
        ("mean_loss", [1 / 3] * 3),
        ("mean_perplexity", np.exp(losses) / np.exp(losses).sum()),
        ("worst_target", [0, 1, 0]),
    ):
        run = Problem(("a", "b", "c"), (9, 9, 9), 100, 10, objective=objective)
        mixer = Mixer(zoo.matched(floor=0.0), run)
        mixer.advance([1, 1, 1])
        mixer.tell({Signal.TRAIN_LOSS: losses})
        np.testing.assert_allclose(mixer.request.proportions, expected, atol=1e-12)


def test_matched_batches_are_unbiased_gradients_of_the_objective():
    """With true losses, sum_j p_j grad L_j is the gradient of F up to one positive factor."""
    generator = np.random.default_rng(0)
    weights, slopes = np.array([0.5, 0.3, 0.2]), generator.normal(size=(3, 6))
    for name, tau in (("mean_loss", None), ("mean_perplexity", None), ("mean_loss", 0.3), ("mean_loss", 5.0)):
        objective = get_objective(name, tau)
        theta = generator.normal(size=6)

        def losses(theta):
            return np.log1p(np.exp(slopes @ theta))

        numeric = np.array(
            [
                (objective.value(losses(theta + h), weights) - objective.value(losses(theta - h), weights))
                / 2e-6
                for h in 1e-6 * np.eye(6)
            ]
        )
        per_group = slopes / (1 + np.exp(-(slopes @ theta)))[:, None]
        expected_batch = objective.gradient(losses(theta), weights) @ per_group
        cosine = expected_batch @ numeric / np.linalg.norm(expected_batch) / np.linalg.norm(numeric)
        assert cosine == pytest.approx(1, abs=1e-6)


def test_matched_keeps_measuring_groups_that_hardly_matter():
    run = Problem(("a", "b", "c"), (9, 9, 9), 100, 10, objective="worst_target")
    mixer = Mixer(zoo.matched(floor=0.03), run)
    mixer.advance([1, 1, 1])
    mixer.tell({Signal.TRAIN_LOSS: [2.0, 3.0, 1.0]})
    np.testing.assert_allclose(mixer.request.proportions, [0.01 / 1.02, 1 / 1.02, 0.01 / 1.02])


def test_matched_keeps_the_last_loss_of_a_group_that_was_not_drawn():
    mixer = Mixer(zoo.matched(objective="mean_perplexity"), problem(total_steps=100))
    mixer.advance([1, 1, 1, 1])
    mixer.tell({Signal.TRAIN_LOSS: [1.0, 2.0, 3.0, 4.0]})
    mixer.advance([1, 0, 0, 1])
    mixer.tell({Signal.TRAIN_LOSS: [2.0, np.nan, np.nan, 2.0]})
    assert mixer.state.losses.tolist() == [1.5, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: zoo.temperature(0.0), "must be positive, got 0"),
        (lambda: zoo.aioli(eta=float("nan")), "eta must be a finite number"),
        (lambda: zoo.aioli(focus=1.5), "focus"),
        (lambda: zoo.matched(objective="perplexity"), "mean_perplexity"),
        (lambda: Mixer(zoo.matched(), problem(targets=("x",))), "needs the targets to be"),
        (lambda: Mixer(zoo.static([0.5, 0.5]), problem()), "expected 4 proportions"),
        (lambda: Mixer(zoo.static([0.5, 0.5, 0.5, -0.5]), problem()), "must not be negative"),
        (lambda: Mixer(zoo.static([0.5, 0.5, 0.5, 0.5]), problem()), "sum 2"),
        (lambda: Mixer(zoo.static([0.5, 0.5, float("nan"), 0]), problem()), "must be finite"),
        (lambda: Mixer(zoo.static({"a": 1.0}), problem()), "missing: b, c, d"),
        (lambda: Mixer(zoo.aioli(diagonal=True), problem(targets=("x",), total_steps=900)), "diagonal"),
        (lambda: Mixer(zoo.aioli(focus=0.25), problem(total_steps=900)), "focus must exceed 1/4"),
        (lambda: Mixer(zoo.aioli(), problem(total_steps=3)), "no room for one round"),
        (
            lambda: Mixer(zoo.aioli(sweeps=2, probe_steps=3, round_steps=24), problem(total_steps=900)),
            "2 sweeps x 4 probes x 3 steps = 24 steps, a round has 24",
        ),
        (lambda: registry.build("aoli"), "did you mean 'aioli'"),
        (lambda: registry.build("aioli", {"etta": 1}), "did you mean 'eta'"),
        (lambda: registry.build("aioli", {"eta": "big"}), "eta must be float, got 'big'"),
        (lambda: registry.build("static"), "needs proportions"),
        (
            lambda: registry.build("static", {"proportions": ["a"]}),
            "a list of numbers or a mapping from groups",
        ),
        (lambda: registry.build("stratified", {"x": 1}), "it has none"),
    ],
)
def test_mistakes_are_refused_with_what_to_do(build, message):
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


def test_probing_over_a_quarter_of_a_round_warns():
    with pytest.warns(MixingWarning, match=r"probing takes 40% of every round \(2 sweeps"):
        Mixer(zoo.aioli(sweeps=2, probe_steps=1, round_steps=20), problem(total_steps=900))


def phases(method, run_problem: Problem) -> list[tuple[str, int, int]]:
    """(phase, first step, steps) of every request of a run in a world."""
    world = DecayWorld(run_problem, 8, np.ones(3), np.ones(3), np.ones(3))
    mixer, seen = Mixer(method, run_problem), []
    while not mixer.done:
        request = mixer.request
        seen.append((request.phase, mixer.step, request.steps))
        for _ in range(request.steps):
            mixer.advance(world.draw(request.proportions))
        mixer.tell(world.measure(request.observe, mixer.segment_drawn))
    return seen


def three(steps: int, warmup: int = 0, **changes) -> Problem:
    return Problem(("a", "b", "c"), (9**6,) * 3, steps, 64, warmup_steps=warmup, **changes)


def test_default_aioli_probes_after_warmup_in_about_twenty_rounds():
    seen = phases(zoo.aioli(), three(2050, warmup=50))
    assert seen[0] == ("warmup", 0, 50)
    assert seen[1] == ("measure", 50, 0)
    measured = [first for phase, first, _ in seen if phase == "measure"]
    assert measured == list(range(50, 2050, 100))
    assert sum(steps for phase, _, steps in seen if phase == "probe") == 20 * 24  # 2 sweeps x 3 x 4 steps


def test_a_last_partial_round_trains_without_probing():
    seen = phases(zoo.aioli(round_steps=40), three(100))
    assert seen[-1] == ("train", 80, 20)


def test_static_variant_estimates_once():
    seen = phases(zoo.aioli(rounds=1, round_steps=40), three(200))
    assert [phase for phase, _, _ in seen].count("measure") == 1
    assert seen[-1] == ("train", 40, 160)


def test_prior_phase_comes_first_and_updates_continue_from_the_prior_or_from_uniform():
    prior = (0.7, 0.2, 0.1)
    for restart, first in (("prior", prior), ("uniform", (1 / 3,) * 3)):
        method = zoo.aioli(eta=0.0, prior=prior, prior_steps=60, restart=restart, round_steps=40)
        mixer = Mixer(method, three(200, warmup=10))
        assert mixer.request.phase == "prior" and mixer.request.steps == 60
        np.testing.assert_allclose(mixer.request.proportions, prior)
        for _ in range(60):
            mixer.advance([1, 1, 1])
        mixer.tell({})
        np.testing.assert_allclose(mixer.state.proportions, first)


def test_aioli_puts_everything_on_the_best_group_of_a_linear_world():
    for best in range(3):
        matrix = np.full((3, 3), 0.1)
        matrix[:, best] += 0.4
        matrix[np.arange(3), np.arange(3)] += 0.05
        world = LinearWorld(three(2000), 64, np.full(3, 4.0), matrix)
        mixer = run(Mixer(zoo.aioli(eta=20.0), world.problem), world)
        assert mixer.state.proportions[best] > 0.95


def test_aioli_measures_the_matrix_of_a_linear_world_exactly():
    matrix = np.array([[0.5, 0.1, 0.0], [0.2, 0.6, 0.1], [0.0, 0.3, 0.4]])
    world = LinearWorld(three(1000), 64, np.full(3, 4.0), matrix)
    mixer = run(Mixer(zoo.aioli(probe_steps=2, sweeps=2), world.problem), world)
    np.testing.assert_allclose(mixer.state.matrix, matrix * 2 / 1000, atol=1e-9)


def test_aioli_with_an_outside_target_prefers_the_group_that_helps_it():
    matrix = np.array([[0.1, 0.5, 0.2]])
    world = LinearWorld(three(1000, targets=("held-out",)), 64, np.array([4.0]), matrix)
    mixer = run(Mixer(zoo.aioli(eta=2.0), world.problem), world)
    assert mixer.state.proportions.argmax() == 1 and mixer.state.proportions[1] > 0.9


@pytest.mark.parametrize(("eta", "detrend"), [(0.5, False), (1.0, True)])
@pytest.mark.parametrize("gap", [(3.0, 1.0, 1.0), (1.0, 1.0, 3.0), (2.0, 1.5, 1.0)])
def test_aioli_gets_most_of_what_the_best_static_mixture_gains(gap, eta, detrend):
    """Diminishing returns at one common rate: the best mixture is known by water-filling."""
    problem = three(4000)
    world = DecayWorld(problem, 64, np.full(3, 1.0), np.array(gap), np.full(3, 2.0))
    best, uniform = world.loss_of(world.optimum()), world.loss_of(problem.uniform)
    method = zoo.aioli(eta=eta, detrend=detrend, focus=0.6, sweeps=1, probe_steps=4)
    mixer = run(Mixer(method, problem), world)
    assert 0.8 < (uniform - world.losses().mean()) / (uniform - best) <= 1 + 1e-3
    assert np.argmax(mixer.drawn) == np.argmax(world.optimum())


@pytest.mark.parametrize("eta", [0.2, 1.0, 4.0])
def test_greedy_rounds_are_short_sighted_when_groups_learn_at_different_rates(eta):
    """A known weakness, kept in view: with rates 1, 3 and 9 the fastest group takes the first rounds."""
    problem = three(4000)
    world = DecayWorld(problem, 64, np.ones(3), np.full(3, 2.0), np.array([1.0, 3.0, 9.0]))
    method = zoo.aioli(eta=eta, focus=0.6, sweeps=1, probe_steps=4)
    run(Mixer(method, problem), world)
    assert world.losses().mean() > world.loss_of(problem.uniform) > world.loss_of(world.optimum())


def test_objective_weighs_the_targets():
    """For the worst target only the worst target's row counts."""
    matrix = np.array([[0.3, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.3]])
    start = np.array([4.0, 6.0, 4.0])
    for objective, moved in (("mean_loss", False), ("worst_target", True)):
        world = LinearWorld(three(400, objective=objective), 64, start, matrix)
        mixer = run(Mixer(zoo.aioli(eta=1.0), world.problem), world)
        assert (mixer.state.proportions[1] > 0.5) == moved


def test_every_method_is_described():
    for name in registry.names():
        info = registry.describe(name)
        assert info.summary and str(info.citation)
    assert registry.describe("aioli").signals == ("validation_loss",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.build("aioli_ema").solver.memory == 0.1
