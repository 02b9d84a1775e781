"""The process that follows: with a tracker's package that works, fails, or takes its process down."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from aioli.trackers import process
from aioli.trackers.process import Following
from aioli.trackers.tracker import TrackerChoice

from .conftest import FakeRun

PACKAGE = """
import json, os, time
print("a tracker that talks")
class Settings:
    def __init__(self, **options): pass
class Run:
    summary = {}
    def __init__(self, id): self.id = id
    def log(self, values, step):
        {log}
        with open(os.environ["TOLD"], "a") as file:
            file.write(json.dumps([self.id, step, values]) + chr(10))
    def finish(self, exit_code): pass
def init(id, **options): return Run(id)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a package named wandb where the other process finds it; returns the file it writes."""

    def put(log: str = "pass") -> Path:
        packages = tmp_path / "packages"
        packages.mkdir()
        (packages / "wandb.py").write_text(PACKAGE.replace("{log}", log))
        monkeypatch.syspath_prepend(packages)
        monkeypatch.setenv("PYTHONPATH", str(packages))
        monkeypatch.setenv("TOLD", str(tmp_path / "told.jsonl"))
        return tmp_path / "told.jsonl"

    return put


def following(run: FakeRun, said: list[str]) -> Following:
    return Following(run.directory, [TrackerChoice("wandb")], said.append)


def test_it_follows_and_finishes(run: FakeRun, install):
    told, said = install(), []
    with following(run, said):
        run.train(12)
        end = time.monotonic() + 30
        while not told.exists():  # live: before the run is over
            assert time.monotonic() < end
            time.sleep(0.05)
        run.train(40)
        run.finish()
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [step for _, step, _ in lines] == sorted({*range(2, 41, 2), *range(5, 41, 5)})
    assert len({name for name, _, _ in lines}) == 1
    assert said == []
    assert "a tracker that talks" in (run.directory / "trackers" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("raise OSError(28, 'No space left on device')", "has stopped (OSError: [Errno 28]"),
        ("raise SystemExit(3)", "has stopped (SystemExit: 3)"),
        ("os._exit(7)", "its process ended with code 7"),
        ("os.kill(os.getpid(), 11)", "its process ended with code -11"),
        ("time.sleep(60)", "the rest was not written within 2 seconds"),
    ],
)
def test_whatever_the_package_does_is_one_warning(run: FakeRun, install, log, told, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 2.0 if "sleep" in log else 30.0)
    install(log)
    said: list[str] = []
    with following(run, said):
        run.train(40)
        run.finish()
        time.sleep(1.0 if "sleep" in log else 0.0)
    assert len(said) == 1 and told in said[0]


def test_without_trackers_there_is_no_process(tmp_path):
    with Following(tmp_path / "no" / "such", []) as nothing:
        assert nothing._process is None
    assert list(tmp_path.iterdir()) == []
