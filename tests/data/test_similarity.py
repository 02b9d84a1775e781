"""Divergences of known sources, the rule for tau, and what must not matter."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.markov_texts import chain, divergence_of, make_corpus, stationary, text

from aioli.data.similarity import TAUS, compare_corpus, compare_texts, divergence
from aioli.data.similarity_hash import histogram, sample_rows
from aioli.data.similarity_settings import SimilaritySettings
from aioli.errors import InputError
from aioli.methods.similar import Similar
from aioli.protocol import Problem
from aioli.training.similar import with_divergences

LONG = 60_000
NAMES = ("near", "middle", "far")
FINE = SimilaritySettings(smoothing=1e-4)
"""Next to no smoothing: these sources have 156 n-grams, real text tens of thousands."""


@pytest.fixture(scope="module")
def texts():
    return {name: text(source, LONG) for source, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def target():
    return {"target": text(0, LONG, seed=9)}


def mixture(found) -> np.ndarray:
    problem = Problem(found.groups, tuple(1 + int(n) for n in found.tokens), 10, 10, targets=found.targets)
    return with_divergences(Similar(), found).mixture(problem)


def test_divergences_are_those_of_the_sources(texts, target):
    found = compare_texts(texts, target, FINE)
    for j, name in enumerate(NAMES):
        assert found.divergences[0, j] == pytest.approx(divergence_of(0, j), abs=0.02), name
    assert found.divergences[0, 0] < 0.02 < 0.2 < found.divergences[0, 1:].min()


@pytest.mark.parametrize("direction", ["target_group", "group_target", "symmetric", "jensen_shannon"])
def test_the_group_of_the_targets_own_source_gets_most_in_every_direction(direction, texts, target):
    found = compare_texts(texts, target, SimilaritySettings(direction=direction))
    p = mixture(found)
    assert p[0] > 0.9
    middle, far = divergence_of(0, 1), divergence_of(0, 2)
    if direction == "target_group":
        assert (p[1] > p[2]) == (middle < far)


def test_directions_by_hand():
    p, q = np.array([3.0, 1.0]), np.array([[1.0, 1.0]])
    forward = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    backward = 0.5 * np.log(2 / 3) + 0.5 * np.log(2)
    shared = np.array([0.625, 0.375])
    nearness = 0.75 * np.log(0.75 / 0.625) + 0.25 * np.log(0.25 / 0.375) + (0.5 * np.log(0.5 / shared)).sum()
    found = [
        divergence(p, q, 1e-12, each)[0]
        for each in ("target_group", "group_target", "symmetric", "jensen_shannon")
    ]
    assert found == pytest.approx([forward, backward, (forward + backward) / 2, nearness / 2], abs=1e-9)


def test_tau_finds_the_mixture_that_a_target_is_made_of():
    """The target is half of one source and half of another: both are needed, the third is not."""
    groups = {f"g{source}": text(source, LONG) for source in range(3)}
    target = np.concatenate([text(0, LONG // 2, seed=5), text(1, LONG // 2, seed=5)])
    found = compare_texts(groups, {"both": target})
    p = mixture(found)
    assert p[2] < 0.1 and min(p[:2]) > 0.3
    best = int(found.likelihood[0].argmax())
    assert found.tau[0] == TAUS[best] and 0 < best < len(TAUS) - 1
    single = -(stationary(chain(0)) * np.log(stationary(chain(0)))).sum()
    assert found.likelihood[0, best] < -single / 2  # nats of an n-gram, no better than its entropy allows


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_the_order_of_groups_does_not_matter(order):
    names = ("a", "b", "c", "small")
    texts = {name: text(k, 900 if name == "small" else 6000) for k, name in enumerate(names)}
    targets = {"t": text(1, 3000, seed=3)}
    plain = compare_texts(texts, targets)
    mixed = compare_texts({names[k]: texts[names[k]] for k in order}, targets)
    np.testing.assert_array_equal(plain.divergences[:, order], mixed.divergences)
    np.testing.assert_array_equal(plain.tau, mixed.tau)


def test_the_same_again_and_another_seed(texts, target):
    small = replace(FINE, sample=20_000)
    first, again = (compare_texts(texts, target, small) for _ in range(2))
    other = compare_texts(texts, target, replace(small, seed=1))
    np.testing.assert_array_equal(first.divergences, again.divergences)
    assert not np.array_equal(first.divergences, other.divergences)
    np.testing.assert_allclose(first.divergences, other.divergences, rtol=0.1, atol=0.01)


@pytest.mark.parametrize("small", [300, 1000, 4000])
def test_a_small_group_is_not_taken_for_a_distant_one(small):
    """Two groups of one source, one with little text: uncorrected, it would look many times as far."""
    groups = {f"g{source}": text(source, 40_000) for source in range(6)}
    groups["twin"] = text(3, small, seed=2)
    target = text(3, 40_000, seed=4)
    found = compare_texts(groups, {"t": target})
    full, twin = found.divergences[0, 3], found.divergences[0, 6]
    rows = sample_rows(groups["twin"], small, "twin", 0)
    counts = [histogram(each, 65536) for each in (sample_rows(target, 40_000, "t", 0), rows)]
    uncorrected = divergence(counts[0], counts[1][None], 0.1, "target_group")[0]
    assert uncorrected > full + 0.2
    assert abs(twin - full) < 0.25 * (uncorrected - full)
    assert twin < found.divergences[0, [0, 1, 2, 4, 5]].min()
    assert found.tokens.tolist() == [40_000] * 6 + [small]


def test_groups_are_cut_to_one_size(texts, target):
    """A group ten times as large as the others gets the divergence that their size gives it."""
    large = texts | {"near": text(0, 10 * LONG)}
    found = compare_texts(large, target)
    assert found.tokens.tolist() == [LONG] * 3
    assert compare_texts(texts, target, SimilaritySettings(sample=1000)).tokens.tolist() == [1000] * 3


def test_groups_without_text_and_a_single_group(texts, target):
    found = compare_texts({"empty": np.empty(0, np.uint16), **texts}, target)
    assert np.isnan(found.divergences[0, 0]) and np.isfinite(found.divergences[0, 1:]).all()
    np.testing.assert_array_equal(found.divergences[0, 1:], compare_texts(texts, target).divergences[0])
    alone = compare_texts({"near": texts["near"]}, target)
    assert mixture(alone).tolist() == [1.0]


def test_too_little_text_is_refused(texts):
    with pytest.raises(InputError, match=r"too few in none \(0\), few \(3\).*data.split.validation"):
        compare_texts(texts, {"none": np.empty(0, np.uint16), "few": np.arange(3), "enough": np.arange(4)})
    with pytest.raises(InputError, match="no training tokens in any of the groups a, b"):
        compare_texts({"a": np.empty(0, int), "b": np.empty(0, int)}, {"t": np.arange(50)})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"buckets": 1}, "buckets must be at least 2, got 1"),
        ({"sample": 0}, "sample must be at least 2, got 0"),
        ({"smoothing": 0.0}, "smoothing must be positive, got 0"),
        ({"direction": "up"}, "direction must be target_group"),
        ({"max_overlap": 1.5}, "max_overlap is a share from 0 to 1, got 1.5"),
    ],
)
def test_wrong_settings(wrong, told):
    with pytest.raises(InputError, match=told):
        SimilaritySettings(**wrong)


def test_the_test_split_is_never_read(tmp_path, texts, target):
    """Whatever the test splits hold, the divergences and tau are the same to the last bit."""

    def corpus(where: str, garbage: int):
        noise = np.random.default_rng(garbage).integers(0, 4000, 5000).astype(np.uint16)
        groups = {n: {"train": t, "validation": t[:500], "test": noise} for n, t in texts.items()}
        return make_corpus(tmp_path / where, groups, {"t": {"validation": target["target"], "test": noise}})

    first, second = corpus("one", 1), corpus("two", 2)
    (second.directory / "t" / "test.bin").unlink()
    found = [compare_corpus(each, SimilaritySettings()) for each in (first, second)]
    np.testing.assert_array_equal(found[0].divergences, found[1].divergences)
    np.testing.assert_array_equal(found[0].likelihood, found[1].likelihood)


def test_hundreds_of_groups():
    texts = {f"g{k}": text(k % 5, 1500, seed=k) for k in range(300)}
    found = compare_texts(texts, {"t": text(2, 3000, seed=999)}, SimilaritySettings(buckets=4096))
    p = mixture(found)
    assert p.shape == (300,) and p[2::5].sum() > 0.8
