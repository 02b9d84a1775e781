"""Seeds added to a comparison until decided, with a runner that makes results up instead of training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.config import load
from aioli.errors import InputError
from aioli.jobs.deciding import rounds
from aioli.jobs.output import Plan, results_content
from aioli.jobs.planning import plan_runs
from aioli.jobs.runs import RunsFailed, carry_out
from aioli.jobs.watch import Watch
from aioli.sweep.runner import Event, Failure, Outcome
from aioli.sweep.store import Store

SEEDS = [4, 2, 7, 0, 9, 1, 3, 8, 5, 6]
"""In an order that sorting would change."""
MADE = {"better": -3.0, "same": 0.0, "noisy": 0.0}
"""Percent by which a method's perplexity differs from the baseline's."""
NOISE = {"better": 0.3, "same": 0.05, "noisy": 2.0}
SHARES = {"better": 0.2, "same": 0.3, "noisy": 0.6}


class Made:
    """A runner: writes a result for each run, or fails those of `broken` (label, seed)."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.broken: set[tuple[str, int]] = set()
        self.rounds: list[list[tuple[str, int]]] = []
        self.trained: list[tuple[str, int]] = []
        self.stop_after = stop_after

    def __call__(
        self,
        specs: Any,
        corpus: Path,
        store: Store,
        *,
        workers: int | None = None,
        attempts: int = 2,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Outcome:
        failures: list[Failure] = []
        self.rounds.append([(spec.label, spec.seed) for spec in specs])
        for spec in specs:
            if store.result(spec):
                on_event(Event("reused", spec))
                continue
            if len(self.trained) == self.stop_after:
                raise KeyboardInterrupt
            if (spec.label, spec.seed) in self.broken:
                failures.append(Failure(spec, "it broke"))
                on_event(Event("failed", spec, "it broke"))
                continue
            self.trained.append((spec.label, spec.seed))
            path = store.prepare(spec) / "result.json"
            path.write_text(json.dumps(result_of(spec)))
            on_event(Event("finished", spec))
        return Outcome(store.finished(specs), failures)


def result_of(spec: Any) -> dict[str, Any]:
    """Perplexity 20 of the seed, changed as `MADE` says and as noisy as `NOISE`."""
    own = np.random.default_rng([spec.seed, sum(map(ord, spec.label))]).normal()
    change = MADE.get(spec.label, 0.0) + NOISE.get(spec.label, 0.0) * own
    loss = math.log(20.0 * (1 + 0.02 * np.random.default_rng(spec.seed).normal()) * (1 + change / 100))
    return {
        "version": 1,
        "id": spec.id,
        "method": spec.method,
        "parameters": spec.parameters,
        "seed": spec.seed,
        "groups": ["a", "b"],
        "targets": ["a", "b"],
        "steps": 4,
        "parameters_count": 10,
        "validation": None,
        "test": {"loss": [loss, loss], "tokens": [8, 8]},
        "cost": {},
    }


def write(out: Path, config: Any, results: Any, failures: Any, corpus: Any) -> dict[str, Any]:
    return results_content(out, config, results, failures, None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups of text, tokenised once for all tests."""
    home = tmp_path_factory.mktemp("corpus")
    for group in "ab":
        (home / group).mkdir()
        for number in range(40):
            (home / group / f"{number}.txt").write_text(f"text {number} of group {group} goes on\n" * 9)
    return home


def config_of(corpus: Path, methods: Any = ("better", "same", "noisy"), **changes: Any) -> Any:
    return load(
        {
            "data": {
                "groups": {group: {"paths": [str(corpus / group)]} for group in "ab"},
                "tokenizer": {"vocab_size": 257},
                "tokens": str(corpus / "tokens"),
                "split": {"validation": 0.1, "test": 0.1},
            },
            "model": {"context": 8},
            "train": {"steps": 4, "warmup": 1, "batch": 2},
            "methods": [
                "stratified",
                *({"static": {"proportions": [SHARES[m], 1 - SHARES[m]]}, "label": m} for m in methods),
            ],
            "seeds": SEEDS,
            "stopping": {"margin": 0.5},
        }
        | changes
    )


def compare(config: Any, out: Path, runner: Made, told: list[str] | None = None) -> dict[str, Any]:
    watch = Watch(standing=lambda lines, runs: (told if told is not None else []).extend(lines))
    with Store(out, resume=True) as store:
        return carry_out(config, store, None, watch, runner=runner, write=write)


def plain(results: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in results.items() if key != "created"}


def stands(results: dict[str, Any]) -> dict[str, Any]:
    return {m["label"]: m["decided"]["verdict"] for m in results["methods"] if m["decided"]}


def test_it_stops_what_is_decided_and_goes_on_with_the_rest(corpus: Path, tmp_path: Path) -> None:
    runner, told = Made(), []
    results = compare(config_of(corpus), tmp_path / "o", runner, told)
    assert stands(results) == {"better": "lower", "same": "equal", "noisy": None}
    seeds = {m["label"]: m["seeds"] for m in results["methods"]}
    assert seeds["better"] == sorted(SEEDS[: len(seeds["better"])]) and len(seeds["better"]) < 6
    assert seeds["stratified"] == seeds["noisy"] == sorted(SEEDS)
    assert sorted(runner.trained) == sorted((label, seed) for label in seeds for seed in seeds[label])
    assert [len(each) for each in runner.rounds][:2] == [16, 2] and {s for _, s in runner.rounds[1]} == {9}
    assert all(m["missing_seeds"] == [] for m in results["methods"]) and not results["illustration"]
    assert results["stopping"] == {"margin": 0.5, "least": 3, "alpha": 0.05, "seeds": SEEDS}
    assert "decided after 4 seeds" in results["reading"] and "Within 0.5% of stratified" in results["reading"]
    assert "cannot tell it from stratified: 10 seeds easily miss changes below 3.73%" in results["reading"]
    assert "From seed to seed stratified itself varies by 2.13%" in results["reading"]
    assert told[0] == "each method gets seeds until it is decided: 4 at least, 10 at most"
    assert any(
        line.startswith("better: -") and line.endswith("decided after 4 seeds: better") for line in told
    )
    assert sum(line.startswith("same: ") and "equal within 0.5%" in line for line in told) == 1
    assert sum(line.startswith("noisy: ") for line in told) == 7  # after seed 4, and after each one more
    assert "more than the 10 given would be needed" in told[-1] and "(" in told[-1]


def test_it_ends_when_all_are_decided(corpus: Path, tmp_path: Path) -> None:
    runner = Made()
    results = compare(config_of(corpus, ("better", "same")), tmp_path / "o", runner)
    assert stands(results) == {"better": "lower", "same": "equal"}
    assert len(runner.trained) == 12 and results["runs"].keys() == {
        run["id"] for run in Plan(tmp_path / "o").runs if run["seed"] in SEEDS[:4]
    }


@pytest.mark.parametrize("after", [0, 7, 15, 16, 17, 21])
def test_resumed_anywhere_it_gives_the_same(corpus: Path, tmp_path: Path, after: int) -> None:
    whole = Made()
    expected = compare(config_of(corpus), tmp_path / "whole", whole)
    first, second = Made(stop_after=after), Made()
    with pytest.raises(KeyboardInterrupt):
        compare(config_of(corpus), tmp_path / "o", first)
    assert plain(compare(config_of(corpus), tmp_path / "o", second)) == plain(expected)
    assert sorted(first.trained + second.trained) == sorted(whole.trained)


def test_more_seeds_and_methods_extend_it(corpus: Path, tmp_path: Path) -> None:
    short = config_of(corpus, ("better", "noisy"), seeds=SEEDS[:5])
    assert stands(compare(short, tmp_path / "o", Made())) == {"better": "lower", "noisy": None}
    more = Made()
    results = compare(config_of(corpus), tmp_path / "o", more)
    assert {label for label, seed in more.trained if seed in SEEDS[:4]} == {"same"}
    assert {label for label, seed in more.trained if seed in SEEDS[5:]} == {"stratified", "noisy"}
    assert plain(results) == plain(compare(config_of(corpus), tmp_path / "at once", Made()))


def test_a_rule_may_come_to_finished_seeds_but_not_change(corpus: Path, tmp_path: Path) -> None:
    fixed = compare(config_of(corpus, stopping=None, seeds=SEEDS[:6]), tmp_path / "o", Made())
    assert fixed["stopping"] is None and [m["of"] for m in fixed["methods"]] == [None, 6, 6, 6]
    results = compare(config_of(corpus), tmp_path / "o", Made())
    assert plain(results) == plain(compare(config_of(corpus), tmp_path / "at once", Made()))
    for rule in (None, {"margin": 2.0}, {"margin": 0.5, "alpha": 0.2}):
        with pytest.raises(InputError, match="stopping"):
            compare(config_of(corpus, stopping=rule), tmp_path / "o", Made())


def test_a_failed_run_decides_nothing_and_is_made_up_for(corpus: Path, tmp_path: Path) -> None:
    runner = Made()
    runner.broken = {("better", SEEDS[1]), ("stratified", SEEDS[2])}
    with pytest.raises(RunsFailed, match="2 of ") as failed:
        compare(config_of(corpus), tmp_path / "o", runner)
    results = failed.value.results
    assert results is not None
    decided = {m["label"]: m["decided"] for m in results["methods"]}
    assert decided["better"] == {"verdict": "lower", "seeds": 6, "pairs": 4}
    assert {(f["label"], f["seed"]) for f in results["failures"]} == runner.broken
    missing = {m["label"]: m["missing_seeds"] for m in results["methods"]}
    assert missing["better"] == [SEEDS[1]] and missing["noisy"] == []
    again = compare(config_of(corpus), tmp_path / "o", Made())
    assert plain(again) == plain(compare(config_of(corpus), tmp_path / "whole", Made()))
    assert {m["label"]: m["of"] for m in again["methods"]}["better"] == 4


def test_without_a_result_of_the_baseline_nothing_is_decided(corpus: Path, tmp_path: Path) -> None:
    runner = Made()
    runner.broken = {("stratified", seed) for seed in SEEDS}
    with pytest.raises(RunsFailed):
        compare(config_of(corpus, ("better",)), tmp_path / "o", runner)
    assert len(runner.trained) == len(SEEDS)


def test_a_report_before_the_end_decides_the_same_way(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        compare(config_of(corpus), tmp_path / "o", Made(stop_after=20))
    plan = Plan(tmp_path / "o")
    with Store(tmp_path / "o", resume=True) as store:
        results = store.finished(plan.specs())
    done = {(r["label"], r["seed"]) for r in results}
    waiting = [
        {**run, "message": "no result yet"} for run in plan.runs if (run["label"], run["seed"]) not in done
    ]
    content = results_content(tmp_path / "o", plan.config, results, waiting, None)
    assert stands(content) == {"better": "lower", "same": "equal", "noisy": None}
    assert {failure["label"] for failure in content["failures"]} == {"stratified", "noisy"}


def test_what_other_runs_read_is_planned_only_as_needed(corpus: Path) -> None:
    config = config_of(corpus, ("better",))
    methods = ["stratified", *config.to_dict()["methods"][1:], {"doremi": {}, "label": "doremi"}]
    config = load(config.to_dict() | {"methods": methods, "stopping": {"margin": 0.5}, "trackers": []})
    plan, given = plan_runs(config, "f"), []
    results: dict[str, dict[str, Any]] = {}

    def finished(specs: Any) -> list[dict[str, Any]]:
        return [results[spec.id] | {"label": spec.label} for spec in specs if spec.id in results]

    NOISE["doremi"] = 3.0
    for each in rounds(plan, config, finished):
        given.append([(spec.label, spec.seed) for spec in each.plan.ordered()])
        results |= {spec.id: result_of(spec) for spec in each.plan.ordered()}
    first, second = given[0], given[1]
    assert {seed for _, seed in first} == set(SEEDS[:4]) and {seed for _, seed in second} == {SEEDS[4]}
    extra = {label for label, _ in first} - {"stratified", "better", "doremi"}
    assert {label for label, _ in second} == {"stratified", "doremi"} | extra
    each_once = [run for each in given for run in each]
    assert len(set(each_once)) == len(each_once) and given[-1] == []
