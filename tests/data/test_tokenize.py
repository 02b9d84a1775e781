"""From files to a corpus: what ends up where, and what happens when it goes wrong."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from aioli import locks
from aioli.data import jobs, sources
from aioli.data.planning import SAMPLE_LEAST
from aioli.data.settings import DataSettings, SplitSettings, TextSource, TokenizerSettings
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize
from aioli.data.tokenizer import load_tokenizer, train_tokenizer
from aioli.errors import InputError


def words(seed: int, count: int, alphabet: str = "abcdefgh") -> str:
    pick = random.Random(seed)
    return " ".join("".join(pick.choices(alphabet, k=pick.randint(2, 7))) for _ in range(count))


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def law(count: int = 60) -> list[str]:
    return [words(k, 40) for k in range(count)]


def code(count: int = 60) -> list[str]:
    return [words(1000 + k, 40, "stuvwxyz") for k in range(count)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "law.jsonl", law())
    (tmp_path / "code").mkdir()
    for k, text in enumerate(code()):
        (tmp_path / "code" / f"{k:02d}.py").write_text(text)
    return tmp_path


def settings(vocab_size: int = 400, **groups: str) -> DataSettings:
    groups = groups or {"law": "law.jsonl", "code": "code/*.py"}
    named = {name: TextSource((path,)) for name, path in groups.items()}
    return DataSettings(named, tokenizer=TokenizerSettings(vocab_size))


def texts(corpus: Corpus, name: str, split: str) -> list[str]:
    """The documents of a split, decoded."""
    tokenizer = load_tokenizer(corpus.directory / "tokenizer.json")
    end = corpus.index["tokenizer"]["end_of_text"]
    tokens = np.asarray(corpus.tokens(name, split))
    ends = np.flatnonzero(tokens == end)
    assert tokens.size == 0 or ends[-1] == tokens.size - 1
    return [tokenizer.decode(part[:-1].tolist()) for part in np.split(tokens, ends + 1)[:-1]]


def all_texts(corpus: Corpus, name: str) -> list[str]:
    return [text for split in corpus.index["splits"][name] for text in texts(corpus, name, split)]


def test_every_document_comes_back_once(base: Path) -> None:
    corpus = tokenize(settings(), base, base / "out")
    corpus.verify()
    assert corpus.groups == corpus.targets == ("law", "code")
    for name, expected in (("law", law()), ("code", code())):
        assert sorted(all_texts(corpus, name)) == sorted(expected)
        for split in ("train", "validation", "test"):
            info, held = corpus.split(name, split), texts(corpus, name, split)
            assert info.documents == len(held) > 0
            assert info.bytes == sum(len(text.encode()) for text in held)
    assert corpus.vocab_size == 400
    assert not (base / "out" / ".partial").exists()


def test_the_result_depends_on_content_alone(base: Path, tmp_path_factory, monkeypatch) -> None:
    first = tokenize(settings(), base, base / "out")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_jsonl(elsewhere / "law.jsonl", law())
    (elsewhere / "code").mkdir()
    for k, text in enumerate(code()):
        (elsewhere / "code" / f"{k:02d}.py").write_text(text)
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)
    again = tokenize(settings(), elsewhere, elsewhere / "out", workers=2)
    assert again.fingerprint == first.fingerprint
    assert again.index["splits"] == first.index["splits"]
    assert (elsewhere / "out/tokenizer.json").read_bytes() == (base / "out/tokenizer.json").read_bytes()


def test_other_content_settings_or_vocabulary_have_other_fingerprints(base: Path) -> None:
    marks = {tokenize(settings(), base, base / "a").fingerprint}
    marks.add(tokenize(settings(350), base, base / "b").fingerprint)
    marks.add(tokenize(settings(law="law.jsonl"), base, base / "c").fingerprint)
    write_jsonl(base / "law.jsonl", law(61))
    marks.add(tokenize(settings(), base, base / "d").fingerprint)
    assert len(marks) == 4


def test_unchanged_inputs_are_not_read_again(base: Path, monkeypatch) -> None:
    first = tokenize(settings(), base, base / "out")
    stages: list[str] = []
    again = tokenize(settings(), base, base / "out", progress=lambda stage, fraction: stages.append(stage))
    assert stages == [] and again.fingerprint == first.fingerprint
    write_jsonl(base / "law.jsonl", law(50))
    changed = tokenize(settings(), base, base / "out", progress=lambda stage, fraction: stages.append(stage))
    assert {"reading", "training the tokenizer", "tokenising", "writing"} == set(stages)
    assert sorted(all_texts(changed, "law")) == sorted(law(50))


def test_a_damaged_result_is_made_again(base: Path) -> None:
    first = tokenize(settings(), base, base / "out")
    path = base / "out" / "law" / "train.bin"
    path.write_bytes(path.read_bytes()[:-2])
    again = tokenize(settings(), base, base / "out")
    again.verify()
    assert again.fingerprint == first.fingerprint


# --- tokenizer -----------------------------------------------------------------------------------


def test_the_tokenizer_sees_training_documents_only(base: Path) -> None:
    corpus = tokenize(settings(), base, base / "out")
    training = [text for name in ("law", "code") for text in texts(corpus, name, "train")]
    expected = train_tokenizer(training, 400)
    assert json.loads((base / "out/tokenizer.json").read_text()) == json.loads(expected.to_str())
    assert corpus.index["tokenizer"]["trained_on_bytes"]["law"] == corpus.split("law", "train").bytes


def test_equal_bytes_from_each_group(base: Path) -> None:
    for name, size in (("small", 700), ("large", 2000)):
        write_jsonl(base / f"{name}.jsonl", [words(k, 100, "klmnop") for k in range(size)])
    corpus = tokenize(settings(small="small.jsonl", large="large.jsonl"), base, base / "out")
    given = corpus.index["tokenizer"]["trained_on_bytes"]
    assert given["small"] == given["large"] == corpus.split("small", "train").bytes > SAMPLE_LEAST


def test_the_vocabulary_is_reduced_with_a_message(base: Path) -> None:
    corpus = tokenize(settings(60000), base, base / "out")
    assert 257 < corpus.vocab_size < 60000
    assert f"it has {corpus.vocab_size}" in corpus.index["messages"][0]


def test_a_loaded_tokenizer_with_a_large_vocabulary_is_stored_as_uint32(base: Path) -> None:
    tokenizer = train_tokenizer(law(), 400)
    tokenizer.add_tokens([f"filler{k}" for k in range(65600)])
    tokenizer.save(str(base / "big.json"))
    chosen = DataSettings({"law": TextSource(("law.jsonl",))}, tokenizer=TokenizerSettings(path="big.json"))
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.vocab_size == 66000
    assert corpus.tokens("law", "train").dtype == np.uint32
    assert sorted(all_texts(corpus, "law")) == sorted(law())


# --- documents -----------------------------------------------------------------------------------


def test_one_long_file_is_cut_into_blocks(base: Path) -> None:
    text = "\n".join(words(k, 12) for k in range(900))
    (base / "book.txt").write_text(text)
    corpus = tokenize(settings(book="book.txt"), base, base / "out")
    blocks = {split: texts(corpus, "book", split) for split in ("train", "validation", "test")}
    assert all(len(held) >= 1 for held in blocks.values())
    assert sum(len("".join(held)) for held in blocks.values()) == len(text)
    assert all(block in text for held in blocks.values() for block in held)
    assert "only 1 document, so it was cut into blocks" in " ".join(corpus.index["messages"])


def test_copies_are_counted_and_never_cross_splits(base: Path) -> None:
    write_jsonl(base / "law.jsonl", [*law(), *law(), *code(10)])
    corpus = tokenize(settings(), base, base / "out")
    held = {split: set(texts(corpus, "law", split)) for split in ("train", "validation", "test")}
    other = {split: set(texts(corpus, "code", split)) for split in ("train", "validation", "test")}
    for split in held:
        for apart in set(held) - {split}:
            assert not held[split] & (held[apart] | other[apart])
    counts = corpus.index["sources"]["law"]
    assert counts["duplicates_kept_in_training"] + counts["duplicates_dropped"] == 60
    assert counts["duplicates_dropped"] > 0
    assert len(texts(corpus, "law", "validation")) == len(held["validation"])


def test_a_shared_document_of_a_cut_group_stays_whole(base: Path) -> None:
    long = [words(5000 + k, 2000) for k in range(2)]
    write_jsonl(base / "few.jsonl", long)
    write_jsonl(base / "many.jsonl", [*law(), long[0]])
    corpus = tokenize(settings(few="few.jsonl", many="many.jsonl"), base, base / "out")
    splits = [
        split
        for name in ("few", "many")
        for split in ("train", "validation", "test")
        if long[0] in texts(corpus, name, split)
    ]
    assert len(splits) == 2 and len(set(splits)) == 1


def test_targets_have_no_training_split_and_their_documents_are_left_out(base: Path) -> None:
    write_jsonl(base / "news.jsonl", [*(words(9000 + k, 40) for k in range(20)), *law(5)])
    chosen = DataSettings(
        settings().groups, {"news": TextSource(("news.jsonl",))}, tokenizer=TokenizerSettings(400)
    )
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.targets == ("news",) and corpus.groups == ("law", "code")
    assert set(corpus.index["splits"]["news"]) == {"validation", "test"}
    assert len(all_texts(corpus, "news")) == 25
    assert min(len(texts(corpus, "news", split)) for split in ("validation", "test")) >= 5
    assert not set(all_texts(corpus, "news")) & set(all_texts(corpus, "law"))
    assert corpus.index["sources"]["law"]["in_targets"] == 5
    with pytest.raises(InputError, match="no split 'train'"):
        corpus.tokens("news", "train")


def test_a_cut_target_still_takes_its_document_out_of_the_groups(base: Path) -> None:
    book = "\n".join(words(k, 12) for k in range(900))
    write_jsonl(base / "law.jsonl", [*law(), book])
    (base / "book.txt").write_text(book)
    chosen = DataSettings({"law": TextSource(("law.jsonl",))}, {"book": TextSource(("book.txt",))})
    corpus = tokenize(chosen, base, base / "out")
    assert sorted(all_texts(corpus, "law")) == sorted(law())
    assert all(corpus.split("book", split).documents > 10 for split in ("validation", "test"))


def test_a_few_invalid_documents_are_skipped_and_counted(base: Path) -> None:
    lines = (base / "law.jsonl").read_bytes().splitlines(keepends=True)
    lines[7:7] = [b'{"text": "caf\xe9"}\n', b'{"text": "  "}\n', b"\n"]
    (base / "law.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"1 of 61 documents.*law\.jsonl, line 8.*invalid_documents"):
        tokenize(settings(), base, base / "out")
    allowed = DataSettings(settings().groups, tokenizer=TokenizerSettings(400), invalid_documents=0.05)
    corpus = tokenize(allowed, base, base / "out")
    assert sorted(all_texts(corpus, "law")) == sorted(law())
    counts = corpus.index["sources"]["law"]
    assert (counts["documents"], counts["invalid"], counts["empty"]) == (60, 1, 1)
    assert any("law.jsonl, line 8" in message for message in corpus.index["messages"])


def test_an_empty_group(base: Path) -> None:
    (base / "nothing.txt").write_text(" \n")
    with pytest.raises(InputError, match="nothing has no documents: 1 file read, 1 empty"):
        tokenize(settings(law="law.jsonl", nothing="nothing.txt"), base, base / "out")
    assert not (base / "out" / "index.json").exists()


# --- token files ---------------------------------------------------------------------------------


def test_token_files_alone_need_no_tokenizer(base: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        np.random.default_rng(seed).integers(0, 500, 30000).astype("<u2").tofile(base / f"{name}.bin")
    chosen = DataSettings({name: TextSource((f"{name}.bin",), kind="nanogpt") for name in "ab"})
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.index["tokenizer"] is None and not (base / "out/tokenizer.json").exists()
    assert corpus.vocab_size == 500
    tokens = {split: corpus.tokens("a", split) for split in ("train", "validation", "test")}
    assert sum(part.size for part in tokens.values()) == 30000
    assert min(part.size for part in tokens.values()) >= 256
    assert corpus.split("a", "train").bytes == 0
    assert np.isin(np.asarray(tokens["test"][:256]), np.fromfile(base / "a.bin", "<u2")).all()


def test_text_beside_token_files_needs_the_tokenizer_by_name(base: Path) -> None:
    np.arange(20000, dtype="<u2")[np.arange(20000) % 300].tofile(base / "a.bin")
    groups = {"law": TextSource(("law.jsonl",)), "a": TextSource(("a.bin",), kind="nanogpt")}
    with pytest.raises(InputError, match="a hold token ids and law hold text"):
        tokenize(DataSettings(groups), base, base / "out")
    train_tokenizer(law(), 400).save(str(base / "tok.json"))
    corpus = tokenize(DataSettings(groups, tokenizer=TokenizerSettings(path="tok.json")), base, base / "out")
    assert any("a: its token ids are taken to be of" in message for message in corpus.index["messages"])
    assert corpus.vocab_size == 400
    np.full(20000, 400, "<u2").tofile(base / "a.bin")
    with pytest.raises(InputError, match="token id 400 occurs"):
        tokenize(DataSettings(groups, tokenizer=TokenizerSettings(path="tok.json")), base, base / "out2")


# --- interruptions -------------------------------------------------------------------------------

SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from aioli.data import sources
from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.tokenize import tokenize
from aioli.errors import InputError

sources.UNIT_BYTES = 3000
base, mode, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls = 0

def progress(stage, fraction):
    global calls
    calls += stage == mode
    if calls == number > 0:
        os.kill(os.getpid(), signal.SIGKILL)

if mode == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
groups = {"law": TextSource(("law.jsonl",)), "code": TextSource(("code/*.py",))}
try:
    tokenize(DataSettings(groups, tokenizer=TokenizerSettings(400)), base, base / "out", workers=1,
             progress=progress)
except InputError as error:
    print(error)
    sys.exit(2)
"""


