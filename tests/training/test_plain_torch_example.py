"""The loop that users copy, on three small folders of text."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from aioli.journal import Journal

EXAMPLE = Path(__file__).parents[2] / "examples" / "plain_torch.py"


def test_the_example_trains_and_moves_the_proportions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), rng.integers(2, 7))) for _ in range(200)]
    for k, name in enumerate(("law", "code", "maths")):
        (tmp_path / "text" / name).mkdir(parents=True)
        for number in range(40):
            chosen = rng.choice(words[k * 60 : k * 60 + 20 * (k + 1)], 100)
            (tmp_path / "text" / name / f"{number}.txt").write_text(" ".join(chosen))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    proportions = runpy.run_path(str(EXAMPLE))["main"](tmp_path / "text", tmp_path)
    torch.set_num_threads(threads)
    assert list(proportions) == ["code", "law", "maths"]
    assert sum(proportions.values()) == pytest.approx(1) and max(proportions.values()) > 1 / 3
    records = Journal.read(tmp_path / "mixing.jsonl").records
    assert records[-1].observation.step == 200
    assert "step  200  train" in capsys.readouterr().out
