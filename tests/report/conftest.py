"""Run results to render: numbers from a small formula, so that every plot has something to show.

They are a fixture for the page, not results of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from aioli.analysis.diagnosis import fidelities, law_at, pooled
from aioli.jobs.checkpoints import Settings

NAMES = ("law", "code", "maths", "medicine", "speeches", "encyclopaedia", "stories")
STRENGTH = {"stratified": 0.0, "matched": 0.012, "aioli": 0.022, "temperature(tau=2)": -0.035}
STEPS = 1000


def make_runs(
    methods: tuple[str, ...] = ("stratified", "matched", "aioli", "temperature(tau=2)"),
    seeds: int = 3,
    groups: tuple[str, ...] = NAMES,
    targets: tuple[str, ...] | None = None,
    bits: bool = True,
) -> list[dict[str, Any]]:
    """One result for each method and seed, shaped as the training loop writes them."""
    return [
        make_run(method, seed, groups, targets or groups, bits) for method in methods for seed in range(seeds)
    ]


def make_run(
    method: str, seed: int, groups: tuple[str, ...], targets: tuple[str, ...], bits: bool
) -> dict[str, Any]:
    m, n = len(groups), len(targets)
    rng = np.random.default_rng([seed, sum(map(ord, method))])
    shared = np.random.default_rng(seed)
    floors = 2.6 + 1.9 * np.cos(1.7 * np.arange(max(m, n))) ** 2
    gain = STRENGTH.get(method, 0.0) * (1 + 0.8 * np.cos(np.arange(n)))
    loss = floors[:n] + 0.02 * shared.standard_normal(n) - gain + 0.004 * rng.standard_normal(n)
    aioli = method == "aioli"
    evaluation = 40 * 33_000 if aioli else 0
    seconds = {"training": 52.0, "probing": 9.0 * aioli, "measuring": 7.5 * aioli, "drawing": 0.6}
    seconds |= {"mixing": 0.1, "writing": 0.9}
    return {
        "version": 1,
        "id": f"{method}-{seed}",
        "label": method,
        "method": method.split("(")[0],
        "parameters": {"tau": 2.0} if "tau" in method else {},
        "seed": seed,
        "groups": list(groups),
        "targets": list(targets),
        "steps": STEPS,
        "parameters_count": 1_049_728,
        "test": {
            "loss": loss.tolist(),
            "tokens": [64_000] * n,
            "bits_per_byte": (loss / np.log(2) / 3.4).tolist() if bits else [None] * n,
        },
        "drawn": [32 * STEPS / m] * m,
        "epochs": np.linspace(0.4, 2.6, m).tolist(),
        "deviation": 0.86,
        "curve": _curve(method, floors[:m], rng),
        "proportions": _proportions(method, m, rng),
        "matrices": _matrices(n, m, rng) if aioli else [],
        "cost": {
            "train_tokens": 32 * 128 * STEPS,
            "evaluation_tokens": evaluation,
            "test_tokens": 64_000 * n,
            "probe_steps": 280 if aioli else 0,
            "flops": 2.6e13 + 2.1e6 * evaluation,
            "joules": 15.0 * sum(seconds.values()),
            "seconds": sum(seconds.values()) * (1 + 0.01 * seed),
            "split": seconds,
            "assumptions": {"flops": "6 FLOPs a parameter and token.", "energy": "15 W for a busy CPU core."},
        },
        "evaluation_sequences": [64] * n if aioli else None,
        "trust": _trust(n, rng) if aioli else None,
        "warnings": ["probes take 28% of each round"] if aioli else [],
        "machine": {"device": "cpu", "threads": 1, "torch": "2.13.0", "python": "3.11.7"},
    }


def _trust(n: int, rng: np.random.Generator) -> dict[str, Any]:
    rounds = []
    for step in range(100, STEPS, 100):
        before = 4 - step / 1000 + 0.1 * np.arange(n)
        fall = 0.05 + 0.02 * rng.standard_normal((2, n))
        spans = {"before": before, "predicted": before - fall[0], "realised": before - fall[1]}
        told = {key: values.tolist() for key, values in spans.items()}
        rounds.append({"step": step, "steps": 50, "phase": "train"} | told)
    return {"rounds": rounds, "r2": 0.7, "r2_trend": 0.1, "coverage": 0.93, "scored": len(rounds)}


def _curve(method: str, floors: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    steps = np.arange(20, STEPS + 1, 20)
    falling = floors + (8.3 - floors) * (1 + steps[:, None] / 25) ** -0.7 - STRENGTH.get(method, 0.0)
    noisy = (falling + 0.03 * rng.standard_normal(falling.shape)).tolist()
    noisy[3][0] = None
    return {"step": steps.tolist(), "train_loss": noisy}


def _proportions(method: str, m: int, rng: np.random.Generator) -> dict[str, Any]:
    if method != "aioli":
        tilt = {"stratified": 0.0, "matched": 0.5}.get(method, 1.0)
        p = np.exp(tilt * np.cos(1.7 * np.arange(m)))
        return {"step": [0], "values": [(p / p.sum()).tolist()], "phase": ["train"]}
    steps = np.arange(0, STEPS, 50)
    logits = np.cumsum(0.1 * np.cos(1.7 * np.arange(m)) + 0.04 * rng.standard_normal((len(steps), m)), axis=0)
    p = np.exp(logits - logits[:1])
    values = (p / p.sum(axis=1, keepdims=True)).tolist()
    return {"step": steps.tolist(), "values": values, "phase": ["train"] * len(steps)}


def _matrices(n: int, m: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    base = 0.02 * np.cos(np.arange(n)[:, None] - 0.7 * np.arange(m)) + 0.05 * np.eye(n, m)
    return [
        {
            "step": step,
            "values": (base * (1 + 3 * np.exp(-step / 200)) + 0.006 * rng.standard_normal((n, m))).tolist(),
        }
        for step in range(100, STEPS, 50)
    ]


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    """A headless Chromium; the test is marked `requires("browser")`."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def runs() -> Callable[..., list[dict[str, Any]]]:
    """`make_runs`: methods, seeds, groups, targets and bits per byte as asked."""
    return make_runs


