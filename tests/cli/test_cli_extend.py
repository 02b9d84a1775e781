"""Using an output directory again: what extends it, and what is refused because it would replace results."""

import json
from pathlib import Path

import pytest

QUICK = ("--set", "train.steps=6", "--quiet")


@pytest.fixture
def compared(project, cli):
    """A finished comparison of stratified and quarter with seed 0, in `o`."""
    ended = cli("compare", "mix.yaml", "--out", "o", *QUICK, "--set", "seeds=[0]")
    assert ended.code == 0, ended.err
    return project / "o"


def table(out: Path) -> list[tuple[str, list[int]]]:
    return [(m["label"], m["seeds"]) for m in json.loads((out / "results.json").read_text())["methods"]]


def everything(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def test_methods_and_seeds_are_added(compared, cli):
    wider = (
        "--set",
        "methods=[temperature, stratified, {static: {proportions: [0.25, 0.75]}, label: quarter}]",
    )
    changes = (*wider, "--set", "title=wider", "--set", "train.checkpoint_every=3", "--workers", "1")
    before = everything(compared / "runs")
    ended = cli("compare", "mix.yaml", "--out", "o", "--resume", *QUICK, *changes)
    assert ended.code == 0, ended.err
    assert table(compared) == [(label, [0, 1]) for label in ("temperature", "stratified", "quarter")]
    assert before.items() <= everything(compared / "runs").items()
    assert json.loads((compared / "results.json").read_text())["title"] == "wider"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("train.steps=7", "model.width=32"), ["train.steps was 6, is 7", "model.width was 16, is 32"]),
        (("data.tokenizer.vocab_size=280",), ["data.tokenizer.vocab_size was 300, is 280"]),
        (("data.groups.fish.paths=[fish]",), ["data.groups.fish.paths was ['fish/*.txt'], is ['fish']"]),
        (("objective=worst_target",), ["objective was 'mean_loss', is 'worst_target'"]),
        (("methods=[stratified]",), ["method quarter", "aioli report o", "--out"]),
        (
            ("methods=[stratified, {static: {proportions: [0.5, 0.5]}, label: quarter}]",),
            ["method quarter, which this one leaves out"],
        ),
        (("seeds=[1, 2]",), ["seed 0", "aioli report o"]),
    ],
)
def test_other_changes_are_refused_and_nothing_is_touched(compared, cli, changes, said):
    before = everything(compared)
    more = [part for change in changes for part in ("--set", change)]
    ended = cli("compare", "mix.yaml", "--out", "o", "--resume", *QUICK, "--set", "seeds=[0]", *more)
    assert ended.code == 2
    for text in said:
        assert text in ended.err
    assert everything(compared) == before


def test_a_single_run_does_not_replace_a_comparison_but_a_comparison_extends_it(compared, cli):
    before = everything(compared)
    ended = cli("train", "mix.yaml", "--method", "stratified", "--out", "o", "--resume", *QUICK)
    assert ended.code == 2
    assert "method quarter" in ended.err and "aioli report o" in ended.err
    assert everything(compared) == before

    assert cli("train", "mix.yaml", "--method", "quarter", "--seed", "1", "--out", "p", *QUICK).code == 0
    other = cli(
        "train", "mix.yaml", "--method", "stratified", "--seed", "1", "--out", "p", "--resume", *QUICK
    )
    assert other.code == 2
    assert cli("compare", "mix.yaml", "--out", "p", "--resume", *QUICK).code == 0
    assert table(compared.parent / "p") == [("stratified", [0, 1]), ("quarter", [0, 1])]


def test_a_moved_project_and_the_resolved_config_continue(compared, cli, monkeypatch):
    moved = compared.parent.with_name("moved")
    compared.parent.rename(moved)
    monkeypatch.chdir(moved)
    for config in ("mix.yaml", "o/config.resolved.yaml", "mix.yaml"):
        ended = cli("compare", config, "--out", "o", "--resume", "--set", "train.steps=6", "--quiet")
        assert ended.code == 0, ended.err


def test_other_data_is_refused(compared, cli):
    before = (compared / "data" / "index.json").read_bytes()
    told = cli("tokenize", "mix.yaml", "--out", "o", "--resume", "--set", "data.tokenizer.vocab_size=280")
    assert told.code == 2
    assert "data.tokenizer.vocab_size was 300, is 280" in told.err
    assert (compared / "data" / "index.json").read_bytes() == before

    results = (compared / "results.json").read_bytes()
    Path("fish/0.txt").write_text("an eel that nobody has seen before " * 9)
    ended = cli("compare", "mix.yaml", "--out", "o", "--resume", *QUICK, "--set", "seeds=[0]")
    assert ended.code == 2
    assert "the text has changed" in ended.err
    assert (compared / "results.json").read_bytes() == results


def test_a_damaged_plan_is_named_and_can_be_made_again(compared, cli):
    (compared / "plan.json").write_text("{")
    arguments = ("compare", "mix.yaml", "--out", "o", "--resume", *QUICK, "--set", "seeds=[0]")
    ended = cli(*arguments)
    assert ended.code == 2
    assert "plan.json is damaged" in ended.err and "delete it" in ended.err
    (compared / "plan.json").unlink()
    assert cli(*arguments).code == 0
    assert table(compared) == [("stratified", [0]), ("quarter", [0])]