def run_script(base: Path, mode: str, number: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(base), mode, str(number)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_killed_run_goes_on_where_it_stopped(base: Path, monkeypatch) -> None:
    whole = tokenize(settings(), base, base / "whole")
    for stage, number in (
        ("reading", 40),
        ("reading", 40),
        ("training the tokenizer", 5),
        ("tokenising", 80),
    ):
        assert run_script(base, stage, number).returncode == -signal.SIGKILL
        with pytest.raises(InputError, match="let an interrupted one finish"):
            Corpus.open(base / "out")
    work = base / "out" / ".partial"
    done = len(list((work / "scans").iterdir())), len(list((work / "parts").glob("*.json")))
    assert min(done) >= 2
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)
    ran: list[type] = []
    for kind in (jobs.Scan, jobs.Encode):
        monkeypatch.setattr(kind, "run", counting(kind, ran))
    resumed = tokenize(settings(), base, base / "out", workers=1)
    units = sum(
        len(sources.open_source(n, s, base, target=False).units) for n, s in settings().groups.items()
    )
    assert (ran.count(jobs.Scan), ran.count(jobs.Encode)) == (units - done[0], units - done[1])
    assert ran.count(jobs.Encode) > 0
    resumed.verify()
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.index["splits"] == whole.index["splits"]


