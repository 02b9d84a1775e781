"""A tiny project to run the command line on: two groups of made-up text and a config."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aioli.cli import main

CONFIG = """
title: tiny
data:
  groups:
    fish: {paths: ["fish/*.txt"]}
    birds: {paths: ["birds.jsonl"]}
  tokenizer: {vocab_size: 300}
  split: {validation: 0.1, test: 0.1}
model: {layers: 1, width: 16, heads: 2, context: 16}
train: {steps: 20, batch: 4, warmup: 2, device: cpu}
evaluation: {sequences: 4, test_sequences: 8}
methods: [stratified, {static: {proportions: [0.25, 0.75]}, label: quarter}]
seeds: [0, 1]
"""
WORDS = {
    "fish": "cod eel ray bass tuna carp pike shark swims deep in the cold sea under ice",
    "birds": "owl tit jay crow swan lark heron sings high over the warm wood at dawn",
}


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with data and mix.yaml, which becomes the current one."""
    random_words = random.Random(7)
    texts = {
        name: [" ".join(random_words.choices(words.split(), k=60)) for _ in range(60)]
        for name, words in WORDS.items()
    }
    (tmp_path / "fish").mkdir()
    for i, text in enumerate(texts["fish"]):
        (tmp_path / "fish" / f"{i}.txt").write_text(text)
    lines = [f'{{"text": "{text}"}}\n' for text in texts["birds"]]
    (tmp_path / "birds.jsonl").write_text("".join(lines))
    (tmp_path / "mix.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command line in this process."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["aioli", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def shell(project: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command line in a process of its own, as a terminal does.

    A shell that puts its tests in the background has interrupts ignored, and processes inherit that.
    """

    def start(
        *arguments: str, preexec_fn: Callable[[], object] = lambda: None, **options: object
    ) -> subprocess.Popen[str]:
        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            preexec_fn()

        command = [sys.executable, "-c", "from aioli.cli import main; main()", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        environment = os.environ | {"COLUMNS": "100"}
        return subprocess.Popen(command, cwd=project, text=True, env=environment, preexec_fn=prepare, **pipes)

    return start
