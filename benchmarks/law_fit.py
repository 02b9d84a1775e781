"""Cost and recovery of the parametric laws: `python -m benchmarks.law_fit [--quick] [--out FILE]`.

One thread.

1. The log-linear law on all 13 losses of the 512 RegMix runs, against multi-start L-BFGS in torch written
   from the published description: c = exp(lc) for 10 lc in [-2, 1.5] times 30 draws of t (own group -U(0, 1),
   others .1 U(0, 1)), summed Huber .02, 100 steps of L-BFGS (lr .01, history 10, 20 inner iterations, strong
   Wolfe), float32 as released. "batched" descends all 300 starts of a target at once, on the sum of their
   objectives, in float64 (float32 ends its line searches early there): less work a start, one shared step.
   All objectives are computed in float64, all seconds are processor time.
2. What every law's fit costs on the same table, and 20 bootstrap refits.
3. Planted laws: what is recovered from 4 runs for each number, with noise.

The baseline takes most of an hour. It is stored in `--out` by target and 25 starts, and a second call goes on
from there. `--quick`: 2 targets, 6 starts, small planted laws. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.regmix_fit import read

from aioli.files import write_json
from aioli.laws.static.additive import Additive, FittedAdditive
from aioli.laws.static.bimix import BiMix
from aioli.laws.static.joint import Joint
from aioli.laws.static.linear import LinearLaw
from aioli.laws.static.log_linear import FittedLogLinear, LogLinear
from aioli.laws.static.robust import huber_sum
from aioli.protocol import Array
from aioli.static_law import FittedLaw, StaticLaw
from aioli.table import Table

HUBER, OUTER, CHUNK = 0.02, 100, 25
FLOORS, DRAWS = np.linspace(-2.0, 1.5, 10), 30
LAWS: tuple[StaticLaw, ...] = (LinearLaw(), LinearLaw(HUBER), LogLinear(), BiMix(), Additive())
REFITS = 20
GROUPS, TARGETS, NOISES = (3, 7, 17, 50), 6, (0.003, 0.01)


def starts(table: Table, target: int) -> Array:
    """[300, m + 1] lc and t; the own group of a target that is no group is drawn."""
    rng = np.random.default_rng(target)
    found = 0.1 * rng.random((len(FLOORS) * DRAWS, 1 + table.m))
    found[:, 0] = np.repeat(FLOORS, DRAWS)
    name = table.targets[target]
    own = rng.integers(table.m, size=len(found))
    own = np.full(len(found), table.groups.index(name)) if name in table.groups else own
    found[np.arange(len(found)), 1 + own] = -rng.random(len(found))
    return found


def lbfgs(table: Table, target: int, start: Array, dtype: torch.dtype) -> tuple[float, float]:
    """Processor seconds, and the lowest objective of starts [s, m + 1] descended as one vector."""
    mixtures = torch.tensor(table.mixtures.T, dtype=dtype)
    losses = torch.tensor(table.losses[:, target], dtype=dtype).expand(len(start), -1)
    theta = torch.tensor(start, dtype=dtype, requires_grad=True)
    loss = torch.nn.HuberLoss(reduction="sum", delta=HUBER)
    optimiser = torch.optim.LBFGS(
        [theta], lr=0.01, history_size=10, max_iter=20, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(theta[:, :1].exp() + (theta[:, 1:] @ mixtures).exp(), losses)
        value.backward()
        return value

    begin = time.process_time()
    for _ in range(OUTER):
        optimiser.step(closure)
    seconds = time.process_time() - begin
    end = theta.detach().double().numpy()
    fitted = FittedLogLinear(np.exp(end[:, 0]), end[:, 1:])
    return seconds, float(np.nanmin(objectives(fitted, table.mixtures, table.losses[:, [target]])))


def objectives(fitted: FittedLaw, mixtures: Array, losses: Array) -> Array:
    """[n] summed Huber losses on losses [k, n]."""
    residual = (losses - fitted.predict(mixtures)).T
    return huber_sum(residual, np.ones(residual.shape), HUBER)


def baseline(table: Table, count: int, out: Path | None) -> dict[str, Any]:
    """Seconds and lowest objective by target, one start after the other and batched; parts are stored."""
    parts: dict[str, list[float]] = json.loads(out.read_text()) if out is not None and out.exists() else {}
    batched: dict[str, Callable[[], tuple[float, float]]] = {}
    single: dict[str, Callable[[], tuple[float, float]]] = {}
    for target, name in enumerate(table.targets):
        start = starts(table, target)[:: len(FLOORS) * DRAWS // count]
        batched[f"{name} batched {count}"] = lambda t=target, s=start: lbfgs(table, t, s, torch.float64)
        for first in range(0, len(start), CHUNK):
            each = start[first : first + CHUNK, None]
            single[f"{name} {first} of {count}"] = lambda t=target, e=each: _one_by_one(table, t, e)
    for key, job in (batched | single).items():
        if key not in parts:
            parts[key] = list(job())
            print(f"{key}: {parts[key][0]:.1f} s, {parts[key][1]:.6f}", flush=True)
            if out is not None:
                write_json(out, parts)
    return {
        kind: {name: _total([parts[key] for key in jobs if key.split()[0] == name]) for name in table.targets}
        for kind, jobs in (("one_by_one", single), ("batched", batched))
    }


def _one_by_one(table: Table, target: int, each: Array) -> tuple[float, float]:
    seconds, values = zip(*(lbfgs(table, target, one, torch.float32) for one in each), strict=True)
    return sum(seconds), min(values)


def _total(parts: list[list[float]]) -> dict[str, float]:
    return {"seconds": round(sum(part[0] for part in parts), 2), "objective": min(part[1] for part in parts)}


def timed(call: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """The least processor time of a few calls, and what the last gave."""
    seconds: list[float] = []
    for _ in range(repeats):
        begin = time.process_time()
        found = call()
        seconds.append(time.process_time() - begin)
    return min(seconds), found


def speed(table: Table, count: int, out: Path | None) -> dict[str, Any]:
    """Ours beside the baseline on the log-linear law."""
    seconds, fitted = timed(lambda: LogLinear().fit(table))
    ours = dict(zip(table.targets, objectives(fitted, table.mixtures, table.losses).tolist(), strict=True))
    result: dict[str, Any] = {"starts": count, "ours": {"seconds": round(seconds, 3), "objectives": ours}}
    for kind, found in baseline(table, count, out).items():
        spent = sum(one["seconds"] for one in found.values())
        behind = {name: one["objective"] / ours[name] - 1 for name, one in found.items()}
        result[kind] = {
            "seconds": round(spent, 1),
            "times_slower": round(spent / seconds),
            "objectives": {name: one["objective"] for name, one in found.items()},
            "objective_above_ours": {name: float(f"{value:.2e}") for name, value in behind.items()},
        }
    return result


def costs(table: Table) -> dict[str, Any]:
    """Seconds of every law's fit, and of bootstrap refits."""
    rows = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), size=REFITS)
    size = np.geomspace(1e6, 1e9, len(table))
    scaled = Table(table.groups, table.names, table.mixtures, size, None, table.targets, table.losses)
    found: dict[str, Any] = {}
    for law in (*LAWS, Joint()):
        runs = scaled if isinstance(law, Joint) else table
        fit, fitted = timed(lambda law=law, runs=runs: law.fit(runs))
        refit, _ = timed(lambda law=law, f=fitted, runs=runs: law.refit(f, runs, rows.astype(float)), 1)
        found[repr(law)] = {"fit_seconds": round(fit, 3), f"refit_{REFITS}_seconds": round(refit, 3)}
        print(f"{law!r}: {found[repr(law)]}", flush=True)
    return found


