"""A run that goes on with other groups: killed anywhere after the change, it ends with the same numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.data.small_texts import code, law, settings, words, write_jsonl

from aioli.data.predecessor import Predecessor
from aioli.data.settings import DataSettings, SplitSettings, TextSource
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize
from aioli.errors import InputError
from aioli.journal import Journal
from aioli.sweep.spec import RunSpec
from aioli.training import loop
from aioli.training.changing import ChangedRun, change_run
from aioli.training.loop import run_spec
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

TRAIN = TrainSettings(steps=40, batch=6, warmup=4, learning_rate=1e-2, device="cpu")
CHANGES: dict[str, tuple[dict[str, str], dict[str, list[str]]]] = {
    "add": ({"law": "law.jsonl", "code": "code.jsonl", "news": "news.jsonl"}, {}),
    "remove": ({"code": "code.jsonl"}, {}),
    "refill": ({"law": "more-law.jsonl", "code": "code.jsonl"}, {}),
    "rename": ({"statutes": "law.jsonl", "code": "code.jsonl"}, {"statutes": ["law"]}),
    "split": ({"a": "law-a.jsonl", "b": "law-b.jsonl", "code": "code.jsonl"}, {"a": ["law"], "b": ["law"]}),
    "merge": ({"all": "*w.jsonl", "news": "news.jsonl"}, {"all": ["law", "code"]}),
}
METHODS: dict[str, dict[str, Any]] = {
    "stratified": {},
    "matched": {"objective": "mean_perplexity", "round_steps": 3},
    "aioli": {"round_steps": 18, "sweeps": 1, "probe_steps": 1},
    "odm": {},
}


class Crash(Exception):
    """Stands for a kill: nothing is saved on the way out."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("texts")
    news = [words(5000 + k, 40, "mnopqr") for k in range(40)]
    files = {
        "law": law(), "code": code(), "news": news, "more-law": law(90)[5:],
        "law-a": law()[::2], "law-b": law()[1::2], "codew": code(), "laww": law(),
    }  # fmt: skip
    for name, texts in files.items():
        write_jsonl(base / f"{name}.jsonl", texts)
    tokenize(data({"law": "law.jsonl", "code": "code.jsonl"}), base, base / "old")
    return base


def data(groups: dict[str, str]) -> DataSettings:
    return replace(settings(400, **groups), split=SplitSettings(0.15, 0.15))


def changed_corpus(base: Path, name: str) -> Corpus:
    groups, parents = CHANGES[name]
    before = Predecessor(Corpus.open(base / "old"), {k: tuple(v) for k, v in parents.items()})
    return tokenize(data(groups), base, base / name, before=before)


def make_spec(corpus: Corpus, method: str, **other: Any) -> RunSpec:
    model = ModelSettings(layers=1, width=16, heads=2, context=16)
    evaluation = EvaluationSettings(sequences=6, test_sequences=12)
    return RunSpec(method, corpus.fingerprint, parameters=METHODS[method], model=model, train=TRAIN,
                   evaluation=evaluation, **other)  # fmt: skip


def stop_at(step: int, error: type[BaseException]) -> Callable[[dict[str, Any]], None]:
    def on_progress(state: dict[str, Any]) -> None:
        if state["step"] == step:
            raise error

    return on_progress


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    cost = {k: v for k, v in result["cost"].items() if k not in ("seconds", "joules", "split")}
    return result | {"cost": cost}


@pytest.fixture(autouse=True)
def progress_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)


def stopped(base: Path, runs: Path, method: str, step: int) -> tuple[Corpus, Path]:
    """A run on the old corpus with a checkpoint at `step`."""
    old = Corpus.open(base / "old")
    spec = make_spec(old, method)
    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, old, runs / spec.id, on_progress=stop_at(step, KeyboardInterrupt))
    return old, runs / spec.id


def change(base: Path, directory: Path, old: Corpus, name: str, method: str) -> tuple[ChangedRun, Corpus]:
    new = changed_corpus(base, name)
    return change_run(directory, old, make_spec(new, method), new, CHANGES[name][1]), new


@pytest.mark.parametrize(
    ("method", "name"),
    [("aioli", name) for name in CHANGES]
    + [(m, n) for m in METHODS if m != "aioli" for n in ("add", "split")],
)
def test_after_a_change_stopped_and_crashed_runs_end_like_uninterrupted_ones(
    base: Path, tmp_path: Path, name: str, method: str
) -> None:
    """The change comes at step 6: for aioli, inside its first sweep of probes."""
    old, directory = stopped(base, tmp_path / "runs", method, 6)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    changed, new = change(base, directory, old, name, method)
    mine = tmp_path / "runs" / changed.spec.id
    shutil.copytree(mine, tmp_path / "whole" / changed.spec.id)
    whole = run_spec(changed.spec, new, tmp_path / "whole" / changed.spec.id, resume=True)
    for step, error in ((8, Crash), (9, KeyboardInterrupt), (20, KeyboardInterrupt), (31, Crash)):
        with pytest.raises(error):
            run_spec(changed.spec, new, mine, resume=True, on_progress=stop_at(step, error))
    result = run_spec(changed.spec, new, mine, resume=True)
    assert numbers(result) == numbers(whole)
    journals = [
        (path / "journal.jsonl").read_bytes() for path in (mine, tmp_path / "whole" / changed.spec.id)
    ]
    assert journals[0] == journals[1]
    assert before == {path: path.read_bytes() for path in directory.iterdir()}, "the old run was touched"
    check_result(result, changed)


