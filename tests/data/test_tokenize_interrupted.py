"""Tokenising that is killed, fails or meets another process: nothing is lost, and it goes on."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.data.small_texts import all_texts, law, settings, write_jsonl

from aioli import locks
from aioli.data import jobs, sources
from aioli.data.settings import DataSettings, SplitSettings, TokenizerSettings
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize
from aioli.errors import InputError

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
