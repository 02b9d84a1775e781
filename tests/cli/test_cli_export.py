"""`aioli export`: from files and runs to trainers, and back."""

from __future__ import annotations

import json

import pytest
import yaml


def test_the_list_names_units_and_needs(cli):
    listed = json.loads(cli("export", "--list", "--json").out)
    by_name = {entry["name"]: entry for entry in listed}
    assert by_name["axolotl"]["unit"] == "share of each source"
    assert by_name["hf-interleave"]["needs"] == ["lengths"]
    assert [name for name, entry in by_name.items() if entry["stages"]] == [
        "levanter",
        "mosaicml",
        "json",
        "yaml",
    ]
    assert "megatron-json" in cli("export", "--list").out


def test_a_solution_goes_out_and_comes_back(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solution.json").write_text('{"proportions": {"a": 0.25, "b": 0.75, "c": 0}, "losses": {}}')
    (tmp_path / "paths.yaml").write_text("a: /d/a\nb: {/d/b1: 1e9, /d/b2: 2e9}\n")
    told = cli(
        "export", "solution.json", "--format", "megatron", "--paths", "paths.yaml", "--out", "blend.txt"
    )
    assert told.code == 0 and told.out == "written: blend.txt\n"
    assert (tmp_path / "blend.txt").read_text() == "--data-path 0.25 /d/a 0.25 /d/b1 0.5 /d/b2\n"
    back = ("export", "--from", "blend.txt", "--format", "megatron", "--paths", "paths.yaml")
    assert json.loads(cli(*back).out) == {"a": 0.25, "b": 0.75}
    assert cli(*back, "--out", "mix.yaml").code == 0
    assert yaml.safe_load((tmp_path / "mix.yaml").read_text()) == {"a": 0.25, "b": 0.75}


def test_lengths_as_a_number_a_file_and_sizes_for_axolotl(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mix.json").write_text('{"a": 0.5, "b": 0.5}')
    (tmp_path / "lengths.yaml").write_text("a: 100\nb: 300\n")
    same = yaml.safe_load(cli("export", "mix.json", "--format", "llama-factory", "--lengths", "7").out)
    assert same["interleave_probs"] == "0.5,0.5"
    by_group = ("--format", "llama-factory", "--lengths", "lengths.yaml")
    assert "0.75,0.25" in cli("export", "mix.json", *by_group).out
    (tmp_path / "paths.yaml").write_text("a: /a\nb: /b\n")
    (tmp_path / "tokens.yaml").write_text("a: 10\nb: 100\n")
    told = cli(
        *("export", "mix.json", "--format", "axolotl", "--paths", "paths.yaml", "--tokens", "tokens.yaml"),
        *("--budget", "80"),
    )
    assert yaml.safe_load(told.out)["datasets"][1]["weight"] == 0.4
    assert told.err.startswith("note: Axolotl reads a dataset at most once")


def test_a_run_its_schedule_and_the_paths_of_its_config(cli, project):
    assert cli("train", "mix.yaml", "--method", "odm", "--out", "run", "--quiet").code == 0
    mean = json.loads(cli("mixture", "run", "--json").out)["mean"]
    told = cli("export", "run", "--format", "olmo-core", "--config", "mix.yaml")
    sources = {source["source_name"]: source for source in yaml.safe_load(told.out)["sources"]}
    assert sources["fish"]["target_ratio"] == pytest.approx(mean["fish"], abs=1e-6)
    assert sources["fish"]["paths"] == [str(project / "fish/*.txt")]
    staged = ("export", "run", "--schedule", "--stages", "3")
    told = cli(*staged, "--format", "levanter", "--steps", "2000", "--batch", "2048")
    weights = yaml.safe_load(told.out)["data"]["train_weights"]
    assert 1 < len(weights) <= 3 and weights[0][0] == 0 and weights[-1][0] < 2000
    assert f"note: {len(weights)} stages; on average" in told.err
    told = cli(*staged, "--format", "megatron", "--config", "mix.yaml")
    assert told.out.startswith("--data-path ") and "megatron has no stages" in told.err
    corpus = ("--tokens", "run/data", "--lengths", "run/data")
    told = cli("export", "run", "--take", "mean", "--format", "hf-interleave", *corpus)
    assert told.code == 0 and "'birds': 0." in told.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--format NAME"),
        (("--format", "megatron"), "expected a mixture to export, or --from"),
        (("mix.json", "--format", "nemoo"), "did you mean 'nemo'"),
        (("nothing.json", "--format", "json"), "no such file: nothing.json"),
        (("mix.json", "--format", "json", "--take", "mean"), "--take is for runs"),
        (("mix.json", "--format", "json", "--schedule"), "--schedule is for runs"),
        (("mix.json", "--format", "json", "--batch", "8"), "go with --schedule"),
        (("mix.json", "--format", "megatron"), "--paths FILE.yaml or --config CONFIG"),
        (("mix.json", "--format", "megatron", "--paths", "mix.json"), "expected a path, a list of paths"),
        (("mix.json", "--format", "hf-interleave", "--lengths", "-1"), "--lengths must be positive"),
        (("bad.json", "--format", "json"), "bad.json: the mixture, line 1: not valid JSON"),
        (("--from", "mix.json", "--format", "olmo-core"), "mix.json: the source mixture: expected sources"),
    ],
)
def test_mistakes(cli, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mix.json").write_text('{"a": 0.5, "b": 0.5}')
    (tmp_path / "bad.json").write_text('{"a": 0.5, "b"}')
    ended = cli("export", *arguments)
    assert ended.code == 2 and told in ended.err
