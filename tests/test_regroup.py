"""Groups that come and go: what carries over, in numbers, and through a mixer and its journal."""

import json
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli import InputError, Journal, Mixer, Problem, replay, zoo
from aioli.methods.static import Stratified
from aioli.protocol import Constraints, Request, Signal
from aioli.regroup import Regroup, carry_state, filled
from aioli.state import encode
from aioli.testing.worlds import DecayWorld, run

OLD = Problem(("law", "code", "prose"), (300, 600, 100), 100, 50)


def to(groups: dict[str, int], **parents: tuple[str, ...]) -> Regroup:
    return Regroup(OLD, replace(OLD, groups=(*groups,), targets=(*groups,), group_tokens=(*groups.values(),)),
                   10, parents)  # fmt: skip


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers)


def test_an_added_group_enters_at_its_equal_share_and_the_others_keep_their_ratios():
    change = to({"law": 300, "code": 600, "prose": 100, "news": 50})
    assert change.proportions(values(0.2, 0.5, 0.3)) == pytest.approx([0.15, 0.375, 0.225, 0.25])
    assert change.counts(values(7, 5, 3)).tolist() == [7, 5, 3, 0]
    losses = change.groups(values(1.0, 2.0, 3.0))
    assert losses[:3].tolist() == [1, 2, 3] and np.isnan(losses[3])


def test_a_removed_group_leaves_the_ratios_of_the_others():
    change = to({"prose": 100, "law": 300})
    assert change.removed == ("code",)
    assert change.proportions(values(0.2, 0.5, 0.3)) == pytest.approx([0.6, 0.4])
    assert change.counts(values(7, 5, 3)).tolist() == [3, 7]


def test_a_split_divides_by_tokens_and_a_merge_sums():
    change = to({"both": 400, "py": 450, "c": 150}, both=("law", "prose"), py=("code",), c=("code",))
    assert change.proportions(values(0.2, 0.5, 0.3)) == pytest.approx([0.5, 0.375, 0.125])
    assert change.counts(values(7, 5, 3)).tolist() == [10, 4, 1]
    assert change.groups(values(1.0, 2.0, 3.0)) == pytest.approx([(300 * 1 + 100 * 3) / 400, 2, 2])
    assert change.groups(values(np.nan, 2.0, 3.0)) == pytest.approx([3, 2, 2])


def test_matrices_carry_over_along_both_axes():
    change = to({"code": 600, "a": 100, "b": 200, "new": 10}, a=("law",), b=("law",))
    matrix = change.matrix(np.arange(9.0).reshape(3, 3))
    assert matrix[:3, :3].tolist() == [[4, 3, 3], [1, 0, 0], [1, 0, 0]]
    assert np.isnan(matrix[3]).all() and np.isnan(matrix[:, 3]).all()
    assert filled(matrix[:3]).tolist()[0] == pytest.approx([4, 3, 3, 10 / 3])


def test_separate_targets_carry_over_by_name():
    old = replace(OLD, targets=("news", "wiki"))
    new = replace(old, groups=("law",), group_tokens=(300,), targets=("wiki", "talks"))
    losses = Regroup(old, new).targets(values(3.0, 4.0))
    assert losses[0] == 4 and np.isnan(losses[1])


@given(
    weights=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.01),
    drawn=st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
    links=st.lists(st.sets(st.sampled_from(OLD.groups)), min_size=1, max_size=5).filter(any),
    tokens=st.lists(st.integers(0, 1000), min_size=5, max_size=5),
)
def test_proportions_stay_on_the_simplex_and_counts_are_conserved(weights, drawn, links, tokens):
    groups = {f"g{k}": 1 + tokens[k] for k in range(len(links))}
    change = to(groups, **{f"g{k}": tuple(sorted(found)) for k, found in enumerate(links)})
    p = change.proportions(np.array(weights) / sum(weights))
    assert p.sum() == pytest.approx(1) and (p >= 0).all()
    counts = change.counts(np.array(drawn, dtype=float))
    gone = [OLD.groups.index(name) for name in change.removed]
    assert counts.sum() == sum(drawn) - sum(drawn[j] for j in gone)


@pytest.mark.parametrize(
    ("groups", "parents", "said"),
    [
        ({"a": 1, "b": 1}, {}, "remove all groups"),
        ({"law": 1, "b": 1}, {"b": ("codes",)}, "did you mean 'code'"),
        ({"law": 1, "statutes": 1}, {"statute": ("law",)}, "did you mean 'statutes'"),
    ],
)
def test_changes_that_cannot_be_are_refused(groups, parents, said):
    with pytest.raises(InputError, match=said):
        to(groups, **parents)


def test_the_length_of_the_run_cannot_change():
    with pytest.raises(InputError, match=r"total_steps cannot: it was 100, is 200"):
        Regroup(OLD, replace(OLD, total_steps=200))


class Learned(NamedTuple):
    step: int
    total: float


@dataclass(frozen=True)
class Learner(Stratified):
    """It remembers something, and cannot say what of it holds for other groups."""

    def init(self, problem: Problem) -> Any:
        return Learned(0, 0.0)

    def request(self, problem: Problem, state: Any) -> Request:
        return Request(problem.uniform, 1, frozenset({Signal.TRAIN_LOSS}))

    def update(self, problem: Problem, state: Any, seen: Any) -> Any:
        return Learned(seen.step, state.total + np.nansum(seen.values[Signal.TRAIN_LOSS]))


