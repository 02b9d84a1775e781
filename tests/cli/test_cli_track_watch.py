"""`aioli track`, `--track`, and `aioli watch` as a user meets them."""

from __future__ import annotations

import importlib.util
import json
import signal
import urllib.request

FAKE = """
import json, os
class Settings:
    def __init__(self, **options): pass
class Run:
    summary = {}
    def log(self, values, step):
        with open(os.environ["TOLD"], "a") as file:
            file.write(json.dumps([step, values]) + chr(10))
    def finish(self, exit_code): pass
def init(**options): return Run()
"""
SHORT = ("--set", "methods=[stratified]", "--set", "seeds=[0]")


def test_a_comparison_is_followed_and_keeps_its_ids(project, cli, monkeypatch):
    (project / "packages").mkdir()
    (project / "packages" / "wandb.py").write_text(FAKE)
    monkeypatch.syspath_prepend(project / "packages")
    monkeypatch.setenv("PYTHONPATH", str(project / "packages"))
    monkeypatch.setenv("TOLD", str(project / "told.jsonl"))
    assert cli("compare", "mix.yaml", "--out", "plain", *SHORT).code == 0
    ended = cli("compare", "mix.yaml", "--out", "o", "--track", "wandb:mode=offline", *SHORT)
    assert ended.code == 0, ended.err
    told = [json.loads(line) for line in (project / "told.jsonl").read_text().splitlines()]
    assert [step for step, _ in told] == list(range(1, 21))
    assert {"mix/weight/fish", "mix/epochs/birds", "loss/train"} <= told[-1][1].keys()
    ids = [sorted(path.name for path in (project / name / "runs").iterdir()) for name in ("plain", "o")]
    assert ids[0] == ids[1]
    again = cli("compare", "mix.yaml", "--out", "o", "--resume", *SHORT)  # without a tracker
    assert again.code == 0, again.err
    once = cli("track", "o", "--to", "wandb:mode=offline")
    assert (once.code, once.out) == (0, "nothing new to pass on\n")
    later = cli("track", "plain", "--to", "wandb")
    assert (later.code, later.out) == (0, "20 steps passed on\n")


def test_mistakes(project, cli, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else real(name))
    for arguments, told in (
        (("compare", "mix.yaml", "--track", "mlflow"), "pip install 'aioli[mlflow]'"),
        (("compare", "mix.yaml", "--track", "mlfow"), "did you mean 'mlflow'"),
        (("compare", "mix.yaml", "--set", "trackers=[wandbb]"), "did you mean 'wandb'"),
        (("compare", "mix.yaml", "--set", "trackers=[{wandb: {mod: x}}]"), "did you mean 'mode'"),
        (("track", "nowhere", "--to", "tensorboard"), "nothing to follow at nowhere"),
        (("watch", "nowhere"), "nothing to watch"),
    ):
        ended = cli(*arguments)
        assert ended.code == 2 and told in ended.err, ended.err
    assert not (project / "runs").exists()


def test_watch_until_interrupted(project, cli, shell):
    assert cli("compare", "mix.yaml", "--out", "o", *SHORT).code == 0
    process = shell("watch", "o", "--port", "0", "--no-browser")
    line = process.stdout.readline()
    address = line.split()[1]
    assert line.startswith("o: http://127.0.0.1:")
    with urllib.request.urlopen(address, timeout=30) as answer:
        page = answer.read().decode()
    assert "1 of 1 runs have finished" in page and 'id="summary"' in page
    second = shell("watch", "o", "--port", address.rstrip("/").rpartition(":")[2], "--no-browser")
    _, err = second.communicate(timeout=30)
    assert second.returncode == 2 and "is in use" in err and "Traceback" not in err
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "stopped\n")
