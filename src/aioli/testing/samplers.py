"""What every sampler must satisfy, as functions that raise AssertionError.

Each takes `make(sequences, batch, seed=..., rank=..., world=...)`, which returns a sampler with the methods
of `aioli.data.loader.Loader`. `check_sampler(make)` runs them all. Every sequence of the test data holds
its own group and row, so only what comes out is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from aioli.data.loader import Batch
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["CHECKS", "Sampler", "check_sampler", "labelled_sequences", "pairs"]

ROWS = (7, 12, 30)
BATCH = 8
Pair = tuple[int, int]
Segment = tuple[Sequence[float], int]


class Sampler(Protocol):
    """What the training loop uses of a sampler."""

    def segment(self, proportions: Mapping[str, float] | Array, steps: int) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    @property
    def drawn(self) -> Array: ...


Make = Callable[..., Sampler]


class _Step(NamedTuple):
    pairs: list[Pair]
    drawn: list[float]


def labelled_sequences(rows: Sequence[int] = ROWS) -> dict[str, NDArray[np.uint16]]:
    """A group of `rows[j]` sequences (j, row) for each j."""
    return {
        f"group-{j}": np.stack([np.full(n, j), np.arange(n)], axis=1).astype(np.uint16)
        for j, n in enumerate(rows)
    }


def pairs(batch: Batch) -> list[Pair]:
    """(group, row) of each sequence of a batch of `labelled_sequences`, checked against its `group`."""
    assert batch.tokens[:, 0].tolist() == batch.group.tolist(), "a row's group is not the one it came from"
    return [(int(group), int(row)) for group, row in batch.tokens]


def check_steps(make: Make) -> None:
    """A segment has exactly its steps, a step exactly its sequences, and `drawn` counts them."""
    sampler = make(labelled_sequences(), BATCH, seed=0)
    total = np.zeros(len(ROWS))
    for steps in (0, 1, 5):
        batches = list(sampler.segment(np.array([0.2, 0.3, 0.5]), steps))
        assert len(batches) == steps, f"asked for {steps} steps, got {len(batches)}"
        for batch in batches:
            counts = np.bincount([group for group, _ in pairs(batch)], minlength=len(ROWS))
            assert batch.tokens.shape == (BATCH, 2)
            assert batch.drawn.tolist() == counts.tolist(), "`drawn` does not count the step's sequences"
            total += counts
        assert sampler.drawn.tolist() == total.tolist()


def check_epochs(make: Make) -> None:
    """Every row comes once before any comes again, and in another order in the next epoch."""
    sampler = make(labelled_sequences(), BATCH, seed=0)
    rows: dict[int, list[int]] = {j: [] for j in range(len(ROWS))}
    for step in _steps(sampler, [((0.3, 0.3, 0.4), 30), ((0.1, 0.8, 0.1), 30)]):
        for group, row in step.pairs:
            rows[group].append(row)
    for group, size in enumerate(ROWS):
        epochs = [rows[group][i : i + size] for i in range(0, len(rows[group]), size)]
        assert len(epochs) > 2
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs[:-1]), (
            f"group {group} repeated a row within an epoch"
        )
        assert epochs[0] != epochs[1], "two epochs have the same order"


def check_proportions(make: Make) -> None:
    """Constant proportions: after every step each count is within one sequence of its target."""
    for groups in (1, 2, 5, 17):
        weights = np.random.default_rng(groups).dirichlet(np.full(groups, 0.5))
        sampler = make(labelled_sequences([50] * groups), BATCH, seed=0)
        for step, _ in enumerate(sampler.segment(weights, 100), start=1):
            worst = np.abs(sampler.drawn - step * BATCH * weights).max()
            assert worst <= 1 + 1e-6, f"{groups} groups: {worst:.3f} sequences off the target at step {step}"


def check_changes(make: Make) -> None:
    """Changing proportions: after every step each count is within 1 + ln m sequences of its target."""
    rng = np.random.default_rng(0)
    for groups in (2, 5, 17):
        sampler = make(labelled_sequences([50] * groups), BATCH, seed=0)
        target = np.zeros(groups)
        for _ in range(100):
            weights = rng.dirichlet(np.full(groups, 0.3)) + 1e-6
            weights /= weights.sum()
            for _ in sampler.segment(weights, int(rng.integers(1, 4))):
                target += BATCH * weights
                worst = np.abs(sampler.drawn - target).max()
                assert worst <= 1 + np.log(groups) + 1e-6, f"{worst:.3f} sequences off the target"


def check_zero(make: Make) -> None:
    """A group with proportion 0 is not drawn, a change counts from the next batch, no rows are no harm."""
    sampler = make(labelled_sequences((0, 9, 9)), BATCH, seed=0)
    for alone in (1, 2, 1, 1, 2):
        proportions = np.eye(3)[alone]
        for step in _steps(sampler, [(proportions.tolist(), 3)]):
            assert {group for group, _ in step.pairs} == {alone}, "a group with proportion 0 was drawn"
    _refused(lambda: sampler.segment(np.array([0.1, 0.4, 0.5]), 1), "a group without rows was accepted")


def check_resume(make: Make) -> None:
    """A position saved as JSON after any batch continues like the uninterrupted run."""
    segments: list[Segment] = [((0.5, 0.2, 0.3), 4), ((0.0, 0.6, 0.4), 3), ((0.5, 0.2, 0.3), 5)]
    whole = make(labelled_sequences(), BATCH, seed=3)
    states = [json.dumps(whole.state_dict())]
    steps = []
    for step in _steps(whole, segments):
        steps.append(step)
        states.append(json.dumps(whole.state_dict()))
    for done, state in enumerate(states):
        sampler = make(labelled_sequences(), BATCH, seed=3)
        sampler.load_state_dict(json.loads(state))
        assert list(_steps(sampler, _left(segments, done))) == steps[done:], f"resumed at step {done}"
        assert json.dumps(sampler.state_dict()) == states[-1], f"resumed at step {done}: another final state"


def check_ranks(make: Make) -> None:
    """The ranks together draw what one process draws, also when their number changes on the way."""
    segments: list[Segment] = [((0.5, 0.2, 0.3), 4), ((0.1, 0.6, 0.3), 5)]
    alone = make(labelled_sequences(), BATCH, seed=1)
    single = [_Step(sorted(step.pairs), step.drawn) for step in _steps(alone, segments)]
    for change in range(len(single) + 1):
        first = [make(labelled_sequences(), BATCH, seed=1, rank=r, world=2) for r in range(2)]
        then = [make(labelled_sequences(), BATCH, seed=1, rank=r, world=4) for r in range(4)]
        together = _together(first, segments, change)
        states = {json.dumps(rank.state_dict()) for rank in first}
        assert len(states) == 1, "the saved position depends on the rank"
        state = states.pop()
        for rank in then:
            rank.load_state_dict(json.loads(state))
        together += _together(then, _left(segments, change), len(single) - change)
        assert together == single, f"ranks differ from one process; their number changed at step {change}"


def check_seeds(make: Make) -> None:
    """The same seed gives the same batches, another seed other ones."""
    runs = [
        list(_steps(make(labelled_sequences(), BATCH, seed=seed), [((0.2, 0.3, 0.5), 5)]))
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1], "the same seed gave other batches"
    assert runs[0] != runs[2], "another seed gave the same batches"


def check_bad_input(make: Make) -> None:
    """Proportions off the simplex, shares that do not divide, and other data's positions are refused."""
    sampler = make(labelled_sequences(), BATCH, seed=0)
    for proportions in ([0.5, 0.5], [0.5, 0.6, 0.5], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5]):
        _refused(lambda p=proportions: sampler.segment(np.array(p), 1), f"{proportions} was accepted")
    _refused(lambda: make(labelled_sequences(), BATCH, seed=0, world=3), "8 sequences on 3 ranks")
    other = make(labelled_sequences((7, 12, 31)), BATCH, seed=0)
    _refused(lambda: sampler.load_state_dict(other.state_dict()), "a position in other data was accepted")


