"""Evaluator: fixed subsets, pairing, automatic sizes, exact state."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from aioli.errors import InputError
from aioli.measure.evaluate import Evaluator, fixed_subset

LENGTH = 9


class World:
    """Losses that a test sets: a sequence with first token k has loss level + slope x noise[k]."""

    def __init__(self, rows: int = 500) -> None:
        self.noise = np.random.default_rng(0).normal(size=2 * rows)
        self.level, self.slope = 4.0, 0.0
        self.calls: list[np.ndarray] = []
        ids = np.arange(2 * rows, dtype=np.uint16)
        table = np.repeat(ids[:, None], LENGTH, axis=1)
        self.sequences = {"law": table[:rows], "code": table[rows:]}

    def losses(self, tokens: np.ndarray) -> torch.Tensor:
        self.calls.append(tokens[:, 0].copy())
        return torch.from_numpy(self.level + self.slope * self.noise[tokens[:, 0]]).float()

    def read(self) -> np.ndarray:
        seen, self.calls = np.concatenate(self.calls), []
        return seen


def test_the_same_sequences_are_read_every_time_and_counted() -> None:
    world = World()
    evaluator = Evaluator(world.losses, world.sequences, sizes=20, batch=7)
    evaluator.measure(opening=True)
    first = world.read()
    for opening in (False, True, False):
        evaluator.measure(opening=opening)
        np.testing.assert_array_equal(world.read(), first)
    assert len(set(first)) == 40 and (first[:20] < 500).all() and (first[20:] >= 500).all()
    assert evaluator.tokens_read == 4 * 40 * (LENGTH - 1)


def test_error_is_that_of_the_paired_difference() -> None:
    world = World()
    evaluator = Evaluator(world.losses, world.sequences, sizes=50)
    world.slope = 1.0
    losses, errors = evaluator.measure(opening=True)
    noise = world.noise[world.read()].reshape(2, 50)
    np.testing.assert_allclose(losses, 4 + noise.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(errors, noise.std(axis=1, ddof=1) / np.sqrt(50), rtol=1e-6)
    world.level, world.slope = 3.9, 1.01
    losses, errors = evaluator.measure()
    np.testing.assert_allclose(errors, 0.01 * noise.std(axis=1, ddof=1) / np.sqrt(50), rtol=1e-3)


def test_automatic_sizes_follow_the_noise_of_the_difference_and_change_only_at_an_opening() -> None:
    world = World()
    evaluator = Evaluator(world.losses, world.sequences, max_sequences=400, precision=0.05)
    evaluator.measure(opening=True)
    assert evaluator.sizes.tolist() == [32, 32]
    world.level, world.slope = 3.9, 0.05
    evaluator.measure()
    differences = 0.05 * world.noise[np.concatenate(world.calls[-2:])].reshape(2, 32)
    assert evaluator.sizes.tolist() == [32, 32]
    evaluator.measure(opening=True)
    change = np.abs(-0.1 + differences.mean(axis=1)).mean()
    wanted = np.ceil((differences.std(axis=1, ddof=1) / (0.05 * change)) ** 2)
    assert ((wanted > 32) & (wanted < 400)).all()
    np.testing.assert_allclose(evaluator.sizes, wanted, atol=1)
    evaluator.measure(opening=True)  # nothing was learned in between
    np.testing.assert_allclose(evaluator.sizes, wanted, atol=1)


def test_automatic_sizes_stay_within_their_limits() -> None:
    world = World(rows=100)
    for slope, expected in ((0.0, 16), (50.0, 60)):
        evaluator = Evaluator(world.losses, world.sequences, max_sequences=60)
        world.level, world.slope = 4.0, 0.0
        evaluator.measure(opening=True)
        world.level, world.slope = 3.9, slope
        evaluator.measure()
        evaluator.measure(opening=True)
        assert evaluator.sizes.tolist() == [expected, expected]
    few = Evaluator(world.losses, {"law": world.sequences["law"][:5]})
    few.measure(opening=True)
    few.measure()
    _, errors = few.measure(opening=True)
    assert few.sizes.tolist() == [5] and errors.tolist() == [0.0]


def test_no_change_at_all_asks_for_the_most() -> None:
    world = World()
    evaluator = Evaluator(world.losses, world.sequences, max_sequences=100)
    for opening in (True, False, True):
        evaluator.measure(opening=opening)
    assert evaluator.sizes.tolist() == [100, 100]


def test_after_a_resize_the_error_is_taken_over_the_common_sequences() -> None:
    world = World()
    evaluator = Evaluator(world.losses, world.sequences, max_sequences=400)
    evaluator.measure(opening=True)
    world.level, world.slope = 3.99, 1.0
    evaluator.measure()
    before = world.read()[-64:].reshape(2, 32)
    world.slope = 1.1
    _, errors = evaluator.measure(opening=True)
    assert evaluator.sizes.min() > 32
    np.testing.assert_allclose(errors, 0.1 * world.noise[before].std(axis=1, ddof=1) / np.sqrt(32), rtol=1e-3)


def test_state_survives_json_exactly() -> None:
    world = World()
    world.slope = 0.3
    evaluator = Evaluator(world.losses, world.sequences)
    evaluator.measure(opening=True)
    world.level, world.slope = 3.7, 0.4
    evaluator.measure()
    saved = json.loads(json.dumps(evaluator.state_dict()))
    other = Evaluator(world.losses, world.sequences)
    other.load_state_dict(saved)
    world.slope = 0.45
    for opening in (False, True, False):
        a, b = evaluator.measure(opening), other.measure(opening)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(evaluator.sizes, other.sizes)
    assert evaluator.tokens_read == other.tokens_read


def test_a_smaller_subset_is_a_prefix_and_names_differ() -> None:
    rows = np.arange(1000)[:, None]
    large = fixed_subset(rows, 900, 0, "law")
    np.testing.assert_array_equal(fixed_subset(rows, 10, 0, "law"), large[:10])
    assert len(np.unique(large)) == 900
    assert not np.array_equal(large[:50], fixed_subset(rows, 50, 0, "code"))


def test_bad_input_is_refused() -> None:
    world = World()
    with pytest.raises(InputError, match="'tiny' has no sequence"):
        Evaluator(world.losses, {"tiny": np.zeros((0, LENGTH), dtype=np.uint16)})
    with pytest.raises(InputError, match="at least 1"):
        Evaluator(world.losses, world.sequences, sizes=0)
    saved = Evaluator(world.losses, world.sequences).state_dict()
    with pytest.raises(InputError, match="measured law, code; this one measures law"):
        Evaluator(world.losses, {"law": world.sequences["law"]}).load_state_dict(saved)
    few = Evaluator(world.losses, {name: rows[:8] for name, rows in world.sequences.items()})
    with pytest.raises(InputError, match=r"read \[32, 32\] sequences.*up to \[8, 8\]"):
        few.load_state_dict(saved)