def planted(law: StaticLaw, truth: FittedLaw, m: int, noise: float) -> dict[str, float]:
    """Median absolute error of each kind of number, and error of predictions on unseen mixtures."""
    rng = np.random.default_rng(m)
    runs = 4 * (law.parameters(m) or 0)
    mixtures, unseen = (rng.dirichlet(np.full(m, max(0.3, 2 / m)), count) for count in (runs, 500))
    losses = truth.predict(mixtures) + noise * rng.normal(size=(runs, TARGETS))
    names = tuple(f"t{i}" for i in range(TARGETS))
    table = Table(tuple(f"g{j}" for j in range(m)), tuple(map(str, range(runs))), mixtures,
                  targets=names, losses=losses)  # fmt: skip
    seconds, fitted = timed(lambda: law.fit(table), 1)
    found = {"runs": runs, "seconds": round(seconds, 3)}
    for name, values in truth.to_json().items():
        error = np.abs(np.array(values) - np.array(fitted.to_json()[name]))
        found[f"{name}_median_error"] = float(f"{np.median(error):.3g}")
    error = fitted.predict(unseen) - truth.predict(unseen)
    return found | {"prediction_rms_error": float(f"{np.sqrt((error**2).mean()):.3g}")}


def plant(kind: str, m: int) -> FittedLaw:
    """A true law with floors of 1.5 to 3 nats and about a nat above them, where some groups matter more."""
    rng = np.random.default_rng(m)
    floors = rng.uniform(1.5, 3, TARGETS)
    if kind == "log_linear":
        return FittedLogLinear(floors, rng.normal(0.3, 1.0, (TARGETS, m)))
    exponents = rng.uniform(0.2, 0.7, (TARGETS, m))
    return FittedAdditive(floors, rng.gamma(1, 1, (TARGETS, m)) * m**exponents / m, exponents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, help="file of the baseline's parts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = read("train_mixture_1m", "train_pile_loss_1m")
    recovery = [
        {"law": law.name, "m": m, "noise": noise} | planted(law, plant(law.name, m), m, noise)
        for law in (LogLinear(), Additive())
        for m in (GROUPS[:2] if options.quick else GROUPS)
        for noise in NOISES
    ]
    for row in recovery:
        print(json.dumps(row), flush=True)
    cost = costs(table)
    if options.quick:
        table = Table(table.groups, table.names, table.mixtures,
                      targets=table.targets[:2], losses=table.losses[:, :2])  # fmt: skip
    race = speed(table, 6 if options.quick else len(FLOORS) * DRAWS, options.out)
    print(json.dumps({"log_linear": race, "laws": cost, "planted": recovery}))


if __name__ == "__main__":
    main()