def make_diagnosis(groups: int = 3, steps: tuple[int, ...] = (300, 600), seeds: int = 1) -> dict[str, Any]:
    """A diagnosis as `aioli diagnose` writes it, of branches that follow a planted law with noise."""
    rng = np.random.default_rng(5)
    names = [f"group-{j}" for j in range(groups)]
    settings = Settings(horizons=(10, 50))
    mixtures = settings.mixtures(groups, 0)
    points = []
    for step in steps:
        for seed in range(seeds):
            base = 0.3 + 0.1 * np.eye(groups) + 0.05 * np.cos(np.arange(groups))
            branches = [_branch(row, base, rng) for row in mixtures]
            weights = np.ones(groups)
            laws = [law_at(branches, horizon, weights) for horizon in settings.horizons]
            methods = [
                {"label": name, "seed": seed, "matrices": [{"step": 1, "values": values.tolist()}]}
                | {"groups": names, "targets": names}
                for name, values in (("aioli", base + 0.02), ("wrong", -base))
            ]
            rows = fidelities(methods, laws, weights)
            for row in rows:
                row["cost"] = {"probe_steps": 12, "evaluation_tokens": 40_000}
            mixture = np.arange(1.0, groups + 1)
            points.append(
                {"seed": seed, "step": step, "losses": branches[0]["branch"]["points"][0]["loss"]}
                | {"mixture": (mixture / mixture.sum()).tolist(), "laws": laws, "fidelity": rows}
            )
    return {
        "version": 1,
        "label": "aioli",
        "seed": 0,
        "seeds": list(range(seeds)),
        "groups": names,
        "targets": names,
        "steps": STEPS,
        "weights": [1.0] * groups,
        "points": points,
        "pooled": pooled(points),
    }


def _branch(mixture: np.ndarray, law: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    start = 4 + 0.1 * np.arange(len(mixture))
    points = [{"step": 0, "loss": start.tolist(), "drawn": [0] * len(mixture)}]
    for horizon in (10, 50):
        fall = (horizon / 50) ** 0.5 * law @ mixture + 0.002 * rng.standard_normal(len(mixture))
        points.append(
            {"step": horizon, "loss": (start - fall).tolist(), "drawn": (1e4 * mixture).round().tolist()}
        )
    return {"id": "b", "branch": {"points": points}}


@pytest.fixture(scope="session")
def diagnosis() -> Callable[..., dict[str, Any]]:
    """`make_diagnosis`: groups, checkpoints and seeds as asked."""
    return make_diagnosis
