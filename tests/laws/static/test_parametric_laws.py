"""What every parametric law must do, on planted tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.laws.static import robust
from aioli.laws.static.additive import Additive, FittedAdditive
from aioli.laws.static.bimix import BiMix, FittedBiMix
from aioli.laws.static.joint import FittedJoint, Joint
from aioli.laws.static.linear import FittedLinear, LinearLaw
from aioli.laws.static.log_linear import FittedLogLinear, LogLinear
from aioli.protocol import Array
from aioli.static_law import ConvexLosses, FittedLaw, StaticLaw
from aioli.table import Table

GROUPS, TARGETS = ("a", "b", "c"), ("a", "x")
FLOORS = np.array([1.2, 2.0])
USE = np.array([[0.9, 0.4, 0.2], [0.3, 0.8, 0.5]])
BENDS = np.array([[0.5, 0.4, 0.6], [0.3, 0.7, 0.5]])
FACTORS = np.array([400.0, 90.0])
RATES = np.array([0.34, 0.25])
PLANTED: dict[str, tuple[StaticLaw, FittedLaw]] = {
    "linear": (LinearLaw(), FittedLinear(2 + USE)),
    "robust_linear": (LinearLaw(0.02), FittedLinear(2 + USE)),
    "log_linear": (LogLinear(), FittedLogLinear(FLOORS, 0.5 - 2 * USE)),
    "bimix": (BiMix(), FittedBiMix(FLOORS, USE, BENDS, 1e-3)),
    "additive": (Additive(), FittedAdditive(FLOORS, USE, BENDS)),
    "joint": (Joint(), FittedJoint(FLOORS, USE, BENDS, FACTORS, RATES, FACTORS, RATES[::-1].copy())),
}
EVERY = pytest.mark.parametrize("kind", PLANTED)


def table_of(truth: FittedLaw, runs: int = 60, noise: float = 0.0, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(3), runs)
    size, tokens = 10 ** rng.uniform(6, 8, runs), 10 ** rng.uniform(8, 10, runs)
    losses = truth.predict(mixtures, size, tokens) + noise * rng.normal(size=(runs, 2))
    return Table(GROUPS, tuple(map(str, range(runs))), mixtures, size, tokens, TARGETS, losses)


def predictions(fitted: FittedLaw, table: Table) -> Array:
    return fitted.predict(table.mixtures, table.size, table.tokens)


def value_of(losses: ConvexLosses, p: Array) -> Array:
    """The losses that the description gives, at one mixture inside the simplex."""
    total = losses.constant + losses.linear @ p
    for terms, value in (
        (losses.exponentials, lambda t: np.exp(t.first + t.second @ p)),
        (losses.powers, lambda t: (t.first * p**-t.second).sum(axis=1)),
        (losses.inverses, lambda t: 1 / (t.first * p**t.second).sum(axis=1)),
    ):
        if terms is not None:
            np.add.at(total, terms.target, terms.weight * value(terms))
    return total


@EVERY
def test_planted_numbers_are_recovered_without_noise(kind):
    law, truth = PLANTED[kind]
    fitted = law.fit(table_of(truth)).to_json()
    for name, planted in truth.to_json().items():
        assert np.asarray(fitted[name]) == pytest.approx(np.asarray(planted), rel=1e-6)


@EVERY
def test_prediction_is_better_than_the_noise(kind):
    law, truth = PLANTED[kind]
    unseen = table_of(truth, runs=200, seed=1)
    found = predictions(law.fit(table_of(truth, runs=120, noise=0.01)), unseen)
    assert np.sqrt(((found - unseen.losses) ** 2).mean(axis=0)).max() < 0.01


@EVERY
def test_outliers_do_not_move_a_robust_fit(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, runs=120)
    losses = table.losses.copy()
    losses[::10] += 3.0
    error = np.abs(predictions(law.fit(replace(table, losses=losses)), table) - table.losses)[1::10].max()
    assert error > 0.1 if kind == "linear" else error < 0.02


@EVERY
def test_no_weight_is_no_run(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    losses = table.losses.copy()
    losses[:7] = 0.1
    weights = np.ones(len(table))
    weights[:7] = 0
    found = law.fit(replace(table, losses=losses), weights)
    removed = law.fit(table.rows(np.arange(7, len(table))))
    assert predictions(found, table) == pytest.approx(predictions(removed, table), abs=1e-6)


@EVERY
def test_whole_weights_repeat_runs(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    weights = np.random.default_rng(0).integers(0, 3, len(table)).astype(float)
    fitted = law.fit(table)
    warm = law.refit(fitted, table, np.stack([np.ones(len(table)), weights, 5 * weights]))
    assert predictions(warm[0], table) == pytest.approx(predictions(fitted, table), abs=2e-5)
    assert predictions(warm[1], table) == pytest.approx(predictions(law.fit(table, weights), table), abs=1e-3)
    assert predictions(warm[2], table) == pytest.approx(predictions(warm[1], table), abs=1e-6)


@EVERY
def test_json_keeps_every_bit(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    fitted = law.fit(table)
    again = law.from_json(json.loads(json.dumps(fitted.to_json())))
    assert np.array_equal(predictions(again, table), predictions(fitted, table))
    assert again.to_json() == fitted.to_json()


@EVERY
def test_order_of_groups_and_targets_plays_no_part(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    groups, targets = [2, 0, 1], [1, 0]
    turned = replace(
        table,
        groups=tuple(GROUPS[j] for j in groups),
        mixtures=table.mixtures[:, groups],
        targets=tuple(TARGETS[i] for i in targets),
        losses=table.losses[:, targets],
    )
    straight = predictions(law.fit(table), table)[:, targets]
    assert predictions(law.fit(turned), turned) == pytest.approx(straight, abs=2e-5)


@EVERY
def test_another_unit_of_losses_scales_the_predictions(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    scaled = replace(table, losses=3 * table.losses)
    tripled = law if kind == "linear" else replace(law, huber=3 * law.huber)
    once, thrice = predictions(law.fit(table), table), predictions(tripled.fit(scaled), table)
    assert thrice == pytest.approx(3 * once, abs=1e-4)


@EVERY
def test_convex_description_is_the_prediction(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    fitted = law.fit(table)
    described = fitted.convex(float(table.size[0]), float(table.tokens[0]))
    assert value_of(described, table.mixtures[0]) == pytest.approx(predictions(fitted, table)[0], rel=1e-12)


@EVERY
def test_corners_and_an_unused_group_give_finite_losses(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    unused = replace(
        table,
        groups=(*GROUPS, "never"),
        mixtures=np.hstack([table.mixtures, np.zeros((len(table), 1))]),
    )
    found = law.fit(unused).predict(np.eye(4), np.full(4, 1e7), np.full(4, 1e9))
    assert np.isfinite(found).all()
    mean = predictions(law.fit(table), table)
    assert predictions(law.fit(unused), unused) == pytest.approx(mean, abs=2e-5)


@EVERY
def test_fewer_runs_than_numbers_are_refused(kind):
    law, truth = PLANTED[kind]
    needed = law.parameters(3)
    table = table_of(truth, runs=needed)
    with pytest.raises(InputError, match=rf"{needed} numbers .* only {needed - 1} runs"):
        law.fit(table.rows(np.arange(needed - 1)))
    with pytest.raises(InputError, match=rf"only {needed - 1} runs"):
        law.fit(table, np.arange(needed) > 0)


@EVERY
def test_bad_weights_and_bad_json_are_refused(kind):
    law, truth = PLANTED[kind]
    table = table_of(truth)
    for weights in (np.ones(3), -np.ones(60), np.full(60, np.nan), np.zeros(60)):
        with pytest.raises(InputError, match="weights"):
            law.fit(table, weights)
    plain = law.fit(table).to_json()
    for name in plain:
        for bad in ({k: v for k, v in plain.items() if k != name}, plain | {name: [[]]}):
            with pytest.raises(InputError, match=name):
                law.from_json(bad)


@EVERY
def test_small_blocks_give_the_same_fit(kind, monkeypatch):
    law, truth = PLANTED[kind]
    table = table_of(truth, noise=0.01)
    whole = predictions(law.fit(table), table)
    monkeypatch.setattr(robust, "BLOCK_BYTES", 1)
    assert predictions(law.fit(table), table) == pytest.approx(whole, abs=1e-9)
