"""Laws on the published RegMix runs: `python -m benchmarks.regmix_fit [--quick]`; one thread.

Every law is fitted to the 512 runs at 1M parameters and ranks runs that it has not seen at 1M (256), 60M
(256) and 1B (64). "auto" is the one choice that cross-validation on the 512 makes; the tests have no part in
it. Reported is the Spearman correlation of predicted and measured losses on Pile-CC, and its mean over the 13
losses, with percentile intervals over 1000 resamples of the test runs. `--quick` leaves out the trees, the
Gaussian process and the averages.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from aioli.fitting.assess import spearman_columns, target_weights
from aioli.fitting.choose import choose
from aioli.fitting.registry import build_law, describe_law
from aioli.protocol import Array
from aioli.static_law import FittedLaw
from aioli.table import Table

HERE = Path(__file__).parent / "regmix"
TESTS = ("1m", "60m", "1B")
TARGET = "pile_cc"
AIMS = {"pile_cc": {"1m": 0.990, "60m": 0.988, "1B": 0.975}, "mean": {"1m": 0.990, "60m": 0.986, "1B": 0.944}}
RESAMPLES = 1000
QUICK = ("linear", "log_linear", "additive", "effective")
PAIR = ["log_linear", "additive"]
LAWS: dict[str, Any] = {name: name for name in (*QUICK, "bimix", "gaussian_process", "trees")} | {
    "log_linear + additive": {"average": {"members": PAIR}},
    "log_linear + additive, stacked": {"average": {"members": PAIR, "weights": "stacked"}},
    "effective + trees, stacked": {"average": {"members": ["effective", "trees"], "weights": "stacked"}},
}


def read(mixtures: str, losses: str) -> Table:
    """A table from two files joined on their index."""
    shares, groups = _columns(mixtures, "train_the_pile_", "")
    values, targets = _columns(losses, "metric/the_pile_", "_val_loss")
    rows = [row for row in shares if row in values]
    shared = np.array([shares[row] for row in rows])
    reached = np.array([values[row] for row in rows])
    return Table(groups, tuple(rows), shared, targets=targets, losses=reached)


def _columns(file: str, prefix: str, suffix: str) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    with (HERE / f"{file}.csv").open(newline="") as text:
        lines = list(csv.DictReader(text))
    names = [name for name in lines[0] if name != "index"]
    short = tuple(name.removeprefix(prefix).removesuffix(suffix) for name in names)
    return {line["index"]: [float(line[name]) for name in names] for line in lines}, short


def scores(fitted: FittedLaw, table: Table) -> dict[str, list[float]]:
    """[value, low, high] of the Spearman correlation on Pile-CC and of the mean over targets."""
    predicted = fitted.predict(table.mixtures)
    rng = np.random.default_rng(0)
    draws = rng.integers(len(table), size=(RESAMPLES, len(table)))
    every = np.stack([spearman_columns(predicted[row], table.losses[row]) for row in draws])
    value = spearman_columns(predicted, table.losses)
    column = table.targets.index(TARGET)
    return {
        "pile_cc": _interval(value[column], every[:, column]),
        "mean": _interval(value.mean(), every.mean(axis=1)),
    }


def _interval(value: float, resampled: Array) -> list[float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return [round(float(one), 4) for one in (value, low, high)]


def measure(name: str, law: Any, train: Table, tests: dict[str, Table]) -> dict[str, Any]:
    """Seconds of the fit, and the scores on every test table."""
    start = time.process_time()
    fitted = build_law(law).fit(train)
    seconds = time.process_time() - start
    found = {test: scores(fitted, table) for test, table in tests.items()}
    shown = "  ".join(
        f"{test} {found[test]['pile_cc'][0]:.4f} {found[test]['mean'][0]:.4f}" for test in tests
    )
    print(f"{name:32s} {seconds:7.1f} s   {shown}", flush=True)
    return {"seconds": round(seconds, 2), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    train = read("train_mixture_1m", "train_pile_loss_1m")
    tests = {test: read(f"test_mixture_{test}", f"test_pile_loss_{test}") for test in TESTS}
    start, wall = time.process_time(), time.perf_counter()
    choice = choose(train, target_weights(train, None))
    cost = {"cpu_seconds": time.process_time() - start, "wall_seconds": time.perf_counter() - wall}
    for one in choice.candidates:
        told = (
            one.refused
            or f"held-out error {one.error:.4f}, behind {one.behind:.4f} +- {one.behind_error:.4f}"
        )
        print(f"{', '.join(one.law):32s} {one.seconds:7.1f} s   {told}", flush=True)
    print(f"chosen: {choice.law} in {cost['cpu_seconds']:.0f} s of processor time")
    laws = {"auto": choice.law} | {name: law for name, law in LAWS.items() if not quick or name in QUICK}
    found = {name: measure(name, law, train, tests) for name, law in laws.items()}
    auto = found["auto"]
    missed = [
        f"{what} {test}: {auto[test][what][0]} < {aim}"
        for what, aims in AIMS.items()
        for test, aim in aims.items()
        if auto[test][what][0] < aim
    ]
    choosing = {key: round(value, 1) for key, value in cost.items()}
    result = {"runs": len(train), "chosen": describe_law(choice.law), "choosing": choosing, "laws": found}
    print(json.dumps(result | {"missed": missed}))


if __name__ == "__main__":
    main()
