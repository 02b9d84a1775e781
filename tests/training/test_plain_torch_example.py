"""The loop that users copy, on three small folders of text: every kind of method, killed and continued."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from aioli import Mixer
from aioli.journal import Journal

EXAMPLE = Path(__file__).parents[2] / "examples" / "plain_torch.py"


@pytest.fixture
def main(tmp_path: Path) -> Iterator[Callable[..., dict[str, float]]]:
    """The example's main, on one thread, with its folder of texts."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), rng.integers(2, 7))) for _ in range(200)]
    for k, name in enumerate(("law", "code", "maths")):
        (tmp_path / "text" / name).mkdir(parents=True)
        for number in range(40):
            chosen = rng.choice(words[k * 60 : k * 60 + 20 * (k + 1)], 100)
            (tmp_path / "text" / name / f"{number}.txt").write_text(" ".join(chosen))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda out, *method: runpy.run_path(str(EXAMPLE))["main"](
        tmp_path / "text", tmp_path / out, *method
    )
    torch.set_num_threads(threads)


def test_the_example_trains_and_moves_the_proportions(
    main: Callable[..., dict[str, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proportions = main("o")
    assert list(proportions) == ["code", "law", "maths"]
    assert sum(proportions.values()) == pytest.approx(1) and max(proportions.values()) > 1 / 3
    records = Journal.read(tmp_path / "o" / "mixing.jsonl").records
    assert records[-1].observation.step == 200
    assert "step  200  train" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["doge", "directional"])
def test_methods_that_peek_and_reweight_move_in_it_too(
    main: Callable[..., dict[str, float]], tmp_path: Path, method: str
) -> None:
    main("o", method)
    records = Journal.read(tmp_path / "o" / "mixing.jsonl").records
    assert any(request.steps == 0 for request, _ in records)
    weights = [request.loss_weights for request, _ in records if request.loss_weights is not None]
    moved = weights if method == "doge" else [request.proportions for request, _ in records]
    assert np.ptp(moved[-1]) > 0.01


def test_killed_and_started_again_it_ends_the_same(
    main: Callable[..., dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = main("whole")
    advance = Mixer.advance

    def die(self: Mixer, drawn: object) -> None:
        if self.step == 117:
            raise KeyboardInterrupt
        advance(self, drawn)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Mixer, "advance", die)
        main("cut")
    assert main("cut") == whole
    first, second = (torch.load(tmp_path / out / "checkpoint.pt")["model"] for out in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    journals = [(tmp_path / out / "mixing.jsonl").read_text() for out in ("whole", "cut")]
    assert journals[0] == journals[1]
    shutil.rmtree(tmp_path / "cut" / "tokens")  # a corpus that is gone is made again
    assert main("cut") == whole
