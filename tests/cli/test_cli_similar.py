"""`aioli similar`, and `compare` with it: what is printed, and what stops before any training."""

import json
import random

import pytest

import aioli
from aioli.errors import InputError

WORDS = "cod eel ray bass tuna carp pike otter swims deep in the cold sea under ice"
METHODS = "methods: [stratified, similar, {aioli: {prior: similar, round_steps: 9, sweeps: 1}, label: ours}]"
TARGET = """  targets:
    otters: {paths: ["otters.jsonl"]}
  tokenizer"""


@pytest.fixture
def otters(project):
    """The project with a target whose words are nearly those of the group `fish`."""
    pick = random.Random(3)
    texts = [" ".join(pick.choices(WORDS.split(), k=60)) for _ in range(40)]
    (project / "otters.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    config = (project / "mix.yaml").read_text().replace("  tokenizer", TARGET, 1)
    lines = [METHODS if line.startswith("methods") else line for line in config.splitlines()]
    (project / "mix.yaml").write_text("\n".join(lines) + "\n")
    return project


def leak(project) -> None:
    """Put half of the target's documents into the group `birds`, inside longer documents."""
    lines = (project / "otters.jsonl").read_text().splitlines()[::2]
    texts = [json.dumps({"text": "a preface " + json.loads(line)["text"] + " and notes"}) for line in lines]
    with (project / "birds.jsonl").open("a") as file:
        file.write("".join(text + "\n" for text in texts))


def test_the_table_and_the_json(otters, cli):
    shown = cli("similar", "mix.yaml")
    assert shown.code == 0, shown.err
    rows = [line.split() for line in shown.out.splitlines() if line.startswith(("fish", "birds"))]
    assert [row[0] for row in rows] == ["fish", "birds"], "the nearest group comes first"
    told = cli("similar", "mix.yaml", "--json", "-q")
    content = json.loads(told.out)
    assert content["groups"] == ["fish", "birds"] and content["targets"] == ["otters"]
    prior = content["priors"][0]
    assert len(content["priors"]) == 1, "both methods that name it mean the same"
    assert rows[0][1] == f"{prior['mixture'][0]:.1%}" and rows[0][2] == f"{prior['divergences'][0][0]:.3f}"
    assert prior["mixture"][0] > 0.9 and sum(prior["mixture"]) == pytest.approx(1)
    assert prior["divergences"][0][0] < prior["divergences"][0][1]
    assert f"{prior['tau'][0]:g} makes unseen validation text likeliest" in prior["reasons"][0]
    assert prior["refused"] == [] and prior["overlap"][0][1] < 0.05
    assert sorted(path.name for path in (otters / "runs" / "mix").iterdir()) == [".lock", "data"]


def test_a_narrow_terminal(otters, cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shown = cli("similar", "mix.yaml", "-q")
    assert shown.code == 0 and max(map(len, shown.out.splitlines())) <= 40


def test_python_gives_the_same_and_every_setting_of_the_config(otters, cli):
    nested = "{aioli: {prior: {similar: {direction: symmetric}}}}"
    methods = f"methods=[similar, {{similar: {{tau: 0.5}}}}, {nested}]"
    content = aioli.similar("mix.yaml", overrides=[methods])
    found = [prior["settings"]["direction"] for prior in content["priors"]]
    assert found == ["target_group", "target_group", "symmetric"]
    assert content["priors"][1]["tau"] == [0.5] and content["priors"][1]["reasons"][0].startswith("as given")
    plain = json.loads(cli("similar", "mix.yaml", "--json", "--set", "methods=[stratified]").out)
    assert len(plain["priors"]) == 1, "its defaults where no method names it"
    assert plain["priors"][0]["mixture"] == content["priors"][0]["mixture"]


def test_compare_starts_from_it_and_runs_again_unchanged(otters, cli):
    ended = cli("compare", "mix.yaml", "--workers", "1", "--set", "seeds=[0]")
    assert ended.code == 0, ended.err
    mixture = aioli.similar("mix.yaml")["priors"][0]["mixture"]
    results = {
        result["label"]: result
        for path in (otters / "runs" / "mix" / "runs").glob("*/result.json")
        for result in [json.loads(path.read_text())]
    }
    assert results["similar"]["proportions"]["values"][0] == pytest.approx(mixture, abs=1e-4)
    assert list(results["ours"]["resolved"]["prior"].values()) == pytest.approx(mixture)
    assert results["stratified"]["resolved"] == {}
    again = cli("compare", "mix.yaml", "--resume", "--set", "seeds=[0]")
    assert again.code == 0 and again.err.count("finished before") == 3


def test_shared_text_stops_a_comparison_before_it_trains(otters, cli):
    leak(otters)
    shown = cli("similar", "mix.yaml", "-q")
    assert shown.code == 0 and "birds shares more than 5% of the held-out text of otters" in shown.out
    ended = cli("compare", "mix.yaml")
    assert ended.code == 2 and "group 'birds' holds" in ended.err and "'otters'" in ended.err
    assert not (otters / "runs" / "mix" / "runs").exists()
    assert cli("compare", "mix.yaml", "--resume", "--set", "methods=[stratified]", "-q").code == 0
    limited = "methods=[{similar: {max_overlap: 0.2}}]"
    with pytest.raises(InputError, match=r"max_overlap 20\.0%"):
        aioli.train("mix.yaml", method="similar", out="one", overrides=[limited])
    allowed = "methods=[{similar: {allow_contamination: true}}]"
    assert aioli.train("mix.yaml", out="two", overrides=[allowed, "train.steps=4", "train.warmup=1"])


def test_a_dry_run_needs_no_texts(otters, cli):
    ended = cli("compare", "mix.yaml", "--dry-run", "--json")
    assert ended.code == 0, ended.err
    assert list(json.loads(ended.out)["epochs"]) == ["stratified"], "similar's first mixture is not known yet"


def test_wrong_settings_of_a_prior_are_found_at_once(otters, cli):
    ended = cli("compare", "mix.yaml", "--set", "methods=[{aioli: {prior: {similar: {bucket: 5}}}}]")
    assert ended.code == 2 and "did you mean 'buckets'" in ended.err
    assert not (otters / "runs").exists()
