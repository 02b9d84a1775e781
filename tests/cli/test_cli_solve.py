"""`aioli solve` and `aioli offline`: from a fit, or from tables, to a mixture near the known optimum."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.planted import GROUPS, OPTIMUM, TARGETS, losses_of, write_rows, write_world

from aioli.config import load

FIT = ("fit", "--mixtures", "m.csv", "--losses", "l.csv", "--law", "log_linear", "--replicates", "12")
TOKENS = ("--tokens", "law=1e11", "--tokens", "code=7e9", "--tokens", "math=5e9", "--train-tokens", "8e10")
TABLES = ("--mixtures", "m.csv", "--losses", "l.csv")


@pytest.fixture
def fitted(tmp_path, monkeypatch, cli):
    """A directory with the planted world's tables and `fit.json`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    write_world(count=30, noise=0.0005)
    ended = cli(*FIT, "--out", "fit.json")
    assert ended.code == 0, ended.err
    return tmp_path


def solution(cli, *arguments: str) -> dict:
    ended = cli("solve", "fit.json", *arguments, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def shares(content) -> list[float]:
    return [content["proportions"][group] for group in GROUPS]


def test_the_optimum_of_the_planted_law_is_found_and_explained(fitted, cli):
    ended = cli("solve", "fit.json", "--reference", "uniform", "--out", "solution.json")
    assert ended.code == 0, ended.err
    for said in ("within noise", "at reference", "best run (r", "one point more of law costs", "frozen"):
        assert (said in ended.out) == (said != "frozen"), said
    content = json.loads(Path("solution.json").read_text())
    assert shares(content) == pytest.approx(OPTIMUM, abs=0.01)
    assert content["status"] == "optimal" and content["gap"] < 1e-6
    truth = losses_of(np.array([shares(content)]))[0]
    for target, loss in zip(TARGETS, truth, strict=True):
        row = content["by_target"][target]
        assert row["predicted"] == pytest.approx(loss, abs=0.005)
        assert row["interval"][0] <= row["predicted"] <= row["interval"][1]
    assert content["at_reference"] > content["objective"]["loss"]
    for group, best in zip(GROUPS, OPTIMUM, strict=True):
        low, high = content["by_group"][group]["near_optimal"]
        assert low - 0.01 <= best <= high + 0.01
    assert all(change is None or change > -1e-9 for change in content["sensitivity"]["objective"].values())


def test_caps_penalty_and_reference_give_the_published_worked_example(fitted, cli):
    Path("prior.json").write_text(json.dumps({"law": 0.6, "code": 0.3, "math": 0.1}))
    given = (*TOKENS, "--max-repeats", "4", "--reference", "prior.json", "--kl", "0.05")
    content = solution(cli, *given)
    assert shares(content) == pytest.approx([0.642583, 0.35, 0.007417], abs=0.005)
    assert content["binding"] == ["cap of code"]
    assert content["by_group"]["code"]["epochs"] == pytest.approx(4)
    assert content["distance"]["kl"] == pytest.approx(0.0787, abs=0.005)
    assert content["sensitivity"]["prices"]["cap of code"] < 0


def test_floors_fixed_shares_limits_weights_and_the_worst_target(fitted, cli):
    held = solution(cli, "--floor", "0.1", "--fixed", "code=0.3")
    assert held["proportions"]["code"] == pytest.approx(0.3)
    assert held["proportions"]["math"] == pytest.approx(0.1, abs=1e-6)
    weighted = solution(cli, "--target-weight", "chat=1")
    assert weighted["proportions"]["code"] > 0.9
    limited = solution(cli, "--limit", "chat=2.3")
    assert limited["by_target"]["chat"]["predicted"] <= 2.3 + 1e-6 and limited["binding"] == ["limit of chat"]
    worst = solution(cli, "--objective", "worst_target")
    assert max(r["predicted"] for r in worst["by_target"].values()) == pytest.approx(
        worst["objective"]["value"], abs=1e-6
    )
    cautious = solution(cli, "--caution", "0.7")
    assert cautious["objective"]["value"] > cautious["objective"]["loss"]


def test_mixtures_that_were_never_near_are_warned_of(fitted, cli):
    ended = cli("solve", "fit.json", "--fixed", "math=0.97")
    assert "of the mixture lies outside those that were trained" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-repeats", "4"), "give the tokens of every group"),
        ((*TOKENS[:-1], "9e12", "--max-repeats", "4"), "allow 80.36 repeats of every group"),
        (("--floor", "0.5"), "more than 1"),
        (("--fixed", "cod=0.1"), "did you mean 'code'"),
        (("--limit", "chat=1.5"), "chat"),
        (("--limit", "chat"), "--limit needs NAME=NUMBER"),
        (("--kl", "0.1"), "measured from a reference"),
        (("--reference", "some"), "natural, uniform, or a .json"),
        (("--objective", "best"), "unknown objective 'best'"),
        (("--caution", "1.5"), "caution must be in [0, 1)"),
        (("--from", "a=b"), "name it with --reuse"),
        (("--config", "no.yaml"), "no.yaml"),
        (("--out", "solution.txt"), "written as .json"),
    ],
)
def test_wishes_that_cannot_be_met_leave_what_was_there(fitted, cli, arguments, said):
    Path("solution.json").write_text("kept")
    out = () if "--out" in arguments else ("--out", "solution.json")
    ended = cli("solve", "fit.json", *arguments, *out)
    assert ended.code == 2 and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and Path("solution.json").read_text() == "kept"


