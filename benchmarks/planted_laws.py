"""Regret against the number of runs: `python -m benchmarks.planted_laws [--quick] [--out FILE]`; one thread.

Worlds of m = 3, 7, 17 and 50 groups and min(m, 6) targets whose true law is log-linear or additive. K = 1, 2,
3, 5 and 8 times m + 1 runs, drawn as RegMix draws them (Dirichlet around a prior, strengths .1 to 5), with
normal noise of 0.01 nats. Laws are fitted and their optimum is found (the mean of the best 16 of 10 000
draws for the trees); regret is its true mean loss minus that of the true optimum, in nats. Beside them: the
best measured run itself. Every world is stored when it is done, and a second call goes on from there.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.fitting.registry import build_law
from aioli.laws.static.additive import FittedAdditive
from aioli.laws.static.log_linear import FittedLogLinear
from aioli.protocol import Array
from aioli.solvers.minimise import minimise
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import FittedLaw
from aioli.table import Table

GROUPS = (3, 7, 17, 50)
MULTIPLES = (1, 2, 3, 5, 8)
WORLDS = ("log_linear", "additive")
LAWS = ("linear", "log_linear", "additive", "effective", "trees")
REPEATS = 5
NOISE = 0.01
DRAWS, KEPT = 10_000, 16


def plant(kind: str, m: int, rng: np.random.Generator) -> FittedLaw:
    """A true law in which a few groups matter much to each target, and reducible losses are 0.5 to 3 nats."""
    n = min(m, 6)
    floors = rng.uniform(1.5, 3.0, n)
    use = rng.gamma(0.5, 1.0, (n, m))
    use[np.arange(n), rng.permutation(m)[:n]] += 1.5  # every target has a group of its own
    if kind == "log_linear":
        return FittedLogLinear(floors, 1.0 - np.minimum(use, 4.0))
    exponents = rng.uniform(0.2, 0.6, (n, m))
    centre = (use * (1 / m) ** exponents).sum(axis=1, keepdims=True)
    return FittedAdditive(floors, use / centre * rng.uniform(0.5, 1.0, (n, 1)), exponents)


def sweep(truth: FittedLaw, m: int, runs: int, rng: np.random.Generator) -> tuple[Table, Array]:
    """Measured runs, and the prior that they are drawn around."""
    prior = rng.dirichlet(np.full(m, 2.0))
    base = np.sqrt(prior) / np.sqrt(prior).sum()
    strengths = rng.choice(np.geomspace(0.1, 5.0, 15), runs)
    mixtures = np.stack([rng.dirichlet(np.maximum(base * s * m, 1e-2)) for s in strengths])
    losses = truth.predict(mixtures)
    names = [str(row) for row in range(runs)]
    groups = [f"g{j}" for j in range(m)]
    targets = [f"t{i}" for i in range(losses.shape[1])]
    noisy = losses + NOISE * rng.normal(size=losses.shape)
    return Table(tuple(groups), tuple(names), mixtures, targets=tuple(targets), losses=noisy), prior


def optimum(fitted: FittedLaw, m: int, n: int, prior: Array, search: bool) -> Array:
    """The mixture of least mean predicted loss."""
    if search:
        draws = np.random.default_rng(0).dirichlet(np.maximum(prior * m, 1e-2), DRAWS)
        best = np.argsort(fitted.predict(draws).mean(axis=1), kind="stable")[:KEPT]
        return draws[best].mean(axis=0)
    problem = MixtureProblem(np.full(n, 1 / n), np.zeros(m), np.ones(m))
    return minimise(fitted, problem).proportions


def world(kind: str, m: int, repeat: int, laws: tuple[str, ...]) -> list[dict[str, Any]]:
    """Regrets of all laws at all K in one world; the runs of a smaller K are among those of a larger."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), m, repeat])
    truth = plant(kind, m, rng)
    table, prior = sweep(truth, m, MULTIPLES[-1] * (m + 1), rng)
    n = table.n
    floor = truth.predict(optimum(truth, m, n, prior, search=False)[None]).mean()
    known = {"world": kind, "m": m, "repeat": repeat}
    rows = [
        known | {"law": "prior", "multiple": 0, "regret": float(truth.predict(prior[None]).mean() - floor)}
    ]
    for multiple in MULTIPLES:
        part = table.rows(np.arange(multiple * (m + 1)))
        best = part.mixtures[int(part.losses.mean(axis=1).argmin())]
        found = {"best run": (best, 0.0)} | {law: _best(law, part, prior) for law in laws}
        for law, (mixture, seconds) in found.items():
            regret = None if mixture is None else float(truth.predict(mixture[None]).mean() - floor)
            rows.append(known | {"law": law, "multiple": multiple, "regret": regret, "seconds": seconds})
    return rows


def _best(law: str, table: Table, prior: Array) -> tuple[Array | None, float]:
    start = time.process_time()
    try:
        fitted = build_law(law).fit(table)
    except InputError:  # fewer runs than numbers
        return None, 0.0
    mixture = optimum(fitted, table.m, table.n, prior, search=law == "trees")
    return mixture, round(time.process_time() - start, 3)


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Median regret by world, m, law and multiple of m + 1; None where the law needs more runs."""
    found: dict[str, dict[str, Any]] = {}
    for key in dict.fromkeys((row["world"], row["m"], row["law"], row["multiple"]) for row in rows):
        kind, m, law, multiple = key
        same = [r["regret"] for r in rows if (r["world"], r["m"], r["law"], r["multiple"]) == key]
        known = [value for value in same if value is not None]
        entry = found.setdefault(f"{kind} m={m}", {}).setdefault(law, {})
        entry[str(multiple)] = round(float(np.median(known)), 5) if len(known) == len(same) else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 and 7 groups, 2 repeats, no trees")
    parser.add_argument("--out", type=Path, default=Path("runs/planted_laws.jsonl"))
    settings = parser.parse_args()
    groups, repeats = (GROUPS[:2], 2) if settings.quick else (GROUPS, REPEATS)
    laws = LAWS[:-1] if settings.quick else LAWS
    out = settings.out.with_suffix(".quick.jsonl") if settings.quick else settings.out
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(row["world"], row["m"], row["repeat"]) for row in rows}
    for repeat, m, kind in ((r, m, kind) for r in range(repeats) for m in groups for kind in WORLDS):
        if (kind, m, repeat) in done:
            continue
        fresh = world(kind, m, repeat, laws)
        with out.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in fresh))
        rows += fresh
        print(
            f"{kind} m={m} repeat {repeat}: {sum(row.get('seconds', 0) for row in fresh):.1f} s", flush=True
        )
    table = summary(rows)
    for place, by_law in table.items():
        for law, regrets in by_law.items():
            shown = "  ".join(f"{k}x {'-' if v is None else format(v, '.4f')}" for k, v in regrets.items())
            print(f"{place:20s} {law:12s} {shown}")
    print(json.dumps({"noise": NOISE, "repeats": repeats, "median_regret": table}))


if __name__ == "__main__":
    main()
