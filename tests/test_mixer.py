"""The mixer and its journal: what a loop may do, what is refused, and what survives damage."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioli import InputError, Journal, Mixer, Problem, Request, Signal, replay, zoo
from aioli.protocol import Observation
from aioli.simplex import apportion, project
from aioli.state import decode, encode
from aioli.testing.conformance import make_world
from aioli.testing.worlds import run


def small(**changes) -> Problem:
    return Problem(**(dict(groups=("a", "b"), group_tokens=(9, 9), total_steps=2, step_tokens=4) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ()}, "at least one group"),
        ({"groups": ("a", "a")}, "got twice: a"),
        ({"group_tokens": (1,)}, "one number a group (2), got 1"),
        ({"group_tokens": (0, 0)}, "not all zero"),
        ({"group_tokens": (-1, 2)}, ">= 0"),
        ({"total_steps": 0}, "total_steps must be at least 1, got 0"),
        ({"target_weights": (1.0,)}, "one number a target (2), got 1"),
        ({"target_weights": (1.0, float("nan"))}, "not all zero"),
    ],
)
def test_problem_refuses_nonsense(changes, message):
    with pytest.raises(InputError) as caught:
        small(**changes)
    assert message in str(caught.value)


def test_loop_mistakes_are_refused():
    mixer = Mixer(zoo.matched(round_steps=1), small())
    for call, message in (
        (lambda: mixer.tell({}), "with 1 steps of the segment left"),
        (lambda: mixer.advance([1]), "each of 2 groups"),
        (lambda: mixer.advance([0, 0]), "at least one"),
        (lambda: mixer.advance([1, -1]), "each of 2 groups"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    mixer.advance([1, 1])
    for values, message in (
        ({}, "missing: train_loss"),
        ({Signal.TRAIN_LOSS: [1.0, 2.0], Signal.VALIDATION_LOSS: [1, 2]}, "not asked for: validation_loss"),
        ({"loss": [1.0, 2.0]}, "unknown signal 'loss'; "),
        ({Signal.TRAIN_LOSS: [1.0]}, "train_loss needs 2 groups"),
        ({Signal.TRAIN_LOSS: [1.0, np.nan]}, "train_loss of 'b' is nan at step 1"),
    ):
        with pytest.raises(InputError, match=message):
            mixer.tell(values)
    with pytest.raises(InputError, match="last step"):
        mixer.advance([1, 1])
    mixer.tell({Signal.TRAIN_LOSS: [1.0, 2.0]})
    assert mixer.step == 1 and not mixer.done


def test_request_counts_down_inside_a_segment():
    mixer = Mixer(zoo.stratified(), small(total_steps=5))
    mixer.advance([1, 1])
    assert mixer.request.steps == 4 and not mixer.segment_over


class Rogue:
    """A method that breaks the contract on request."""

    needs = frozenset()

    def __init__(self, request):
        self.answer = request

    def init(self, problem):
        return ()

    def request(self, problem, state):
        return self.answer

    def update(self, problem, state, seen: Observation):
        return state


@pytest.mark.parametrize(
    "request_",
    [Request(np.array([0.5, 0.6]), 1), Request(np.array([np.nan, 1]), 1), Request(np.array([1.0]), 1),
     Request(np.array([0.5, 0.5]), 3)],
)  # fmt: skip
def test_a_method_that_breaks_the_contract_is_stopped(request_):
    with pytest.raises(RuntimeError, match="broke its contract"):
        Mixer(Rogue(request_), small())


def journalled(tmp_path, steps=120):
    world = make_world(steps=steps)
    path = tmp_path / "journal.jsonl"
    mixer = run(Mixer(zoo.aioli(), world.problem, journal=path), world)
    mixer.close()
    return path, mixer, world


def test_journal_round_trip_and_replay(tmp_path):
    path, mixer, world = journalled(tmp_path)
    journal = Journal.read(path)
    assert journal.problem == world.problem and journal.method == repr(mixer.method)
    *_, (_, state) = replay(zoo.aioli(), journal)
    assert encode(state) == encode(mixer.state)
    assert sum(r.observation.drawn.sum() for r in journal.records) == mixer.drawn.sum()


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    path, _, _ = journalled(tmp_path)
    whole = Journal.read(path)
    path.write_bytes(path.read_bytes()[:-9])
    assert len(Journal.read(path).records) == len(whole.records) - 1


@pytest.mark.parametrize("damage", ["flip", "drop", "text"])
def test_damage_names_the_line(tmp_path, damage):
    path, _, _ = journalled(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "flip":
        lines[4] = lines[4].replace(b'"steps":', b'"steps": 1', 1)
    elif damage == "drop":
        del lines[4]
    else:
        lines[4] = b"oops\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="line 5"):
        Journal.read(path)


def test_missing_empty_and_future_journals_are_refused(tmp_path):
    path = tmp_path / "j"
    with pytest.raises(InputError, match="no journal at"):
        Journal.read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        Journal.read(path)
    path.write_bytes(b'{"version": 9, "crc": "0"}\n')
    with pytest.raises(InputError, match="version 9"):
        Journal.read(path)


def test_a_used_journal_is_not_overwritten(tmp_path):
    path, _, world = journalled(tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="already has records"):
        run(Mixer(zoo.aioli(), world.problem, journal=path), make_world())
    assert path.read_bytes() == before


@settings(max_examples=25, deadline=None)
@given(stop=st.integers(1, 119), beyond=st.integers(0, 40))
def test_resume_cuts_the_journal_back_and_ends_the_same(tmp_path_factory, stop, beyond):
    """Train past a checkpoint, 'die', resume from it: same journal bytes as a run never stopped."""
    folder = tmp_path_factory.mktemp("resume")
    whole, _, _ = journalled(folder)
    world, path = make_world(), folder / "stopped.jsonl"
    mixer = run(Mixer(zoo.aioli(), world.problem, path), world, stop=lambda m: m.step == stop)
    saved, trained, owed = json.dumps(mixer.state_dict()), world.trained, world.owed
    run(mixer, world, stop=lambda m: m.step >= min(stop + beyond, 120)) if beyond else None
    mixer.close()
    world.trained, world.owed = trained, owed
    resumed = Mixer(zoo.aioli(), world.problem, path)
    resumed.load_state_dict(json.loads(saved))
    run(resumed, world)
    resumed.close()
    assert path.read_bytes() == whole.read_bytes()


def test_a_full_disk_leaves_the_journal_whole_and_the_same_record_can_be_told_again(tmp_path):
    """In a process whose files may not grow: the write fails, the limit is lifted, the run goes on."""
    code = f"""