def test_a_method_that_cannot_go_on_is_refused_and_nothing_changes():
    world = world_of(OLD)
    mixer = run(Mixer(Learner(), OLD), world, stop=lambda mixer: mixer.step == 7)
    before = mixer.state_dict()
    with pytest.raises(InputError, match="Learner cannot go on with other groups"):
        mixer.regroup(replace(OLD, groups=("law", "code"), targets=(), group_tokens=(300, 600)))
    assert mixer.state_dict() == before and run(mixer, world).step == 100


def test_a_static_mixture_needs_the_new_one():
    world, new = world_of(OLD), to({"law": 300, "code": 600, "news": 50}).new
    mixer = run(Mixer(zoo.static({"law": 0.2, "code": 0.5, "prose": 0.3}), OLD), world, lambda m: m.step == 7)
    with pytest.raises(InputError, match="unknown group 'prose'"):
        mixer.regroup(new)
    mixer.regroup(new, method=zoo.static({"law": 0.1, "code": 0.1, "news": 0.8}))
    assert mixer.request.proportions.tolist() == pytest.approx([0.1, 0.1, 0.8])


def world_of(problem: Problem) -> DecayWorld:
    i = np.arange(problem.m)
    return DecayWorld(problem, 8, 1.0 + 0.1 * i, 2.0 + 0.3 * i, 1.0 + (i * 7) % 5)


@pytest.mark.parametrize("step", [3, 40, 47, 99])
def test_two_changes_in_one_journal_replay_to_the_final_state(tmp_path, step):
    """At any step, also inside a probe; the cut segment's steps count, its measurements do not."""
    path, method = tmp_path / "journal.jsonl", zoo.aioli(round_steps=32, sweeps=1, probe_steps=2)
    mixer = run(Mixer(method, OLD, path), world_of(OLD), stop=lambda mixer: mixer.step == step)
    cut = mixer.segment_drawn.sum()
    first = to({"law": 300, "a": 400, "b": 200, "prose": 100}, a=("code",), b=("code",)).new
    mixer.regroup(first, {"a": ["code"], "b": ["code"]})
    second = replace(first, groups=("rest", "law"), targets=(), group_tokens=(700, 300))
    mixer.regroup(second, {"rest": ["a", "b", "prose"]})
    run(mixer, world_of(mixer.problem))
    mixer.close()
    journal = Journal.read(path)
    assert [problem.groups for problem in journal.problems] == [OLD.groups, first.groups, second.groups]
    assert [change.regroup.step for change in journal.changes] == [step, step]
    assert [None if c.cut is None else c.cut.observation.drawn.sum() for c in journal.changes] == [
        cut or None,
        None,
    ]
    assert journal.groups == ("rest", "law", "a", "b", "prose", "code")
    assert sum(record.observation.drawn.sum() for _, record in journal.trained) == 8 * 100
    *_, (_, state) = replay(method, journal)
    assert encode(state) == encode(mixer.state)


def test_a_killed_run_resumes_behind_its_change(tmp_path):
    path = tmp_path / "journal.jsonl"
    new = to({"law": 300, "code": 600, "news": 50}).new
    mixer = run(Mixer(zoo.odm(), OLD, path), world_of(OLD), stop=lambda mixer: mixer.step == 30)
    mixer.regroup(new)
    world = world_of(mixer.problem)
    run(mixer, world, stop=lambda mixer: mixer.step == 41)
    saved, trained, owed = json.loads(json.dumps(mixer.state_dict())), world.trained, world.owed
    run(mixer, world)
    mixer.close()
    whole = path.read_bytes()
    again = Mixer(zoo.odm(), mixer.problem, path)
    again.load_state_dict(saved)
    world = world_of(mixer.problem)
    world.trained, world.owed = trained, owed
    run(again, world)
    again.close()
    assert path.read_bytes() == whole and encode(again.state) == encode(mixer.state)


def test_constraints_of_the_new_groups_hold_and_impossible_ones_are_refused():
    """Of 5000 tokens 120 went to prose, up to its cap: the budgets of the others must do for 4880."""
    old = replace(OLD, constraints=Constraints(max_repeats=6))
    mixer = run(Mixer(zoo.stratified(), old), world_of(old), stop=lambda mixer: mixer.step == 20)
    fewer = replace(old, groups=("law", "code"), targets=(), group_tokens=(300, 600))
    before = mixer.state_dict()
    with pytest.raises(InputError, match="max_repeats leaves 3,600 tokens"):
        mixer.regroup(replace(fewer, constraints=Constraints(max_repeats=4)))
    assert mixer.state_dict() == before
    mixer.regroup(replace(fewer, constraints=Constraints(max_repeats=5.5)))
    assert mixer.problem.removed_tokens == pytest.approx(0.12 * 1000, abs=10)
    run(mixer, world_of(fewer))
    tokens = mixer.drawn * 50 / 8
    assert tokens[0] <= 5.5 * 300 + 50 and tokens[1] <= 5.5 * 600 + 50


def test_the_last_step_is_too_late():
    mixer = run(Mixer(zoo.stratified(), OLD), world_of(OLD))
    with pytest.raises(InputError, match="the run is over"):
        mixer.regroup(to({"law": 300}).new)


def test_the_state_says_the_present_step():
    state = zoo.odm().init(OLD)
    assert carry_state(zoo.odm(), to({"law": 300, "x": 5}), state).step == 10