def counting(kind: type, ran: list[type]):
    original = kind.run

    def run(task, report) -> None:
        ran.append(kind)
        original(task, report)

    return run


def test_a_run_killed_while_it_puts_the_result_in_place(base: Path, monkeypatch) -> None:
    original, moved = Path.replace, []

    def failing(path: Path, target: Path) -> Path:
        if "final" in path.parts and not path.name.startswith("."):
            moved.append(path)
            if len(moved) == 3:
                raise KeyboardInterrupt
        return original(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        tokenize(settings(), base, base / "out")
    assert not (base / "out/index.json").exists()
    resumed = tokenize(settings(), base, base / "out")
    resumed.verify()
    assert sorted(all_texts(resumed, "law")) == sorted(law())


def test_what_other_inputs_left_unfinished_is_thrown_away(base: Path) -> None:
    assert run_script(base, "reading", 40).returncode == -signal.SIGKILL
    write_jsonl(base / "law.jsonl", law(50))
    corpus = tokenize(settings(), base, base / "out")
    assert sorted(all_texts(corpus, "law")) == sorted(law(50))


@pytest.mark.parametrize("limit", [100, 600, 3000, 6000])
def test_a_full_disk_leaves_a_message_and_what_was_there(base: Path, limit: int) -> None:
    before = tokenize(settings(300), base, base / "out")
    result = run_script(base, "limit", limit)
    assert result.returncode == 2, result.stderr
    assert "no room left" in result.stdout and "run again" in result.stdout
    assert Corpus.open(base / "out").fingerprint == before.fingerprint
    assert run_script(base, "plain", 0).returncode == 0
    assert Corpus.open(base / "out").vocab_size == 400


def test_a_full_disk_leaves_no_index(base: Path) -> None:
    assert run_script(base, "limit", 2000).returncode == 2
    assert not (base / "out/index.json").exists()
    assert not list((base / "out").rglob("*.tmp"))


def test_a_killed_worker_is_reported(base: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)
    monkeypatch.setattr("aioli.data.tokenize.Scan", KilledScan)
    with pytest.raises(InputError, match=r"worker was killed.*fewer workers"):
        tokenize(settings(), base, base / "out", workers=2)


class KilledScan(jobs.Scan):
    def run(self, report) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_errors_of_workers_arrive_as_they_are(base: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)
    (base / "code/30.py").write_bytes(b"\0binary")
    with pytest.raises(InputError, match=r"30\.py is a binary file"):
        tokenize(settings(), base, base / "out", workers=2)


def test_a_second_process_in_the_same_directory(base: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    with locks.DirectoryLock(base / "out"), pytest.raises(InputError, match=r"another process .* is working"):
        tokenize(settings(), base, base / "out")
    tokenize(settings(), base, base / "out")


def test_what_a_kill_while_writing_left_is_not_published(base: Path) -> None:
    assert run_script(base, "tokenising", 80).returncode == -signal.SIGKILL
    (base / "out/.partial/final/.tokenizer.json.abc.tmp").write_text("{")
    tokenize(settings(), base, base / "out")
    assert not list((base / "out").rglob("*.tmp"))


# --- wrong directories and numbers ---------------------------------------------------------------


def test_outputs_among_the_inputs_are_refused(base: Path) -> None:
    with pytest.raises(InputError, match="contains input files"):
        tokenize(settings(), base, base)


def test_a_directory_that_cannot_be_written(base: Path) -> None:
    (base / "file").write_text("not a directory")
    with pytest.raises(InputError, match="cannot write to"):
        tokenize(settings(), base, base / "file" / "out")


def test_no_workers(base: Path) -> None:
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        tokenize(settings(), base, base / "out", workers=0)


def test_split_shares_are_kept_in_the_index(base: Path) -> None:
    chosen = DataSettings(settings().groups, split=SplitSettings(0.3, 0.2), tokenizer=TokenizerSettings(300))
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.index["split"] == {"validation": 0.3, "test": 0.2}
    assert corpus.split("law", "validation").documents > 8
