"""The reference GPT: causality, attention, gradients, seeds."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aioli.training.model import GPT, rotary_table, rotate
from aioli.training.settings import ModelSettings

SETTINGS = ModelSettings(layers=2, width=32, heads=4, context=16)
VOCAB = 50


def tokens(rows: int = 3, length: int = 17, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model() -> GPT:
    return GPT(SETTINGS, VOCAB, seed=0)


def test_losses_are_means_over_each_sequence(model: GPT) -> None:
    ids = tokens()
    logits = model.logits(model.hidden(ids[:, :-1]))
    assert logits.shape == (3, 16, VOCAB)
    expected = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").mean(dim=1)
    torch.testing.assert_close(model(ids), expected)


def test_long_batches_are_cut_into_chunks_without_a_trace() -> None:
    model = GPT(ModelSettings(layers=1, width=16, heads=2, context=64), VOCAB, seed=0)
    ids = tokens(rows=40, length=65)
    torch.testing.assert_close(model(ids)[:5], model(ids[:5]))


def test_an_untrained_model_guesses_nearly_uniformly(model: GPT) -> None:
    assert model(tokens(64)).mean().item() == pytest.approx(math.log(VOCAB), abs=0.4)


def test_future_tokens_do_not_change_the_past(model: GPT) -> None:
    ids = tokens(rows=1, length=16)
    changed = ids.clone()
    changed[0, 9] = (ids[0, 9] + 1) % VOCAB
    before, after = model.hidden(ids), model.hidden(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9], rtol=0, atol=0)
    assert (before[:, 9:] != after[:, 9:]).any(dim=-1).all()


def test_shorter_sequences_than_the_context_are_a_prefix(model: GPT) -> None:
    ids = tokens(rows=2, length=16)
    torch.testing.assert_close(model.hidden(ids)[:, :7], model.hidden(ids[:, :7]))


def test_attention_depends_on_distance_only() -> None:
    rotary = rotary_table(32, 8)
    query, key = torch.randn(8), torch.randn(8)
    turned = [rotate(x.expand(1, 1, 32, 8), rotary)[0, 0] for x in (query, key)]
    scores = turned[0] @ turned[1].T
    torch.testing.assert_close(scores[5, 2], scores[25, 22])
    torch.testing.assert_close(turned[0].norm(dim=1), query.norm().expand(32))


def test_every_parameter_gets_a_gradient(model: GPT) -> None:
    model(tokens()).mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_a_directional_derivative_agrees_with_the_gradient() -> None:
    model = GPT(SETTINGS, VOCAB, seed=1).double()
    ids, step = tokens(), 1e-5
    model(ids).mean().backward()
    weights = list(model.parameters())
    directions = [torch.randn_like(weight) for weight in weights]
    slope = sum(float((w.grad * d).sum()) for w, d in zip(weights, directions, strict=True))
    values = []
    with torch.no_grad():
        for sign in (1, -2):
            for weight, direction in zip(weights, directions, strict=True):
                weight += sign * step * direction
            values.append(float(model(ids).mean()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_the_seed_decides_the_weights() -> None:
    torch.manual_seed(5)
    first = GPT(SETTINGS, VOCAB, seed=3).state_dict()
    torch.manual_seed(6)
    second, other = GPT(SETTINGS, VOCAB, seed=3).state_dict(), GPT(SETTINGS, VOCAB, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_sizes_and_flops(model: GPT) -> None:
    inner = 96
    block = 4 * 32 * 32 + 3 * 32 * inner + 2 * 32
    assert model.parameters_count == VOCAB * 32 + 2 * block + 32
    matrices = VOCAB * 32 + 2 * (block - 64)
    assert model.token_flops() == 6 * matrices + 12 * 2 * 32 * 16
