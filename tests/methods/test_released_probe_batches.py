"""The released Aioli code's probe batches with seven groups, and ours."""

from __future__ import annotations

import numpy as np
import pytest

from aioli import Mixer, Problem, zoo
from aioli.data.loader import Loader

GROUPS, BATCH, FOCUS, PROBE_STEPS, SWEEPS = 7, 8, 0.75, 10, 2


def nominal(hot: int) -> np.ndarray:
    p = np.full(GROUPS, (1 - FOCUS) / (GROUPS - 1))
    p[hot] = FOCUS
    return p


def released_probe(hot: int) -> np.ndarray:
    """[m] sequences that the released code trains in one probe.

    It takes int(80 p_j) sequences of each group and of the last what is left of 80; every batch then has
    max(1, int(8 p_j)) of each group and of the last what is left of 8, none if nothing is; it ends when a
    group has too few for another.
    """
    p, total = nominal(hot), BATCH * PROBE_STEPS
    stock = (total * p).astype(int)
    stock[-1] = total - stock[:-1].sum()
    pattern = np.maximum(1, (BATCH * p).astype(int))
    pattern[-1] = max(0, BATCH - pattern[:-1].sum())
    return pattern * min(stock[pattern > 0] // pattern[pattern > 0])


@pytest.mark.parametrize(
    ("hot", "sequences", "steps", "shares"),
    [
        (2, 33, 5, [1 / 11, 1 / 11, 6 / 11, 1 / 11, 1 / 11, 1 / 11, 0]),
        (6, 24, 3, [0.125] * 6 + [0.25]),
    ],
)
def test_the_released_code_trains_other_mixtures_than_it_solves_with(hot, sequences, steps, shares):
    drawn = released_probe(hot)
    assert drawn.sum() == sequences
    assert -(-drawn.sum() // BATCH) == steps
    np.testing.assert_allclose(drawn / drawn.sum(), shares, atol=1e-6)
    assert np.abs(drawn / drawn.sum() - nominal(hot)).max() > 0.2


def test_the_released_code_trains_half_of_the_steps_it_counts():
    steps = SWEEPS * sum(-(-released_probe(hot).sum() // BATCH) for hot in range(GROUPS))
    assert (steps, SWEEPS * GROUPS * PROBE_STEPS) == (66, 140)


@pytest.mark.filterwarnings("ignore:probing takes")
def test_ours_trains_every_step_on_the_mixture_asked_for_and_solves_with_what_was_drawn():
    names = tuple("abcdefg")
    problem = Problem(names, (10**6,) * GROUPS, 400, BATCH * 64, seed=1)
    method = zoo.aioli(eta=1.0, sweeps=SWEEPS, probe_steps=PROBE_STEPS, round_steps=200, focus=FOCUS)
    mixer = Mixer(method, problem)
    loader = Loader({name: np.zeros((999, 2), dtype=np.uint16) for name in names}, BATCH, seed=0)
    probes, steps, drawn_in = 0, 0, np.zeros((GROUPS, GROUPS))
    while mixer.request.phase != "train":
        request = mixer.request
        for batch in loader.segment(request.proportions, request.steps):
            mixer.advance(batch.drawn)
        if request.phase == "probe":
            hot = int(request.proportions.argmax())
            share = mixer.segment_drawn / mixer.segment_drawn.sum()
            assert mixer.segment_drawn.sum() == BATCH * PROBE_STEPS
            np.testing.assert_allclose(share, nominal(hot), atol=2.5 / (BATCH * PROBE_STEPS))
            assert mixer.segment_drawn.min() > 0
            drawn_in[hot] += share
            probes, steps = probes + 1, steps + request.steps
        mixer.tell(dict.fromkeys(request.observe, np.full(GROUPS, 3.0 - 0.001 * mixer.step)))
    assert (probes, steps) == (SWEEPS * GROUPS, 140)
    np.testing.assert_allclose(mixer.state.estimator.mixtures, drawn_in)
