"""Methods that need other runs first: compared, trained in one command or in parts, killed, refused."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from aioli.errors import InputError
from aioli.jobs.references import find_run

QUICK = ("--set", "train.steps=12", "--quiet")
ALL = "methods=[stratified, doremi, {skill_it: {round_steps: 4}, run_steps: 0.5, label: skill}, sheared]"


def results(out: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in out.glob("runs/*/result.json")}


def weights(out: Path) -> dict[str, str]:
    return {run: result["weights_sha256"] for run, result in results(out).items()}


def told(text: str) -> str:
    return " ".join(text.split())


def test_compared_with_all_that_they_need(project, cli):
    arguments = ("compare", "mix.yaml", "--out", "o", *QUICK, "--set", "seeds=[3]", "--set", ALL)
    plan = json.loads(cli(*arguments, "--dry-run", "--json").out)
    assert (plan["runs"], plan["extra_runs"]) == (7, 3)
    ended = cli(*arguments)
    assert ended.code == 0, ended.err
    assert "doremi 2 (3.00x), skill 2 (2.00x), and sheared 1 (2.00x)" in told(ended.out)
    out = project / "o"
    content = json.loads((out / "results.json").read_text())
    methods = {method["label"]: method for method in content["methods"]}
    assert [(m["method"], m["extra_runs"]) for m in methods.values()] == [
        ("stratified", 0), ("doremi", 2), ("skill_it", 2), ("sheared", 1),
    ]  # fmt: skip
    assert methods["doremi"]["citation"].startswith("DoReMi")
    runs = results(out)
    assert len(runs) == 7
    final, base = runs[methods["doremi"]["runs"][0]], runs[methods["stratified"]["runs"][0]]
    proxy = runs[final["inputs"]["mixture"]]
    assert proxy["inputs"] == {"reference": base["id"]}
    assert final["resolved"]["proportions"] == dict(
        zip(["fish", "birds"], proxy["mixture"]["answer"], strict=True)
    )
    assert base["validation"] and runs[methods["sheared"]["runs"][0]]["resolved"]["target_losses"]
    assert len(runs[methods["skill"]["runs"][0]]["resolved"]["graph"]) == 2

    shown = cli("mixture", "o", "--method", "doremi", "--json")
    assert json.loads(shown.out)["mean"] == pytest.approx(final["resolved"]["proportions"])
    assert "has 4 runs that fit; name the directory of one" in cli("mixture", "o").err
    assert "has no run of 'doge'" in cli("mixture", "o", "--method", "doge").err

    _same_in_parts(cli, base, proxy, final)
    before = weights(out)
    (out / "runs" / final["id"] / "result.json").unlink()
    (out / "runs" / proxy["id"] / "result.json").write_text("{")
    wider = ALL.replace("stratified,", "stratified, {doremi: {}, use: model},")
    again = cli(*arguments[:-1], wider, "--resume")
    assert again.code == 0, again.err
    assert weights(out) == before  # the proxy is also the method whose model is used
    assert cli("report", "o").code == 0
    content = json.loads((out / "results.json").read_text())
    assert [method["extra_runs"] for method in content["methods"]] == [0, 1, 2, 2, 1]


def _same_in_parts(cli, base: dict, proxy: dict, final: dict) -> None:
    """Proxy, its mixture, and a static run, each by a command of its own, give what the comparison gave."""
    part = ("train", "mix.yaml", "--seed", "3", *QUICK)
    reference = ("--use", "model", "--reference", f"o/runs/{base['id']}")
    ended = cli(*part, "--method", "doremi", *reference, "--out", "p")
    assert ended.code == 0, ended.err
    assert weights(Path("p")) == {run["id"]: run["weights_sha256"] for run in (base, proxy)}
    assert "mix.txt" in cli("mixture", "p", "--out", "mix.txt").err
    shown = cli("mixture", "p", "--out", "answer.yaml")
    assert shown.code == 0 and "answer" in shown.out
    ended = cli(*part, "--method", "static", "--proportions", "answer.yaml", "--out", "s")
    assert ended.code == 0, ended.err
    assert list(weights(Path("s")).values()) == [final["weights_sha256"]]
    assert cli(*part, "--method", "doremi", *reference, "--out", "p", "--resume").code == 0


def test_references_that_do_not_fit_are_refused_in_one_line(project, cli):
    assert cli("train", "mix.yaml", "--method", "stratified", "--out", "r", *QUICK).code == 0

    def refused(*more: str, reference: str = "r") -> str:
        arguments = ("--method", "doremi", "--reference", reference, "--out", "p", *QUICK, *more)
        ended = cli("train", "mix.yaml", *arguments, *(("--resume",) if Path("p").exists() else ()))
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert not list(Path("p").glob("runs/*"))
        return ended.err

    assert "trained on another corpus or tokenizer" in refused("--set", "data.tokenizer.vocab_size=280")
    shutil.rmtree("p")
    assert "has a context of 16, this run one of 12" in refused("--set", "model.context=12")
    assert "no run in" in refused(reference="fish")
    assert "no run in r was trained on one group alone" in cli("sweep", "graph", "r").err
    run = find_run(Path("r")).directory
    (run / "checkpoint.pt").rename(run / "kept.pt")
    assert "checkpoint.pt is missing" in refused()
    (run / "kept.pt").rename(run / "checkpoint.pt")
    (run / "result.json").write_text("{")
    assert "is damaged, or not the result of run" in refused()
    (run / "result.json").unlink()
    assert "is not finished: continue it where it was begun" in refused()
    with pytest.raises(InputError, match="is not finished"):
        find_run(run)


def test_a_reader_killed_with_its_parent_goes_on_from_its_checkpoint(project, cli, shell):
    steps = ("--set", "train.steps=200", "--set", "train.checkpoint_every=20")
    arguments = ("train", "mix.yaml", "--method", "sheared", "--workers", "1", "--quiet", *steps)
    assert cli(*arguments, "--out", "whole").code == 0
    whole = results(project / "whole")
    reader = next(result for result in whole.values() if result["inputs"])
    reference = ("--reference", f"whole/runs/{reader['inputs']['reference']}", "--out", "o")
    with shell(*arguments, *reference) as process:
        end = time.monotonic() + 60
        while not (project / "o" / "runs" / reader["id"] / "checkpoint.pt").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        process.kill()
    assert reader["id"] not in weights(project / "o")
    ended = cli(*arguments, *reference, "--resume")
    assert ended.code == 0, ended.err
    assert weights(project / "o") == weights(project / "whole")
