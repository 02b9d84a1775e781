"""How many runs a design needs: `python -m benchmarks.designs [--quick]`.

Worlds with known laws: log-linear (2 + exp(t . p), t ~ N(0, 0.7)) and additive (2 + 1 / sum_j C_j p_j^g_j,
ln C ~ N(0, 0.7), g uniform on [.2, .6]), three targets, m groups, noise of .01 nats in every measured loss.
For every design and number of runs K = c (m + 1) a law is fitted: the form of the world, and in additive
worlds also the log-linear one, which is wrong there. Told are the root mean squared error of its
predictions on 500 mixtures drawn evenly from the simplex, and the regret: the true mean loss of the mixture
that it thinks best, minus the least possible. Means over repetitions (other worlds, draws and noise, the
same for all designs; optimal designs do not change) with 95% intervals; `needed`: the
first K whose mean regret, and that of all larger K, is at most the regret stated, with the interval of a
bootstrap over the repetitions.

Results are kept in runs/designs.jsonl as they come; a run that was stopped goes on from there. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from aioli.laws.static.additive import Additive, FittedAdditive
from aioli.laws.static.log_linear import FittedLogLinear, LogLinear
from aioli.protocol import Array
from aioli.solvers.minimise import minimise
from aioli.solvers.problem import MixtureProblem
from aioli.sweep.designs import dirichlet, one_hot, space_filling
from aioli.sweep.optimal_design import optimal
from aioli.sweep.region import Region
from aioli.table import Table

NOISE, TARGETS, TEST = 0.01, 3, 500
REGRETS = (0.01, 0.003, 0.001)
MULTIPLES = (1.5, 2, 3, 4, 6, 10)
LAWS = {"log_linear": LogLinear(), "additive": Additive()}
CASES = (("log_linear", "log_linear"), ("additive", "additive"), ("additive", "log_linear"))
"""World and law."""


def _dirichlet(m: int, runs: int, seed: int) -> Array:
    return dirichlet(np.full(m, 1 / m), runs, Region.simplex(m), seed=seed)


def _even(m: int, runs: int, seed: int) -> Array:
    return dirichlet(np.full(m, 1 / m), runs, Region.simplex(m), strengths=[m], seed=seed)


def _space(m: int, runs: int, seed: int) -> Array:
    return space_filling(runs, Region.simplex(m), seed=seed)


def _corners_and_space(m: int, runs: int, seed: int) -> Array:
    corners = one_hot(Region.simplex(m))
    return np.concatenate([corners, space_filling(runs - m, Region.simplex(m), seed=seed, start=corners)])


@cache
def _optimal(law: str, criterion: Any, m: int, runs: int) -> Array:
    """One design for all repetitions: making it takes seconds."""
    return optimal(law, runs, Region.simplex(m), criterion=criterion)


def _best(law: str, criterion: str) -> Callable[[int, int, int], Array]:
    return lambda m, runs, seed: _optimal(law, criterion, m, runs)


DESIGNS: dict[str, Callable[[int, int, int], Array]] = {
    "dirichlet, strengths .1 to 5": _dirichlet,
    "dirichlet, strength m (even)": _even,
    "space": _space,
    "one-hot and space": _corners_and_space,
    "D-optimal, log-linear": _best("log_linear", "D"),
    "A-optimal, log-linear": _best("log_linear", "A"),
    "D-optimal, additive": _best("additive", "D"),
}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="m = 3 alone, 4 repetitions, nothing kept")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--store", type=Path, default=Path("runs/designs.jsonl"))
    given = parser.parse_args(arguments)
    groups, repetitions = ((3,), 4) if given.quick else ((3, 7, 17), given.repetitions)
    store = None if given.quick else given.store
    known = {} if store is None else _read(store)
    for repetition in range(repetitions):
        for m in groups:
            for key, measure in _cells(m, repetition):
                if key not in known:
                    known[key] = measure()
                    _keep(store, key, known[key])
    report = {
        "benchmark": "designs",
        "noise": NOISE,
        "repetitions": repetitions,
        "results": [_told(known, m, case, repetitions) for m in groups for case in CASES],
    }
    print(json.dumps(report))
    return report


def _cells(m: int, repetition: int) -> Iterator[tuple[str, Callable[[], list[float]]]]:
    for world, law in CASES:
        for design in DESIGNS:
            for multiple in MULTIPLES:
                key = json.dumps([m, world, law, design, multiple, repetition])
                yield key, lambda w=world, a=law, d=design, c=multiple: measure(m, w, a, d, c, repetition)


def measure(m: int, world: str, law: str, design: str, multiple: float, repetition: int) -> list[float]:
    """[root mean squared error of predictions, regret] in nats; NaN where the law needs more runs."""
    runs = round(multiple * (m + 1))
    if runs < (LAWS[law].parameters(m) or 0):
        return [float("nan"), float("nan")]
    rng = np.random.default_rng([m, repetition])
    truth = _truth(world, m, rng)
    test = rng.dirichlet(np.ones(m), TEST)
    mixtures = DESIGNS[design](m, runs, repetition)
    losses = truth.predict(mixtures) + NOISE * rng.normal(size=(runs, TARGETS))
    names = tuple(f"group {j}" for j in range(m))
    targets = tuple(f"target {i}" for i in range(TARGETS))
    table = Table(names, tuple(map(str, range(runs))), mixtures, targets=targets, losses=losses)
    fitted = LAWS[law].fit(table)
    error = float(np.sqrt(np.mean((fitted.predict(test) - truth.predict(test)) ** 2)))
    problem = MixtureProblem(np.full(TARGETS, 1 / TARGETS), np.zeros(m), np.ones(m))
    ends = [minimise(each, problem).proportions for each in (fitted, truth)]
    reached, least = truth.predict(np.array(ends)).mean(axis=1)
    return [error, float(reached - least)]


def _truth(world: str, m: int, rng: np.random.Generator) -> FittedLogLinear | FittedAdditive:
    floors, size = np.full(TARGETS, 2.0), (TARGETS, m)
    if world == "log_linear":
        return FittedLogLinear(floors, rng.normal(0, 0.7, size))
    return FittedAdditive(floors, np.exp(rng.normal(0, 0.7, size)), rng.uniform(0.2, 0.6, size))


def _told(known: dict[str, list[float]], m: int, case: tuple[str, str], repetitions: int) -> dict[str, Any]:
    told: dict[str, Any] = {"m": m, "world": case[0], "law": case[1], "designs": {}}
    print(f"\nm = {m}, {case[0]} world, {case[1]} law: regret (1e-3 nats) at K = c (m + 1), c = {MULTIPLES}")
    for design in DESIGNS:
        values = np.array(
            [[known[json.dumps([m, *case, design, c, r])] for c in MULTIPLES] for r in range(repetitions)]
        )
        errors, regrets = values[:, :, 0], values[:, :, 1]
        told["designs"][design] = {
            "runs": [round(c * (m + 1)) for c in MULTIPLES],
            "error": _intervals(errors),
            "regret": _intervals(regrets),
            "needed": {str(limit): _needed(regrets, limit, m) for limit in REGRETS},
        }
        pairs = [each or (np.nan, np.nan) for each in _intervals(regrets)]
        shown = "  ".join(f"{1e3 * a:6.2f} +-{1e3 * b:5.2f}" for a, b in pairs)
        needed = told["designs"][design]["needed"]
        print(f"  {design:30}{shown}   needed: {needed}", flush=True)
    return told


def _intervals(values: Array) -> list[list[float] | None]:
    """[mean, half width of its 95% interval] of each column; None where the law had too few runs."""
    half = stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    pairs = zip(values.mean(axis=0), half, strict=True)
    return [None if np.isnan(a) else [float(f"{a:.4g}"), float(f"{b:.3g}")] for a, b in pairs]


def _needed(regrets: Array, limit: float, m: int) -> list[int | None]:
    """[K, low, high]; None: more than was tried."""
    runs = [round(c * (m + 1)) for c in MULTIPLES]

    def first(sample: Array) -> float:
        enough = sample.mean(axis=0) <= limit
        enough = np.flip(np.logical_and.accumulate(np.flip(enough)))
        return runs[int(np.argmax(enough))] if enough.any() else np.inf

    rng = np.random.default_rng(0)
    again = [first(regrets[rng.integers(0, len(regrets), len(regrets))]) for _ in range(400)]
    low, high = np.quantile(again, [0.025, 0.975], method="inverted_cdf")
    return [None if value == np.inf else int(value) for value in (first(regrets), low, high)]


def _read(store: Path) -> dict[str, list[float]]:
    lines = store.read_text().splitlines() if store.exists() else []
    return {record["key"]: record["values"] for record in map(json.loads, lines)}


def _keep(store: Path | None, key: str, values: list[float]) -> None:
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.open("a") as file:
            file.write(json.dumps({"key": key, "values": values}) + "\n")


if __name__ == "__main__":
    main()