CHECKS: dict[str, Callable[[Make], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_steps,
        check_epochs,
        check_proportions,
        check_changes,
        check_zero,
        check_resume,
        check_ranks,
        check_seeds,
        check_bad_input,
    )
}


def check_sampler(make: Make) -> None:
    """Run every check.

    Raises:
        AssertionError: at the first that fails.
    """
    for check in CHECKS.values():
        check(make)


def _steps(sampler: Sampler, segments: Sequence[Segment]) -> Iterator[_Step]:
    for proportions, steps in segments:
        for batch in sampler.segment(np.array(proportions, np.float64), steps):
            yield _Step(pairs(batch), batch.drawn.tolist())


def _together(ranks: Sequence[Sampler], segments: Sequence[Segment], steps: int) -> list[_Step]:
    """The first `steps` steps, each rank's sequences put together."""
    streams = [_steps(rank, segments) for rank in ranks]
    union = []
    for _ in range(steps):
        parts = [next(stream) for stream in streams]
        assert all(len(part.pairs) == BATCH // len(ranks) for part in parts), "ranks share a step unevenly"
        assert all(part.drawn == parts[0].drawn for part in parts), "ranks disagree on `drawn`"
        union.append(_Step(sorted(pair for part in parts for pair in part.pairs), parts[0].drawn))
    return union


def _left(segments: Sequence[Segment], done: int) -> list[Segment]:
    left: list[Segment] = []
    for proportions, steps in segments:
        skipped = min(done, steps)
        done -= skipped
        left.append((proportions, steps - skipped))
    return left


def _refused(act: Callable[[], object], otherwise: str) -> None:
    try:
        act()
    except InputError:
        return
    raise AssertionError(otherwise)