def check_result(result: dict[str, Any], changed: ChangedRun) -> None:
    """Everything by group covers all groups there ever were, with null where one was not there."""
    old, new = changed.change.old.groups, changed.change.new.groups
    assert result["groups"] == list(dict.fromkeys([*new, *old])) and result["targets"] == list(new)
    assert sum(result["drawn"]) == 40 * 6 and len(result["test"]["loss"]) == len(new)
    assert result["changes"][0]["step"] == 6 and result["changes"][0]["removed"] == list(
        changed.change.removed
    )
    first, last = result["proportions"]["values"][0], result["proportions"]["values"][-1]
    if result["proportions"]["step"][0] < 6:
        assert [value is None for value in first] == [name not in old for name in result["groups"]]
    assert [value is None for value in last] == [name not in new for name in result["groups"]]
    curve = result["curve"]["train_loss"]
    assert {len(values) for values in curve} == {len(result["groups"])}
    assert all(
        value is None for name, value in zip(result["groups"], curve[0], strict=True) if name not in old
    )
    for entry in result["matrices"]:
        assert len(entry["values"]) == len(new) and len(entry["values"][0]) == len(result["groups"])


def test_a_run_changes_twice_and_keeps_its_history(base: Path, tmp_path: Path) -> None:
    old, directory = stopped(base, tmp_path, "matched", 6)
    first, new = change(base, directory, old, "split", "matched")
    with pytest.raises(KeyboardInterrupt):
        run_spec(
            first.spec, new, tmp_path / first.spec.id, resume=True, on_progress=stop_at(19, KeyboardInterrupt)
        )
    again = tokenize(
        data({"law": "law.jsonl", "news": "news.jsonl"}),
        base,
        base / "again",
        before=Predecessor(new, {"law": ("a", "b")}),
    )
    spec = make_spec(again, "matched")
    second = change_run(tmp_path / first.spec.id, new, spec, again, {"law": ("a", "b")})
    assert len({spec.id, first.spec.id, second.spec.id, directory.name}) == 4
    result = run_spec(second.spec, again, tmp_path / second.spec.id, resume=True)
    assert result["groups"] == ["law", "news", "a", "b", "code"] and sum(result["drawn"]) == 240
    assert [entry["run"] for entry in second.spec.history] == [directory.name, first.spec.id]
    journal = Journal.read(tmp_path / second.spec.id / "journal.jsonl")
    assert [c.regroup.step for c in journal.changes] == [6, 19]
    lines = (tmp_path / second.spec.id / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["groups"] for line in lines if "groups" in line] == [
        ["a", "b", "code"],
        ["law", "news"],
    ]


def test_separate_targets_keep_what_was_measured_of_them(base: Path, tmp_path: Path) -> None:
    def with_targets(groups: dict[str, str], targets: dict[str, str]) -> DataSettings:
        return replace(data(groups), targets={k: TextSource((v,)) for k, v in targets.items()})

    write_jsonl(base / "wiki.jsonl", [words(8000 + k, 40, "abst") for k in range(40)])
    write_jsonl(base / "talk.jsonl", [words(9000 + k, 40, "cduv") for k in range(40)])
    groups = {"law": "law.jsonl", "code": "code.jsonl"}
    old = tokenize(with_targets(groups, {"wiki": "wiki.jsonl", "talk": "talk.jsonl"}), base, base / "t-old")
    new = tokenize(
        with_targets(groups | {"news": "news.jsonl"}, {"talk": "talk.jsonl"}), base, base / "t-new",
        before=Predecessor(old),
    )  # fmt: skip
    spec = make_spec(old, "aioli")
    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, old, tmp_path / spec.id, on_progress=stop_at(6, KeyboardInterrupt))
    changed = change_run(tmp_path / spec.id, old, make_spec(new, "aioli"), new, {})
    result = run_spec(changed.spec, new, tmp_path / changed.spec.id, resume=True)
    assert result["targets"] == ["talk"] and result["groups"] == ["law", "code", "news"]
    assert all(len(entry["values"]) == 1 for entry in result["matrices"])


def test_what_cannot_be_changed_is_refused_and_the_run_goes_on(base: Path, tmp_path: Path) -> None:
    old, directory = stopped(base, tmp_path, "stratified", 6)
    new = changed_corpus(base, "add")
    spec = make_spec(new, "stratified")
    with pytest.raises(InputError, match="max_repeats"):
        change_run(directory, old, replace(spec, constraints={"max_repeats": 1e-3}), new, {})
    with pytest.raises(InputError, match="'laws'"):
        change_run(directory, old, spec, new, {"news": ("laws",)})
    (directory / "checkpoint.pt").rename(tmp_path / "kept")
    with pytest.raises(InputError, match="no checkpoint yet"):
        change_run(directory, old, spec, new, {})
    (tmp_path / "kept").rename(directory / "checkpoint.pt")
    assert run_spec(make_spec(old, "stratified"), old, directory, resume=True)["groups"] == ["law", "code"]


def test_a_changed_run_without_its_checkpoint_does_not_start_from_the_beginning(
    base: Path, tmp_path: Path
) -> None:
    old, directory = stopped(base, tmp_path, "stratified", 6)
    changed, new = change(base, directory, old, "add", "stratified")
    (tmp_path / changed.spec.id / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match="cannot start from its first step"):
        run_spec(changed.spec, new, tmp_path / changed.spec.id, resume=True)
