"""`aioli train --resume` with other groups: what is said, what is written, and what a kill leaves."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aioli.data.shards import Corpus
from aioli.jobs import regroup
from aioli.sweep import local
from aioli.sweep.runner import Outcome
from aioli.training import loop
from aioli.training.loop import run_spec

TRAIN = ("train", "mix.yaml", "--method", "stratified", "--out", "o", "--quiet")
BUGS = ("--set", "data.groups.bugs.paths=[bugs]")
WORDS = ["ant", "bee", "fly", "moth", "wasp", "crawls", "under", "warm", "dead", "leaves"]
stop: dict[str, Any] = {"at": None, "error": KeyboardInterrupt}


class Killed(BaseException):
    """Stands for a kill of the whole command."""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are trained here instead of in workers, and stop at the step that a test says."""

    def train(workers: Any, pending: Any, specs: Any, store: Any, *_: Any) -> Outcome:
        for spec in pending:
            corpus = Corpus.open(workers.corpus)
            run_spec(spec, corpus, store.prepare(spec), resume=True, on_progress=on_progress)
        return Outcome(store.finished(specs), [])

    def on_progress(state: dict[str, Any]) -> None:
        if state["step"] == stop["at"]:
            raise stop["error"]

    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(local, "run_on", train)


@pytest.fixture
def begun(project: Path, cli: Callable[..., Any]) -> Callable[..., Any]:
    """A run of fish and birds stopped at step 7; what is returned runs the command line to its end."""
    pick = random.Random(3)
    (project / "bugs").mkdir()
    for i in range(40):
        text = " ".join(pick.choices(WORDS, k=60))
        (project / "bugs" / f"{i}.txt").write_text(text)
    stop["at"] = 7
    assert cli(*TRAIN).code == 130
    stop["at"] = None
    return cli


def results(project: Path) -> dict[str, Any]:
    return json.loads((project / "o" / "results.json").read_text())


def run_of(content: dict[str, Any]) -> dict[str, Any]:
    (run,) = content["runs"].values()
    return run