import resource, signal
from aioli import Mixer, zoo, Journal
from aioli.testing.conformance import make_world
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
world = make_world()
mixer = Mixer(zoo.aioli(), world.problem, {str(tmp_path / "j")!r})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
failed = 0
while not mixer.done:
    request = mixer.request
    for _ in range(request.steps):
        mixer.advance(world.draw(request.proportions))
    values = world.measure(request.observe, mixer.segment_drawn)
    try:
        mixer.tell(values)
    except OSError:
        failed += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        mixer.tell(values)
mixer.close()
print(failed, sum(r.observation.drawn.sum() for r in Journal.read({str(tmp_path / "j")!r}).records))
"""
    run_ = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run_.stdout.split() == ["1", "960.0"]


def test_the_order_of_names_in_a_mixture_does_not_matter_for_resuming():
    a, b = ({"a": 0.3, "b": 0.7}, {"b": 0.7, "a": 0.3})
    first = Mixer(zoo.static(a), small())
    first.advance([1, 1])
    second = Mixer(zoo.static(b), small())
    second.load_state_dict(first.state_dict())
    assert second.step == 1


def test_states_saved_with_a_journal_are_loaded_with_it(tmp_path):
    world = make_world()
    bare = Mixer(zoo.aioli(), world.problem)
    with pytest.raises(InputError, match="saved without a journal and is loaded with one"):
        Mixer(zoo.aioli(), world.problem, tmp_path / "j").load_state_dict(bare.state_dict())


def test_what_the_contract_hands_out_cannot_be_changed():
    mixer = Mixer(zoo.stratified(), small())
    for array in (mixer.request.proportions, mixer.problem.uniform, mixer.problem.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_states_that_do_not_fit_are_refused(tmp_path):
    path, mixer, world = journalled(tmp_path)
    saved = mixer.state_dict()
    for change, message in (
        ({"version": 99}, "version 99"),
        ({"kind": "loader"}, "expected the saved state of a mixer, got 'loader'"),
        ({"checksum": "0"}, "corrupt"),
    ):
        with pytest.raises(InputError, match=message):
            Mixer(zoo.aioli(), world.problem).load_state_dict(saved | change)
    with pytest.raises(InputError, match="another method"):
        Mixer(zoo.stratified(), world.problem).load_state_dict(saved)
    with pytest.raises(InputError, match="total_steps was 120, is 60"):
        Mixer(zoo.aioli(), make_world(steps=60).problem).load_state_dict(saved)
    mixer.close()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="truncated or belongs to another run"):
        Mixer(zoo.aioli(), world.problem, path).load_state_dict(saved)


def test_state_values_round_trip_exactly():
    values = np.array([1 / 3, np.nan, np.inf, -np.inf, 5e-324])
    back = decode(json.loads(json.dumps(encode(values))), None)
    np.testing.assert_array_equal(back, values)
    assert decode(json.loads(json.dumps(encode((1, 2.5, None, "x", float("inf"))))), None) == (
        1, 2.5, None, "x", float("inf"),
    )  # fmt: skip
    with pytest.raises(TypeError):
        encode(object())


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_projection_onto_the_simplex(point):
    point = np.array(point)
    p = project(point)
    assert p.min() >= 0 and p.sum() == pytest.approx(1)
    active = p > 0
    shift = (point - p)[active]
    assert np.ptp(shift) < 1e-9 and (point[~active] <= shift.mean() + 1e-9).all()


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20), st.integers(0, 500))
def test_apportion_gives_whole_numbers_within_one(weights, total):
    p = np.array(weights) / np.sum(weights)
    counts = apportion(p, total)
    assert counts.sum() == total and (np.abs(counts - p * total) < 1 + 1e-6).all()


def test_importing_aioli_stays_light():
    """No torch, scipy or pydantic, and at most 0.15 s of processor time after numpy (best of three)."""
    code = (
        "import numpy, time, sys; t = time.process_time(); import aioli; "
        "heavy = [m for m in ('torch', 'scipy', 'pydantic', 'rich') if m in sys.modules]; "
        "print(time.process_time() - t, heavy)"
    )
    best, loaded = 9.0, ""
    for _ in range(3):
        seconds, loaded = (
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            .stdout.strip()
            .split(" ", 1)
        )
        best = min(best, float(seconds))
    assert loaded == "[]"
    assert best < 0.15