def test_groups_that_stay_keep_their_ratios(fitted, cli):
    Path("old.json").write_text(json.dumps({"proportions": {"law": 0.6, "news": 0.2, "code": 0.2}}))
    ended = cli("solve", "fit.json", "--reuse", "old.json", "--out", "new.json")
    assert ended.code == 0, ended.err
    assert "frozen: the ratios of 2 groups" in ended.out and "chosen anew: math" in ended.out
    content = json.loads(Path("new.json").read_text())
    p = shares(content)
    assert p[0] / p[1] == pytest.approx(3)
    assert content["reuse"]["kept"]["ratios"] == pytest.approx({"law": 0.75, "code": 0.25})
    for other in np.linspace(0, 1, 50):  # no other share of the new group is better
        mixture = np.array([0.75 * (1 - other), 0.25 * (1 - other), other])
        assert losses_of(mixture[None]).mean() >= losses_of(np.array([p])).mean() - 1e-3
    part = solution(cli, "--reuse", "old.json", "--revise", "code")
    assert set(part["reuse"]["affected"]) == {"code", "math"}
    assert shares(part) == pytest.approx(OPTIMUM, abs=0.01)


def test_runs_made_for_a_change_are_fitted_with_the_kept_groups_as_one(fitted, cli):
    Path("old.json").write_text(json.dumps({"law": 0.6, "news": 0.2, "code": 0.2}))
    new = np.linspace(0, 0.9, 10)
    mixtures = np.column_stack([0.75 * (1 - new), 0.25 * (1 - new), new])
    write_rows("m.csv", ("index", *GROUPS), [[i, *p] for i, p in enumerate(mixtures)])
    write_rows("l.csv", ("index", *TARGETS), [[i, *row] for i, row in enumerate(losses_of(mixtures))])
    assert cli(*FIT, "--reuse", "old.json", "--out", "few.json").code == 0
    assert "say which with --reuse" in cli("solve", "few.json").err
    ended = cli("solve", "few.json", "--reuse", "old.json", "--remove", "news", "--json")
    assert ended.code == 0, ended.err
    p = shares(json.loads(ended.out))
    assert p[0] / p[1] == pytest.approx(3) and sum(p) == pytest.approx(1)
    write_world(count=30)
    assert "does not keep the ratios" in cli(*FIT, "--reuse", "old.json", "--out", "few.json").err


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("dml", ()),
        ("olmix_base", ("--set", "kl=0.001", "--reference", "uniform")),
        ("regmix", ("--set", "candidates=20000", "--set", "rate=0.1", "--set", "rounds=100")),
    ],
)
def test_each_offline_method_is_one_command(fitted, cli, name, more):
    ended = cli("offline", name, *TABLES, *more, "--out", "mixture.json")
    assert ended.code == 0, ended.err
    content = json.loads(Path("mixture.json").read_text())
    assert content["method"] == name and content["runs"] == 30
    reached = losses_of(np.array([shares(content)])).mean()
    best, equal = (losses_of(np.array([p])).mean() for p in (OPTIMUM, [1 / 3] * 3))
    assert best <= reached + 1e-9 and reached - best < 0.35 * (equal - best)
    assert load_static("mixture.json", fitted) == pytest.approx(content["proportions"])


def load_static(path: str, directory: Path) -> dict[str, float]:
    """The proportions that a config with `static: {proportions: FILE}` ends up with."""
    for group in GROUPS:
        (directory / f"{group}.txt").write_text("a few words to train on\n" * 40)
    data = {"groups": {group: {"paths": [f"{group}.txt"]} for group in GROUPS}}
    config = load({"data": data, "methods": [{"static": {"proportions": path}}]})
    return config.methods[0].parameters["proportions"]


def test_olmix_base_caps_repeats_where_the_tokens_are_known(fitted, cli):
    content = json.loads(cli("offline", "olmix_base", *TABLES, *TOKENS, "--json").out)
    assert content["by_group"]["code"]["cap"] == pytest.approx(0.35)
    assert content["by_group"]["law"]["reference"] == pytest.approx(100 / 112)
    free = json.loads(cli("offline", "olmix_base", *TABLES, "--json").out)
    assert any("no cap on repeats" in warning for warning in free["warnings"])


def test_climb_proposes_new_runs_as_a_design(fitted, cli):
    quick = ("--set", "candidates=3000", "--set", "best=100", "--set", "rate=0.1", "--set", "rounds=50")
    ended = cli("offline", "climb", *TABLES, *quick, "--propose", "6", "--design-out", "next.csv")
    assert ended.code == 0, ended.err
    header, *rows = (line.split(",") for line in Path("next.csv").read_text().splitlines())
    assert header == ["index", *GROUPS] and len(rows) == 6
    assert all(sum(map(float, row[1:])) == pytest.approx(1) for row in rows)
    assert "go together" in cli("offline", "climb", *TABLES, "--propose", "6").err


def test_mixmin_reads_documents(fitted, cli):
    log_q = [[-10, -14, -30, -21], [-12, -11, -28, -24], [-11, -13, -25, -26]]
    rows = [[t, *q] for t, *q in zip([4, 5, 10, 8], *log_q, strict=True)]
    write_rows("q.csv", ("tokens", *GROUPS), rows)
    ended = cli("offline", "mixmin", "--likelihoods", "q.csv", "--out", "mixture.json")
    assert ended.code == 0 and "of documents" in ended.err, ended.err
    content = json.loads(Path("mixture.json").read_text())
    assert shares(content) == pytest.approx([0.505440, 0.287984, 0.206576], abs=1e-5)
    assert "give it --likelihoods" in cli("offline", "mixmin", *TABLES).err
    assert "is fitted to runs" in cli("offline", "dml", "--likelihoods", "q.csv").err
    write_rows("q.csv", GROUPS, [row[1:] for row in rows])
    assert "expected a column `tokens`" in cli("offline", "mixmin", "--likelihoods", "q.csv").err