def everything(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def plan(project: Path) -> dict[str, Any]:
    return json.loads((project / "o" / "plan.json").read_text())


def test_a_group_is_added_and_one_refilled(project, begun):
    for i in range(60, 90):
        (project / "fish" / f"{i}.txt").write_text(f"trout number {i} swims up the river to the lake " * 6)
    more = ("--set", 'data.groups.fish.paths=["fish/*.txt", "fish"]')
    ended = begun(*TRAIN, "--resume", *BUGS, *more)
    assert ended.code == 0, ended.err
    assert "note: birds: kept (14 of " in ended.err and "note: bugs: added (" in ended.err
    assert "note: fish: changed (" in ended.err and "sequences to read before any of its" in ended.err
    content = results(project)
    assert content["groups"] == content["targets"] == ["fish", "birds", "bugs"]
    run = run_of(content)
    assert run["proportions"]["values"] == [[0.5, 0.5, None], [0.33333, 0.33333, 0.33333]]
    assert sum(run["drawn"]) == 80 and run["changes"][0]["step"] == 7
    assert "bugs" in (project / "o" / "report.html").read_text()
    assert begun(*TRAIN, "--resume", *BUGS, *more).code == 0  # finished: found again
    assert begun("report", "o").code == 0 and results(project)["groups"] == ["fish", "birds", "bugs"]


def test_groups_are_renamed_merged_and_removed_in_two_changes(project, begun):
    stop["at"] = 12
    two = (
        "--set",
        "data.groups={pets: {paths: [fish]}, birds: {paths: [birds.jsonl]}, bugs: {paths: [bugs]}}",
    )
    ended = begun(*TRAIN, "--resume", *two, "--from", "pets=fish")
    assert ended.code == 130 and "pets: fish under another name (14 of " in ended.err
    stop["at"] = None
    one = ("--set", 'data.groups={all: {paths: ["fish/*.txt", "birds.jsonl"]}}')
    ended = begun(*TRAIN, "--resume", *one, "--from", "all=pets,birds")
    assert ended.code == 0, ended.err
    assert "all: from pets and birds (" in ended.err and "bugs: removed" in ended.err
    content = results(project)
    assert content["groups"] == ["all", "pets", "birds", "bugs", "fish"] and content["targets"] == ["all"]
    run = run_of(content)
    assert [change["step"] for change in run["changes"]] == [7, 12] and sum(run["drawn"]) == 80
    assert plan(project)["corpus"] == "data-3" and plan(project)["changes"] == 2


@pytest.mark.parametrize("moment", ["tokenised", "written", "planned"])
def test_a_kill_leaves_the_old_run_or_the_new_one(project, begun, monkeypatch, moment):
    def killed(*arguments: Any) -> Any:
        if moment == "planned":
            real[name](*arguments)
        raise Killed

    name = {"tokenised": "_change_run", "written": "write_plan", "planned": "write_plan"}[moment]
    real = {name: getattr(regroup, name)}
    before = everything(project / "o")
    with monkeypatch.context() as patch:
        patch.setattr(regroup, name, killed)
        with pytest.raises(Killed):
            begun(*TRAIN, "--resume", *BUGS)
    after = everything(project / "o")
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == ({"plan.json", "config.resolved.yaml"} if moment == "planned" else set())
    if moment != "planned":
        assert begun(*TRAIN, "--resume", "--set", "title=old").code == 0
        assert run_of(results(project))["drawn"] == [40, 40]
    else:
        assert begun(*TRAIN, "--resume", *BUGS).code == 0
        assert len(run_of(results(project))["drawn"]) == 3


def test_killed_before_the_switch_the_same_command_makes_the_change(project, begun, monkeypatch):
    def killed(*arguments: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(regroup, "write_plan", killed)
        with pytest.raises(Killed):
            begun(*TRAIN, "--resume", *BUGS)
    ended = begun(*TRAIN, "--resume", *BUGS)
    assert ended.code == 0 and run_of(results(project))["changes"][0]["groups"] == ["fish", "birds", "bugs"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--set", "data.groups={bugs: {paths: [bugs]}}"], "remove all groups of the run (fish, birds)"),
        ([*BUGS, "--from", "bugs=bird"], "did you mean 'birds'?"),
        ([*BUGS, "--from", "bug=birds"], "did you mean 'bugs'?"),
        ([*BUGS, "--from", "bugs"], "--from needs NEW=OLD"),
        (["--set", "data.groups.none.paths=[empty]"], "none has no documents"),
        (["--set", "data.groups.none.paths=[nothing/*]"], "matches nothing"),
        ([*BUGS, "--set", "data.tokenizer.vocab_size=280"], "data.tokenizer.vocab_size was 300, is 280"),
        ([*BUGS, "--set", "train.steps=21"], "train.steps was 20, is 21"),
        ([*BUGS, "--set", "model.width=32"], "model.width was 16, is 32"),
        ([*BUGS, "--seed", "1"], "has seed 0, got 1"),
        ([*BUGS, "--set", "constraints.max_repeats=0.001"], "max_repeats"),
        (["--from", "fish=fish", "--set", "data.groups.fish.paths=[]"], "fish"),
    ],
)
def test_changes_that_cannot_be_made_are_refused_and_nothing_is_lost(project, begun, changes, said):
    (project / "empty").mkdir()
    (project / "empty" / "a.txt").write_text(" \n")
    before = everything(project / "o")
    ended = begun(*TRAIN, "--resume", *changes)
    assert ended.code == 2 and said in ended.err and ended.err.count("aioli:") == 1, ended.err
    after = everything(project / "o")
    assert before.items() <= after.items()
    assert begun(*TRAIN, "--resume").code == 0
    assert run_of(results(project))["drawn"] == [40, 40]


def test_another_method_a_finished_run_and_comparisons_are_refused(project, begun):
    other = [part if part != "stratified" else "proportional" for part in TRAIN]
    ended = begun(*other, "--resume", *BUGS)
    assert ended.code == 2 and "is of stratified, not of proportional" in ended.err
    assert begun(*TRAIN, "--resume").code == 0
    ended = begun(*TRAIN, "--resume", *BUGS)
    assert ended.code == 2 and "is finished: its groups cannot change any more" in ended.err
    ended = begun("compare", "mix.yaml", "--out", "o", "--resume", *BUGS, "--set", "methods=[stratified]",
                  "--set", "seeds=[0]")  # fmt: skip
    assert ended.code == 2 and "aioli train ... --resume" in ended.err
    ended = begun("compare", "mix.yaml", "--out", "c", "--quiet", "--set", "seeds=[0]")
    assert ended.code == 0, ended.err
    ended = begun("train", "mix.yaml", "--method", "stratified", "--out", "c", "--resume", *BUGS)
    assert ended.code == 2 and "comparison of 2 runs" in ended.err
    assert begun(*TRAIN[:4], "--out", "new", "--from", "a=b").code == 2


def test_a_changed_run_is_not_extended_to_a_comparison(project, begun):
    assert begun(*TRAIN, "--resume", *BUGS).code == 0
    ended = begun("compare", "mix.yaml", "--out", "o", "--resume", *BUGS, "--set", "seeds=[0]",
                  "--set", "methods=[stratified, proportional]")  # fmt: skip
    assert ended.code == 2 and "whose groups changed on the way" in ended.err


def test_static_proportions_change_with_the_groups(project, cli):
    static = ("train", "mix.yaml", "--method", "static", "--out", "o", "--quiet")
    first = ("--set", "methods=[{static: {proportions: {fish: 0.25, birds: 0.75}}}]")
    stop["at"] = 7
    assert cli(*static, *first).code == 130
    stop["at"] = None
    only = ("--set", "data.groups={birds: {paths: [birds.jsonl]}, f: {paths: [fish]}}", "--from", "f=fish")
    ended = cli(*static, "--resume", *first, *only)
    assert ended.code == 2 and "unknown group 'fish'" in ended.err
    second = ("--set", "methods=[{static: {proportions: {f: 0.5, birds: 0.5}}}]")
    ended = cli(*static, "--resume", *second, *only)
    assert ended.code == 0, ended.err
    run = run_of(results(project))
    assert run["proportions"]["values"] == [[0.75, None, 0.25], [0.5, 0.5, None]]


def test_text_that_changed_by_itself_is_refused_until_it_is_asked_for(project, begun):
    """The corpus of the run stays as it is: only then can the change be made, or the files restored."""
    kept = (project / "fish" / "5.txt").read_text()
    before = everything(project / "o" / "data")
    (project / "fish" / "5.txt").write_text("a new text " * 40)
    ended = begun(*TRAIN, "--resume")
    assert ended.code == 2 and "the text has changed" in ended.err and "--from NAME=NAME" in ended.err
    assert everything(project / "o" / "data") == before
    ended = begun(*TRAIN, "--resume", "--from", "fish=fish")
    assert ended.code == 0 and "fish: changed (" in ended.err
    assert run_of(results(project))["changes"][0]["step"] == 7
    (project / "fish" / "5.txt").write_text(kept)
