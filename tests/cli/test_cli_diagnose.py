"""`aioli diagnose`: branches off a run, the law there, the methods' own beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

from aioli.analysis.diagnosis import law_at
from aioli.data.shards import Corpus
from aioli.jobs.diagnose import Settings, diagnose
from aioli.sweep import local
from aioli.sweep.runner import Event, Outcome
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store
from aioli.training.loop import run_spec


def in_process(
    specs: Sequence[RunSpec],
    corpus: Path,
    store: Store,
    on_event: Callable[[Event], None] = print,
    **_: object,
) -> Outcome:
    """A runner that trains here, one run after the other: many tiny ones take no time to start."""
    opened = Corpus.open(corpus)
    for spec in specs:
        on_event(Event("started", spec))
        if store.result(spec) is None:
            run_spec(spec, opened, store.prepare(spec), resume=True)
        on_event(Event("finished", spec))
    return Outcome(store.finished(specs), [])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runners", "compare", "sweep"):
        monkeypatch.setattr(f"aioli.cli.{module}.named_runner", lambda name: in_process)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "r"


@pytest.fixture
def trained(project: Path, cli: Any, kept: Path, quick: None) -> Path:
    """A stratified run of 60 steps for each of two seeds, made once for this file."""
    if kept.exists():
        shutil.copytree(kept, "r")
    else:
        asked = ("--set", "train.steps=60", "--set", "methods=[stratified]", "--quiet")
        done = cli("compare", "mix.yaml", "--out", "r", *asked)
        assert done.code == 0, done.err
        shutil.copytree("r", kept)
    return Path("r")


SHORT = ("--at", "20", "--horizon", "4", "--horizon", "16", "--sequences", "8", "--quiet")
BRANCHES = (*SHORT, "--seed", "0")


def content_of(directory: str = "r/diagnosis") -> dict[str, Any]:
    return json.loads((Path(directory) / "diagnosis.json").read_text())


def test_the_law_at_a_checkpoint_by_horizon(trained: Path, cli: Any) -> None:
    done = cli("diagnose", "r", *BRANCHES, "--fidelity", "aioli: {sweeps: 1, probe_steps: 2}")
    assert done.code == 0, done.err
    assert "step 20 of 60" in done.out and "Similarity" in done.out
    content = content_of()
    assert content["groups"] == ["fish", "birds"] and content["seeds"] == [0]
    (point,) = content["points"]
    assert [law["horizon"] for law in point["laws"]] == [4, 16]
    law = point["laws"][1]
    assert law["branches"] == 5
    matrix = np.array(law["matrix"])
    assert matrix.shape == (2, 2) and np.isfinite(matrix).all()
    np.testing.assert_allclose(law["sums"], matrix.sum(axis=0), rtol=1e-9)
    # groups of different text: training on a group helps its own target most
    assert (np.diag(np.array(law["contrasts"])) > 0).all()
    rows = point["fidelity"]
    assert {row["horizon"] for row in rows} == {4, 16}
    assert rows[0]["cost"]["probe_steps"] > 0 and -1 <= rows[0]["centred"]["similarity"] <= 1
    runs = {path.parent.name for path in Path("r/diagnosis").glob("runs/*/result.json")}
    assert runs == {*point["runs"], content["run"]} and len(point["runs"]) == 1 + 5 + 1


def test_it_is_continued_and_refused_where_used(trained: Path, cli: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("aioli.cli.runners.named_runner", lambda name: local.run)  # as users get them
    few = ("--branches", "3")
    first = cli("diagnose", "r", *BRANCHES, *few)
    assert first.code == 0, first.err
    before = content_of()
    assert "continue it with --resume" in cli("diagnose", "r", *BRANCHES, *few).err
    Path("r/diagnosis/diagnosis.json").unlink()
    again = cli("diagnose", "r", *BRANCHES, *few, "--resume", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == before == content_of()


def test_many_groups_are_screened_by_halves(trained: Path, cli: Any) -> None:
    done = cli("diagnose", "r", *BRANCHES, "--branches", "4", "--out", "d")
    assert done.code == 0, done.err
    (point,) = content_of("d")["points"]
    assert point["laws"][0]["branches"] == 4


def test_seeds_are_pooled_and_orders_tell_noise_apart(trained: Path, cli: Any) -> None:
    both = (*SHORT, "--at", "30", "--seed", "1", "--seed", "0", "--orders", "2")
    done = cli("diagnose", "r", *both, "--fidelity", "directional: {measure_steps: 0}")
    assert done.code == 0, done.err
    assert "all seeds" in done.out and "means over seeds" in done.out
    content = content_of()
    assert (content["seeds"], content["orders"]) == ([1, 0], 2)
    points = content["points"]
    assert [(p["step"], p["seed"]) for p in points] == [(20, 1), (20, 0), (30, 1), (30, 0)]
    for point in points:
        for law in point["laws"]:
            assert law["branches"] == 5 and len(law["gains"]) == 2
            assert min(law["order_noise"]) > 0 and all(0 <= p <= 1 for p in law["misfit_p"])
        trunk, *branches = point["runs"]
        assert len(set(branches)) == 5 * 2 + 1
        read = [json.loads(Path(f"r/diagnosis/runs/{run}/spec.json").read_text()) for run in branches]
        assert {spec["seed"] for spec in read} == {point["seed"]}
        assert all(spec["inputs"]["trunk"] == trunk for spec in read)
        *laws, compared = (spec["branch"].get("shuffle", 0) for spec in read)
        assert sorted(laws) == [0] * 5 + [1] * 5 and compared == 2  # the method's data are no branch's
    assert [(row["step"], row["horizon"]) for row in content["pooled"]] == [
        (20, 4),
        (20, 16),
        (30, 4),
        (30, 16),
    ]
    gains = np.array([p["laws"][1]["gains"] for p in points[:2]])
    pooled = content["pooled"][1]
    np.testing.assert_allclose(pooled["gains"], gains.mean(axis=0))
    np.testing.assert_allclose(pooled["gain_errors"], np.abs(gains[0] - gains[1]) / 2)

    alone = cli("diagnose", "r", *SHORT, "--seed", "1", "--orders", "2", "--resume", "--json")
    assert alone.code == 0, alone.err
    found = json.loads(alone.out)["points"][0]
    assert found["laws"] == points[0]["laws"] and set(found["runs"]) < set(points[0]["runs"])


def test_methods_that_read_a_run_in_different_ways_share_it(trained: Path, cli: Any) -> None:
    """Dynamic loading wants the reference's validation losses, which `compare` did not record; the other
    needs its model alone. What one asks for is not forgotten for the other."""
    parts = (
        "estimator: {excess_over_reference: {measure_steps: 0}}, solver: {exponentiated_gradient: {eta: 1}}"
    )
    excess = f"{{lmo: {{{parts}}}, label: excess}}"
    done = cli("diagnose", "r", *BRANCHES, "--fidelity", "sheared", "--fidelity", excess)
    assert done.code == 0, done.err
    (point,) = content_of()["points"]
    assert {row["label"] for row in point["fidelity"]} == {"sheared", "excess"}


def test_what_decided_the_runs_does_not_stand_in_the_way(trained: Path, cli: Any) -> None:
    """A stopping rule of the comparison, methods with files, and a reference that is there already."""
    plan = json.loads(Path("r/plan.json").read_text())
    plan["config"]["stopping"] = {"margin": 0.5}
    Path("r/plan.json").write_text(json.dumps(plan))
    graph = {"groups": ["birds", "fish"], "targets": ["birds", "fish"], "graph": [[0.4, 0.1], [0.2, 0.3]]}
    Path("graph.json").write_text(json.dumps(graph))
    reference = next(run["id"] for run in plan["runs"] if run["seed"] == 0)
    doremi = f"{{doremi: {{}}, reference: r/runs/{reference}}}"
    graph_of_file = "skill_it: {graph: graph.json}"
    done = cli("diagnose", "r", *BRANCHES, "--fidelity", graph_of_file, "--fidelity", doremi)
    assert done.code == 0, done.err
    (point,) = content_of()["points"]
    skill = next(row for row in point["fidelity"] if row["label"].startswith("skill_it"))
    matrix = np.array(skill["matrix"])
    assert matrix[0, 0] / matrix[0, 1] == pytest.approx(
        3 / 2, rel=0.01
    )  # in the order of the run: fish first
    assert point["runs"].count(reference) == 1  # read, not trained once more


@pytest.fixture
def sweep(project: Path, cli: Any, quick: None) -> str:
    rows = [{"fish": share, "birds": 1 - share} for share in (0, 0.15, 0.3, 0.4, 0.55, 0.7, 0.85, 1)]
    Path("runs.yaml").write_text(json.dumps({"runs": rows}))
    short = ("--set", "train.steps=30", "--set", "train.warmup=2", "--quiet")
    done = cli("sweep", "run", "mix.yaml", "--design", "runs.yaml", "--out", "s", *short)
    assert done.code == 0, done.err
    return "s"


def test_a_sweep_tells_the_static_laws_of_its_whole_runs(sweep: str, cli: Any) -> None:
    done = cli("diagnose", sweep)
    assert done.code == 0, done.err
    assert "8 whole runs on mixtures of fish, birds" in done.out and "R2 as published" in done.out
    content = json.loads(cli("diagnose", sweep, "--json").out)
    assert content["runs"] == 8 and set(content["laws"]) == {"log-linear", "linear"}
    # more of a group lowers its own loss: this much a line sees in eight runs
    assert min(content["laws"]["linear"]["r2"]) > 0.5
    assert "By how much a target's final loss falls" in done.out.replace("\n", " ")
    effects, errors = (np.array(content["laws"]["linear"][key]) for key in ("effects", "effect_errors"))
    assert effects.shape == errors.shape == (2, 2)
    assert (np.diag(effects) > 0).all() and (errors > 0).all()
    for given in (("--at", "4"), ("--fidelity", "aioli"), ("--out", "d"), ("--orders", "1"), ("--resume",)):
        refused = cli("diagnose", sweep, *given)
        assert refused.code == 2 and "s is a sweep: its static law is that of whole runs" in refused.err
        assert f"and {given[0]} says how to branch one" in refused.err
    run = next(Path(sweep).glob("runs/*"))
    assert "no run in" in cli("diagnose", str(run / "nothing")).err


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--at", "58"), "no branch of 4 steps, the shortest horizon, fits after step 58"),
    (("--at", "0"), "at needs whole numbers of steps, at least 1"),
    (("--focus", "1"), "focus must be between 0 and 1"),
    (("--branches", "2"), "at least 3 branches"),
    (("--orders", "0"), "orders must be at least 1, got 0"),
    (("--fidelity", "aoli"), "aioli"),
    (("--fidelity", "odm", "--fidelity", "odm"), "told apart by their labels, got twice: odm"),
    (("--fidelity", "aioli: {sweep: 1}"), "sweep"),
    (
        ("--at", "50", "--fidelity", "aioli: {sweeps: 1, probe_steps: 5}"),
        "makes an estimate in 11 steps, after step 50 the run has 10",
    ),
    (("--fidelity", "{doremi: {}, reference: nowhere}"), "no run in"),
    (("--method", "odm"), "has no run of 'odm'; it has 'stratified'"),
    (("--seed", "7"), "r has no run of seed 7: its seeds are 0, 1"),
    (("--seed", "0"), "every seed is named once"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_what_cannot_be_branched_is_told(trained: Path, cli: Any, arguments: Any, told: str) -> None:
    done = cli("diagnose", "r", "--horizon", "4", "--seed", "0", *arguments)
    assert done.code == 2 and told in done.err
    assert not Path("r/diagnosis").exists()


def test_where_there_is_no_single_run_it_is_told(trained: Path, cli: Any) -> None:
    assert "has 2 runs that fit; name the directory of one" in cli("diagnose", "r").err
    run = next(Path("r/runs").iterdir())
    seed = json.loads((run / "spec.json").read_text())["seed"]
    told = f"the run in {run} is of seed {seed}, not of {1 - seed}"
    assert told in cli("diagnose", str(run), "--seed", str(1 - seed)).err
    Path("empty").mkdir()
    for nothing in ("empty", "nowhere", "fish"):
        done = cli("diagnose", nothing)
        assert done.code == 2 and f"no run in {nothing}: expected a directory that" in done.err


def test_horizons_beyond_the_run_are_left_out_and_told(trained: Path, cli: Any) -> None:
    done = cli("diagnose", "r", *BRANCHES, "--horizon", "41", "--branches", "3")
    assert done.code == 0, done.err
    assert "Left out after step 20 of 60: horizon 41, beyond the run." in done.out
    assert [law["horizon"] for law in content_of()["points"][0]["laws"]] == [4, 16]
    beyond = cli("diagnose", "r", "--at", "20", "--horizon", "41", "--seed", "0", "--out", "d")
    assert (
        beyond.code == 2 and "no branch of 41 steps, the shortest horizon, fits after step 20" in beyond.err
    )


def test_gains_cover_what_many_repeats_on_other_orders_of_the_data_say(trained: Path) -> None:
    """By brute force: 16 orders together are nearly the truth, and pairs of them must cover it."""
    settings = Settings(at=(20,), horizons=(4, 8), sequences=8, orders=16)
    content = diagnose(Path("r"), settings, seeds=(0,), runner=in_process)
    (point,) = content["points"]
    paths = [Path(f"r/diagnosis/runs/{run}/result.json") for run in point["runs"][1:]]
    results = np.array([json.loads(path.read_text()) for path in paths], dtype=object).reshape(5, 16)
    for law in point["laws"]:
        pairs = [
            law_at(results[:, first : first + 2].ravel().tolist(), law["horizon"], np.ones(2), orders=2)
            for first in range(0, 16, 2)
        ]
        away = np.abs(np.array([pair["gains"] for pair in pairs]) - law["gains"])
        allowed = stdtrit(2, 0.975) * np.array([pair["gain_errors"] for pair in pairs])
        assert np.mean(away <= allowed) >= 6 / 8
        away = np.abs(np.array([pair["contrasts"] for pair in pairs]) - law["contrasts"])
        allowed = pairs[0]["critical"] * np.array([pair["contrast_errors"] for pair in pairs])
        assert np.mean(away <= allowed) >= 6 / 8
        # one order cannot know what it does to the groups' worth, several can
        alone = [law_at(results[:, k].tolist(), law["horizon"], np.ones(2)) for k in range(16)]
        scatter = np.std([each["gains"][0] for each in alone], ddof=1)
        assert np.sqrt(np.mean([each["gain_errors"][0] ** 2 for each in alone])) < 0.7 * scatter
        assert np.sqrt(np.mean([pair["gain_errors"][0] ** 2 for pair in pairs])) > 0.7 * scatter / np.sqrt(2)
