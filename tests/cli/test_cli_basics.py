"""Verbs that train nothing, and what the command line does when its own output cannot be written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
HEAVY = ("torch", "scipy", "matplotlib", "pyarrow", "tokenizers", "pydantic")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from aioli.cli import main; sys.argv = ['aioli', '--help']\n"
        "try: main()\n"
        f"finally: print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "compare" in done.stdout


def test_version(cli):
    ended = cli("--version")
    assert (ended.code, ended.out) == (0, "aioli 0.1.0\n")


def test_usage_errors_exit_with_2(cli):
    for arguments in (["bake"], ["compare"], ["compare", "a.yaml", "--workers", "many"], ["train", "a.yaml"]):
        ended = cli(*arguments)
        assert ended.code == 2
        assert "Error" in ended.err or "Missing" in ended.err


def test_methods_are_listed_with_parameters_and_citations(cli):
    ended = cli("methods")
    assert ended.code == 0
    assert "probes in the run" in ended.out and "arXiv 2411.05735" in ended.out
    assert "unimax(max_epochs=4.0)" in ended.out
    assert "max_epochs: float = 4.0" in cli("methods", "unimax").out
    assert "did you mean 'unimax'" in cli("methods", "uni_max").err
    rows = json.loads(cli("methods", "--json").out)
    aioli = next(row for row in rows if row["name"] == "aioli")
    assert "eta" in [parameter[0] for parameter in aioli["parameters"]]
    assert "2411.05735" in aioli["citation"]


def test_a_dry_run_tells_tokens_epochs_and_time_and_writes_nothing(project, cli):
    before = sorted(project.rglob("*"))
    ended = cli("compare", "mix.yaml", "--dry-run", "--set", "train.steps=30")
    assert ended.code == 0
    for word in ("steps: 30", "estimated", "fish", "quarter", "4 runs of 30 steps", "runs/mix"):
        assert word in ended.out
    content = json.loads(cli("compare", "mix.yaml", "--dry-run", "--json").out)
    assert content["epochs"]["quarter"]["birds"] == pytest.approx(
        3 * content["epochs"]["quarter"]["fish"], rel=0.35
    )
    assert content["seconds"]["step"] > 0
    assert "no method measures held-out losses" in ended.out
    assert sorted(project.rglob("*")) == before


def test_a_dry_run_counts_measuring_and_refuses_no_workers(project, cli):
    for verb in (("compare",), ("tokenize",)):
        ended = cli(*verb, "mix.yaml", "--dry-run", "--workers", "0")
        assert (ended.code, ended.out) == (2, "")
        assert "workers must be at least 1, got 0" in ended.err
    chosen = ("--set", "train.steps=120", "--set", "methods=[stratified, aioli]", "--set", "seeds=[0]")
    ended = cli("compare", "mix.yaml", "--dry-run", *chosen)
    assert "measuring held-out losses, a run: aioli" in ended.out
    assert "assumes 4 sequences of each target at a third" in ended.out
    seconds = json.loads(cli("compare", "mix.yaml", "--dry-run", *chosen, "--json").out)["seconds"]
    assert seconds["measuring"]["stratified"] == 0
    # the run itself: measurements x 2 targets x 4 sequences x 16 tokens
    ended = cli("train", "mix.yaml", "--method", "aioli", *chosen[:2], "--json", "--quiet")
    read = json.loads(ended.out)["methods"][0]["cost"]["evaluation_tokens"]
    per_token = seconds["step"] / 3 / (4 * 16)
    assert seconds["measuring"]["aioli"] == pytest.approx(read * per_token)


def test_tokenize_then_a_dry_run_with_measured_tokens(project, cli):
    ended = cli("tokenize", "mix.yaml", "--out", "o")
    assert ended.code == 0
    assert "fish" in ended.out
    assert "o/data" in ended.out
    index = json.loads((project / "o" / "data" / "index.json").read_text())
    assert "measured" in cli("compare", "mix.yaml", "--out", "o", "--dry-run").out
    assert "--set data.tokens=" in ended.out
    written = (project / "o" / "data" / "index.json").stat().st_mtime_ns
    misfit = "methods=[{unimax: {max_epochs: -1}}]"  # no method is needed
    again = cli("tokenize", "mix.yaml", "--out", "o", "--set", misfit)
    assert again.code == 0, again.err
    assert (project / "o" / "data" / "index.json").stat().st_mtime_ns == written
    resumed = cli("tokenize", "mix.yaml", "--out", "o", "--resume", "--json")
    assert json.loads(resumed.out)["fingerprint"] == index["fingerprint"]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(shell):
    with FULL.open("w") as full:
        process = shell("methods", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("aioli: ")
    assert "cannot write to standard output: No space left" in err
    assert "--resume" not in err
    assert "Traceback" not in err


def test_standard_output_closed_early(shell):
    with shell("methods", "--json") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_report_of_something_else(project, cli):
    ended = cli("report", "fish")
    assert ended.code == 2
    assert "no results in fish: expected a directory that `aioli compare`" in ended.err
    (project / "o").mkdir()
    (project / "o" / "plan.json").write_text('{"runs": [')
    ended = cli("report", "o")
    assert ended.code == 2
    assert "plan.json is damaged" in ended.err


def test_train_takes_a_method_with_its_parameters(project, cli):
    ended = cli("train", "mix.yaml", "--method", "temperature: {tau: 4}", "--dry-run", "--json")
    assert ended.code == 0, ended.err
    (method,) = json.loads(ended.out)["config"]["methods"]
    assert method == {"temperature": {"tau": 4}}
