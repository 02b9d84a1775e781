"""The constrained optimum against a generic solver: `python -m benchmarks.solve [--quick]`; one thread.

Random problems of up to 200 groups and 10 targets (exponential, inverse and mixed laws; caps, floors, a KL
penalty, KL and variation balls, loss limits) are solved by `minimise_convex` and, written anew in cvxpy's own
atoms, by Clarabel at a tolerance of 1e-10. cvxpy approximates no powers here (approx=False). The relative gap
is ours minus theirs over theirs: negative where ours is lower. Feasibility is checked from the definitions.
Only problems where the reference says that it reached its tolerance are compared; they are counted. The gap
by duality, which needs no reference, is told for all.
Times are of the processor, so that they do not depend on what else the machine does.

Results are kept in --store a line a problem, so an interrupted run goes on where it stopped. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np

from aioli.projections import project_kl
from aioli.solvers import convex, evaluate
from aioli.solvers.minimise import minimise_convex
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses, Terms

PROBLEMS, TARGETS, LARGEST, TIMED = 1000, 10, 200, 100
TOLERANCE = 1e-10


def drawn(seed: int, groups: int | None = None) -> tuple[ConvexLosses, MixtureProblem, str]:
    """A law and a problem; the reference meets every constraint."""
    rng = np.random.default_rng(seed)
    m = groups or int(np.exp(rng.uniform(np.log(3), np.log(LARGEST + 1))))
    kind = ("log-linear", "additive", "mixed")[seed % 3]
    every = np.arange(TARGETS)
    part = every % 2 == 0 if kind == "mixed" else np.full(TARGETS, kind == "log-linear")
    scale = rng.normal(-0.5, 1.5, (TARGETS, m))
    factors, exponents = rng.exponential(1, (TARGETS, m)), rng.uniform(0.2, 1, (TARGETS, m))
    ones = np.ones(TARGETS)
    exponentials = Terms(every[part], ones[part], rng.normal(0, 0.3, part.sum()), scale[part])
    inverses = Terms(every[~part], ones[~part], factors[~part], exponents[~part])
    losses = ConvexLosses(
        rng.uniform(1, 2, TARGETS),
        np.zeros((TARGETS, m)),
        exponentials if part.any() else None,
        inverses=None if part.all() else inverses,
    )
    q = rng.dirichlet(np.ones(m))
    here = convex.values(losses, q)
    chosen = rng.random(5) < 0.4
    floors = q * rng.uniform(0, 0.5, m) * (rng.random(m) < 0.3)
    limits = np.where(rng.random(TARGETS) < 0.4, here + rng.uniform(0, 0.02, TARGETS), np.inf)
    problem = MixtureProblem(
        rng.dirichlet(np.ones(TARGETS)),
        floors if chosen[0] else np.zeros(m),
        np.maximum(rng.uniform(1, 6, m) * q, 0.02),
        q,
        float(10 ** rng.uniform(-3, -1)) if chosen[1] else 0.0,
        float(10 ** rng.uniform(-3, -0.5)) if chosen[2] else np.inf,
        float(rng.uniform(0.01, 0.3)) if chosen[3] else np.inf,
        limits if chosen[4] else None,
    )
    return losses, problem, kind


def reference(losses: ConvexLosses, problem: MixtureProblem) -> tuple[str, float, np.ndarray]:
    """status, optimum and mixture of the generic solver."""
    p, q = cp.Variable(problem.m), problem.reference
    found: list[Any] = list(losses.constant)
    exponentials, _, inverses = losses[2:]
    if exponentials is not None:
        for i, w, first, second in zip(*exponentials[:4], strict=True):
            found[i] = found[i] + w * cp.exp(first + second @ p)
    if inverses is not None:
        for i, w, first, second in zip(*inverses[:4], strict=True):
            powers = [cp.power(p[j], second[j], approx=False) for j in range(problem.m)]
            found[i] = found[i] + w * cp.inv_pos(first @ cp.hstack(powers))
    divergence = cp.sum(cp.rel_entr(p, q))
    rules = [cp.sum(p) == 1, p >= problem.lower, p <= np.minimum(problem.upper, 1)]
    if np.isfinite(problem.max_kl):
        rules.append(divergence <= problem.max_kl)
    if np.isfinite(problem.max_variation):
        rules.append(cp.norm1(p - q) <= 2 * problem.max_variation)
    if problem.loss_limits is not None:
        rules += [found[i] <= problem.loss_limits[i] for i in np.flatnonzero(problem.loss_limits < np.inf)]
    objective = sum(w * one for w, one in zip(problem.weights, found, strict=True))
    solved = cp.Problem(cp.Minimize(objective + problem.kl * divergence), rules)
    exact = dict(tol_gap_abs=TOLERANCE, tol_gap_rel=TOLERANCE, tol_feas=TOLERANCE, max_threads=1)
    for more in ({}, {"linesearch_backtrack_step": 0.9}):
        try:
            solved.solve(solver=cp.CLARABEL, **exact, **more)
        except cp.SolverError:
            continue
        if solved.status == "optimal":
            break
    if p.value is None:
        return "failed", float("nan"), np.full(problem.m, np.nan)
    found_p = np.asarray(p.value)  # tiny negative proportions have no divergence: evaluated within the bounds
    inside = project_kl(np.clip(found_p, *problem.box), *problem.box)
    value = float(evaluate.objective(problem, inside, convex.values(losses, inside)))
    return str(solved.status), value, inside


def violation(problem: MixtureProblem, losses: ConvexLosses, p: np.ndarray) -> float:
    """By how much p misses the worst of all constraints."""
    limits = evaluate.violations(problem, p, convex.values(losses, p)).max()
    bounds = max((problem.lower - p).max(), (p - problem.upper).max(), abs(p.sum() - 1), -p.min())
    return float(max(limits, bounds, 0.0))


def compared(seed: int) -> dict[str, Any]:
    losses, problem, kind = drawn(seed)
    start = time.process_time()
    ours = minimise_convex(losses, problem)
    seconds = time.process_time() - start
    assert ours is not None
    start = time.process_time()
    status, value, p = reference(losses, problem)
    result = {
        "seed": seed,
        "kind": kind,
        "m": problem.m,
        "seconds": seconds,
        "solver": ours.solver,
        "objective": ours.objective,
        "duality_gap": ours.gap,
        "violation": violation(problem, losses, ours.proportions),
        "reference": status,
        "reference_seconds": time.process_time() - start,
        "reference_violation": violation(problem, losses, p) if status != "failed" else None,
        "gap": (ours.objective - value) / abs(value) if status != "failed" else None,
    }
    return result


def timed(repeats: int) -> dict[str, float]:
    """Median milliseconds at 100 groups and 10 targets, by law, each problem solved once."""
    found: dict[str, list[float]] = {}
    for seed in range(10**6, 10**6 + repeats):
        losses, problem, kind = drawn(seed, TIMED)
        start = time.process_time()
        minimise_convex(losses, problem)
        found.setdefault(kind, []).append(1e3 * (time.process_time() - start))
    everything = np.concatenate(list(found.values()))
    medians = {f"{kind}_median_ms": float(np.median(times)) for kind, times in found.items()}
    return medians | {"p99_ms": float(np.quantile(everything, 0.99)), "most_ms": float(everything.max())}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    exact = [row for row in rows if row["reference"] == "optimal"]
    gaps = np.array([row["gap"] for row in exact])
    ours = np.array([row["duality_gap"] for row in rows])
    assert np.isfinite(gaps).all()
    times = np.array([row["seconds"] for row in rows]) * 1e3
    theirs = np.array([row["reference_seconds"] for row in rows]) * 1e3
    return {
        "problems": len(rows),
        "reference_optimal": len(exact),
        "largest_gap": float(gaps.max()),
        "smallest_gap": float(gaps.min()),
        "gaps_above_1e-6": int((gaps > 1e-6).sum()),
        "duality_gap_unknown": int(np.isnan(ours).sum()),
        "largest_duality_gap": float(np.nanmax(ours)),
        "largest_violation": max(row["violation"] for row in rows),
        "largest_reference_violation": max(row["reference_violation"] for row in exact),
        "by_cones": sum(row["solver"] == "Clarabel" for row in rows),
        "median_ms": float(np.median(times)),
        "p99_ms": float(np.quantile(times, 0.99)),
        "reference_median_ms": float(np.median(theirs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="30 problems")
    parser.add_argument("--store", type=Path, help="file of results so far, one JSON object a line")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # of cvxpy, about inaccurate solutions: they are counted
    count = 30 if options.quick else PROBLEMS
    rows: list[dict[str, Any]] = []
    if options.store and options.store.exists():
        rows = [json.loads(line) for line in options.store.read_text().splitlines()]
    done = {row["seed"] for row in rows}
    for seed in range(count):
        if seed in done:
            continue
        rows.append(compared(seed))
        if options.store:
            with options.store.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        if len(rows) % 50 == 0:
            print(f"{len(rows)} of {count}", flush=True)
    rows = [row for row in rows if row["seed"] < count]
    print(json.dumps(summary(rows) | {f"at_{TIMED}": timed(30 if options.quick else 200)}))


if __name__ == "__main__":
    main()
