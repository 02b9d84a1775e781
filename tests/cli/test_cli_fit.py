"""`aioli fit` and `aioli predict`: from CSV files to a law, and to the losses of other mixtures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.planted import GROUPS, TARGETS, losses_of, write_rows, write_world

FIT = ("fit", "--mixtures", "m.csv", "--losses", "l.csv", "--out", "fit.json")
QUICK = ("--law", "log_linear", "--replicates", "20")


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return write_world()


def test_a_fit_predicts_mixtures_that_it_has_not_seen(world, cli):
    fitted = cli(*FIT, *QUICK)
    assert fitted.code == 0, fitted.err
    assert "log_linear (4 numbers a target), 40 runs" in fitted.out and "written: fit.json" in fitted.out
    others = np.random.default_rng(9).dirichlet([2, 2, 2], 12)
    shuffled = [2, 0, 1]  # columns by name, whatever their order
    rows = [[f"new{i}", *p[shuffled]] for i, p in enumerate(others)]
    write_rows("m2.csv", ("index", *(GROUPS[j] for j in shuffled)), rows)
    told = cli("predict", "fit.json", "--mixtures", "m2.csv", "--out", "p.csv", "--intervals")
    assert told.code == 0, told.err
    with Path("p.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["index"] for row in found] == [f"new{i}" for i in range(12)]
    for row, truth in zip(found, losses_of(others), strict=True):
        for target, loss in zip(TARGETS, truth, strict=True):
            assert float(row[target]) == pytest.approx(loss, abs=0.01)
            assert float(row[f"{target}/low"]) < float(row[target]) < float(row[f"{target}/high"])


def test_predictions_are_compared_with_measured_losses(world, cli):
    assert cli(*FIT, *QUICK).code == 0
    write_world(count=30, prefix="test-", seed=5)
    ended = cli("predict", "fit.json", "--mixtures", "test-m.csv", "--losses", "test-l.csv", "--json")
    assert ended.code == 0, ended.err
    scores = json.loads(ended.out)["scores"]
    assert set(scores) == {*TARGETS, "objective"}
    assert all(row["spearman"] > 0.97 and row["mae"] < 0.005 and row["r2"] > 0.99 for row in scores.values())
    assert min(scores[target]["covered"] for target in TARGETS) > 0.7
    text = cli("predict", "fit.json", "--mixtures", "test-m.csv", "--losses", "test-l.csv").out
    assert "spearman" in text and "objective" in text


def test_mixtures_outside_the_trained_ones_are_counted(world, cli):
    assert cli(*FIT, *QUICK).code == 0
    write_rows("m2.csv", ("index", *GROUPS), [["in", 0.4, 0.4, 0.2], ["out", 0, 0, 1]])
    ended = cli("predict", "fit.json", "--mixtures", "m2.csv", "--out", "p.csv")
    assert "1 of 2 mixtures are outside" in ended.err


def test_weights_targets_settings_and_the_learning_curve(world, cli):
    chosen = ("--target", "chat", "--set", "law.huber=0.5", "--learning-curve", "--json")
    content = json.loads(cli(*FIT, *QUICK, *chosen).out)
    assert content["targets"] == ["chat"] and content["law"]["log_linear"]["huber"] == 0.5
    assert content["curve"][0]["runs"] < content["curve"][-1]["runs"] <= 32
    assert all(point["regret"] >= 0 for point in content["curve"])
    weighted = json.loads(
        cli(*FIT, *QUICK, "--target-weight", "exam=3", "--target-weight", "chat=1", "--json").out
    )
    assert weighted["weights"] == {"exam": 0.75, "chat": 0.25}
    text = cli(*FIT, *QUICK, "--learning-curve").out
    assert "fitted to fewer runs" in text and "regret" in text


def test_the_law_is_chosen_and_the_candidates_are_shown(world, cli):
    write_world(count=24)
    ended = cli(*FIT, "--replicates", "5", "--splits", "1")
    assert ended.code == 0, ended.err
    assert "* log_linear" in ended.out and "  linear" in ended.out and "behind" in ended.out
    assert "the one with the fewest numbers is taken (*)" in ended.out


def test_losses_are_carried_to_more_tokens_before_the_fit(world, cli):
    rows, scales = [], (1e6, 2e6, 4e6)
    for name, (p, losses) in enumerate(zip(world, losses_of(world), strict=True)):
        rows += [[name, *p, d, *(losses + 40 * d**-0.5)] for d in scales]
    header = ["index", *(f"mixture/{g}" for g in GROUPS), "tokens", *(f"loss/{t}" for t in TARGETS)]
    write_rows("steps.csv", header, rows)
    ended = cli("fit", "--table", "steps.csv", "--to-tokens", "1e8", "--out", "fit.json", *QUICK)
    assert ended.code == 0, ended.err
    assert "carried to 100,000,000 tokens (exponent 0.500" in ended.err
    cli("predict", "fit.json", "--mixtures", "m.csv", "--out", "p.csv")
    with Path("p.csv").open() as file:
        first = next(csv.DictReader(file))
    assert float(first["exam"]) == pytest.approx(losses_of(world)[0, 0] + 40 * 1e8**-0.5, abs=2e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--law", "log_liner"), "unknown law 'log_liner'; did you mean 'log_linear'"),
        (("--law", "log_linear", "--set", "law.hubr=1"), "no setting 'hubr'; did you mean 'huber'"),
        (("--set", "law.huber=1"), "needs a law to set it of"),
        (("--law", "log_linear", "--set", "huber=1"), "--set needs law.KEY=VALUE"),
        (("--target", "exm"), "did you mean 'exam'"),
        (("--target-weight", "exm=1"), "did you mean 'exam'"),
        (("--target-weight", "exam=much"), "needs a number after the name"),
        (("--to-tokens", "1e9"), "records no tokens"),
        (("--table", "m.csv"), "say where the runs are in one way"),
        (("--out", "fit.txt"), "written as .json"),
    ],
)
def test_fits_that_cannot_be_made(world, cli, arguments, said):
    ended = cli(*FIT, *arguments)
    assert ended.code == 2 and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and ended.out == "" and not Path("fit.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m, t: (m, [*t, t[3]]), "twice"),
        (lambda m, t: ([*m, ["r0", *m[5][1:]]], t), "twice"),
        (lambda m, t: ([["r0", 0.5, 0.5, 0.5], *m[1:]], t), "r0 sum to 1.5, expected 1"),
        (lambda m, t: (m, [[t[0][0], "nan", 3.0], *t[1:]]), "finite"),
        (lambda m, t: (m, [[t[0][0], "", 3.0], *t[1:]]), "got nothing"),
        (lambda m, t: (m[:3], [row for row in t if row[0] in ("r0", "r1", "r2")]), "only 3 runs"),
        (lambda m, t: (m[:20], t), "20 of the runs in l.csv are not in m.csv"),
        (lambda m, t: ([[r[0], 0.5, 0.3, 0.2] for r in m], t), "all runs have the same mixture"),
        (lambda m, t: ([*m, ["r99", *m[0][1:]]], [*t, ["r99", *t[-1][1:]]]), "copy"),
    ],
)
def test_tables_that_cannot_be_fitted(world, cli, change, said):
    read = [list(csv.reader(Path(name).read_text().splitlines())) for name in ("m.csv", "l.csv")]
    for name, (header, *_), rows in zip(
        ("m.csv", "l.csv"), read, change(*(r[1:] for r in read)), strict=True
    ):
        write_rows(name, header, rows)
    Path("fit.json").write_text("kept")
    ended = cli(*FIT, *QUICK)
    assert ended.code == 2 and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and Path("fit.json").read_text() == "kept"


def test_a_constant_column_is_warned_of(world, cli):
    rows = [[f"r{i}", *(p[:2] / p[:2].sum() * 0.8), 0.2] for i, p in enumerate(world)]
    write_rows("m.csv", ("index", *GROUPS), rows)
    ended = cli(*FIT, *QUICK)
    assert ended.code == 0 and "math has the share 0.2 in every run" in ended.err
    again = cli("predict", "fit.json", "--mixtures", "m.csv", "--out", "p.csv")
    assert "math has the share 0.2 in every run" in again.err


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda text: text[:100], "not JSON"),
        (lambda text: text.replace('"seed": 0', '"seed": 1'), "corrupt"),
        (lambda text: "[]", "expected a file written by `aioli fit`"),
    ],
)
def test_fit_files_that_cannot_be_read(world, cli, break_it, said):
    assert cli(*FIT, *QUICK).code == 0
    Path("fit.json").write_text(break_it(Path("fit.json").read_text()))
    for verb in (("predict", "fit.json", "--mixtures", "m.csv", "--out", "p.csv"), ("solve", "fit.json")):
        ended = cli(*verb)
        assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err
    assert not Path("p.csv").exists()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (("index", "law", "cod", "math"), "did you mean 'code'"),
        (("index", "law", "code"), "the table lacks: math"),
    ],
)
def test_mixtures_of_other_groups_are_not_predicted(world, cli, header, said):
    assert cli(*FIT, *QUICK).code == 0
    share = 1 / (len(header) - 1)
    write_rows("m2.csv", header, [["a", *[share] * (len(header) - 1)]])
    ended = cli("predict", "fit.json", "--mixtures", "m2.csv", "--out", "p.csv")
    assert ended.code == 2 and said in ended.err, ended.err
    assert "say what the predictions are for" in cli("predict", "fit.json", "--mixtures", "m.csv").err
