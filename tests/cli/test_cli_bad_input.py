"""Every kind of bad input ends in one message, exit code 2 and no traceback."""

import gzip
import json
import resource

import pytest

GROUP = "data.groups.fish"


def write(path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def jsonl(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


CASES = {
    "no such path": ({}, ["nowhere/*.txt"], "nowhere"),
    "no such file": ({}, ["nowhere.txt"], "no such file"),
    "an empty group": ({"empty/a.txt": b""}, ["empty"], "fish"),
    "no paths": ({}, [], "no paths"),
    "too little text": ({"small/a.txt": b"one two three"}, ["small"], "fish"),
    "a binary file": ({"bin/a.txt": bytes(range(256)) * 64}, ["bin"], "a.txt"),
    "truncated gzip": ({"z/a.txt.gz": gzip.compress(b"words " * 9999)[:-20]}, ["z"], "a.txt.gz"),
    "truncated zstd": ({"z/a.txt.zst": b"\x28\xb5\x2f\xfd\x04\x00"}, ["z"], "a.txt.zst"),
    "truncated parquet": ({"p/a.parquet": b"PAR1" + b"\0" * 40}, ["p"], "a.parquet"),
    "a truncated JSON line": ({"j/a.jsonl": b'{"text": "a"}\n{"text": "b'}, ["j"], "line 2"),
    "a missing text field": ({"j/a.jsonl": jsonl([{"body": "a"}])}, ["j"], "text"),
}


@pytest.mark.parametrize("case", CASES)
def test_data(project, cli, case):
    files, paths, said = CASES[case]
    for name, content in files.items():
        write(project / name, content)
    ended = cli("compare", "mix.yaml", "--set", f"{GROUP}.paths={json.dumps(paths)}")
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert ended.err.count("aioli: ") == 1


def test_invalid_utf8_is_skipped_up_to_a_share(project, cli):
    rows = (project / "birds.jsonl").read_bytes()
    write(project / "birds.jsonl", rows + b'{"text": "\xff\xfe broken"}\n')
    ended = cli("tokenize", "mix.yaml", "--set", "data.invalid_documents=0.001")
    assert ended.code == 2
    assert "birds" in ended.err
    ended = cli("tokenize", "mix.yaml", "--set", "data.invalid_documents=0.1", "--out", "o")
    assert ended.code == 0
    assert "birds" in ended.err


def test_a_context_that_no_split_can_fill(project, cli):
    ended = cli("compare", "mix.yaml", "--set", "model.context=4096")
    assert ended.code == 2
    assert "4097 tokens" in ended.err
    assert "model.context" in ended.err
    dry = cli("compare", "mix.yaml", "--set", "model.context=100000", "--dry-run", "--out", "o")
    assert dry.code == 2
    assert "100001 tokens" in dry.err and "fish: " in dry.err
    assert "by the sizes of the files" in dry.err


def test_train_needs_its_own_method_to_fit_only(project, cli):
    methods = ("--set", "methods=[{static: {proportions: [1, 1]}, label: bad}, stratified]", "--dry-run")
    assert "sum to 1" in cli("train", "mix.yaml", "--method", "bad", *methods).err
    ended = cli("train", "mix.yaml", "--method", "stratified", *methods)
    assert (ended.code, ended.err) == (0, "")


def test_a_dry_run_of_a_model_that_does_not_fit_in_memory(project, cli, monkeypatch):
    def full(*_: object) -> float:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("aioli.jobs.forecast.seconds_per_step", full)
    ended = cli("compare", "mix.yaml", "--dry-run")
    assert (ended.code, ended.out) == (2, "")
    assert "aioli: out of memory (DefaultCPUAllocator" in ended.err
    assert "model.width" in ended.err


def test_a_vocabulary_that_the_text_cannot_fill_is_reduced_with_a_message(project, cli):
    ended = cli("tokenize", "mix.yaml", "--set", "data.tokenizer.vocab_size=50000")
    assert ended.code == 0
    assert "50000" in ended.err


def test_config_mistakes(project, cli):
    for override, said in (
        ("train.stepz=3", "did you mean 'steps'?"),
        ("methods=[aiolo]", "did you mean 'aioli"),
        ("methods=[{aioli: {ets: 1}}]", "did you mean 'eta'?"),
        ("methods=[{static: {proportions: [1, 1]}}]", "sum to 1"),
    ):
        ended = cli("compare", "mix.yaml", "--set", override)
        assert ended.code == 2
        assert said in ended.err
    assert cli("compare", "none.yaml").code == 2
    assert "unknown method" in cli("train", "mix.yaml", "--method", "butter").err
    assert "unknown method 'butter'" in cli("train", "mix.yaml", "--method", "butter: {salt: 1}").err
    assert "no parameter 'salt'" in cli("train", "mix.yaml", "--method", "unimax: {salt: 1}").err
    assert cli("compare", "mix.yaml", "--workers", "0").code == 2
    assert cli("train", "mix.yaml", "--method", "quarter", "--seed", "-1").code == 2


def test_output_directories_that_cannot_be_used(project, cli):
    ended = cli("compare", "mix.yaml", "--out", "fish")
    assert ended.code == 2
    assert "is used" in ended.err
    assert "--resume" in ended.err
    assert not (project / "fish" / ".lock").exists()
    ended = cli("compare", "mix.yaml", "--out", "birds.jsonl")
    assert ended.code == 2
    assert "is a file" in ended.err


def test_a_full_disk_while_tokenising(project, shell):
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = shell("tokenize", "mix.yaml", "--out", "o", preexec_fn=small_files)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert "no room" in err or "disk is full" in err
    assert not (project / "o" / "data" / "index.json").exists()
    process = shell("tokenize", "mix.yaml", "--out", "o", "--resume")
    process.communicate(timeout=60)
    assert process.returncode == 0
