"""What is shown while runs go on: bars on a terminal, lines elsewhere, nothing but trouble when quiet."""

import io

import pytest
from rich.console import Console

from aioli.cli import display
from aioli.cli.display import PlainDisplay
from aioli.cli.live import LiveDisplay
from aioli.cli.output import warnings_of
from aioli.sweep.memory import in_log
from aioli.sweep.runner import Event
from aioli.sweep.spec import RunSpec

SPECS = [RunSpec("stratified", "f", seed=0, label="even[s]"), RunSpec("aioli", "f", seed=0, label="aioli")]
STATE = {"step": 30, "steps": 1000, "loss": 2.5, "proportions": [0.25, 0.75], "eta": 65.0, "phase": "train"}
STORY = [
    Event("started", SPECS[0]),
    Event("started", SPECS[1]),
    Event("progress", SPECS[0], progress=STATE),
    Event("progress", SPECS[1], progress=STATE | {"loss": None, "law": {"r2": 0.409, "coverage": 0.93}}),
    Event("retried", SPECS[1], "killed by signal 9"),
    Event("finished", SPECS[0]),
    Event("failed", SPECS[1], "killed again"),
]


def tell(shown) -> None:
    with shown:
        watch = shown.watch
        watch.tokenizing("reading", 0.0)
        watch.tokenizing("reading", 0.5)
        watch.message("fish: 3 documents were skipped")
        watch.planned(SPECS, ["fish", "birds"])
        for event in STORY:
            watch.run(event)


def test_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(display, "PERIOD", 0.0)
    tell(PlainDisplay())
    out, err = capsys.readouterr()
    assert out == ""
    for line in (
        "data: reading",
        "data: reading, 50%",
        "note: fish: 3 documents were skipped",
        "2 runs: even[s], aioli",
        "even[s] seed 0: step 30 of 1000, loss 2.500, 1 min 5 s left; birds 75% fish 25%",
        "aioli seed 0: step 30 of 1000, 1 min 5 s left, law R2 .41 (93% inside); birds 75% fish 25%",
        "note: aioli seed 0 retried: killed by signal 9",
        "1 of 2 finished: even[s] seed 0 in 0 s",
        "note: aioli seed 0 failed",
    ):
        assert line in err.splitlines()


def test_lines_are_rare(capsys):
    tell(PlainDisplay())
    assert "step 30" not in capsys.readouterr().err


def test_quiet_tells_only_of_trouble(capsys):
    tell(PlainDisplay(quiet=True))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "note", "note", "note",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [60, 160])
def test_bars_on_a_terminal(width):
    screen = io.StringIO()
    shown = LiveDisplay(Console(file=screen, force_terminal=True, width=width))
    with shown:
        shown.tokenizing("reading", 0.5)
        shown.planned(SPECS, ["fish", "birds"])
        for event in STORY:
            shown.run(event)
            shown.progress.refresh()
    text = screen.getvalue()
    for part in ("2 runs", "aioli seed 0", "even[s]", "note: aioli seed 0 failed"):
        assert part in text
    if width > 100:
        assert "birds 75% fish 25%" in text and "law R2 .41" in text


def test_warnings_of_runs_are_told_once_for_each_label():
    runs = [("unimax", "over the cap"), ("unimax", "over the cap"), ("aioli", "many probes"), ("even", None)]
    results = {
        "runs": {
            str(i): {"label": label} | ({"warnings": [text]} if text else {})
            for i, (label, text) in enumerate(runs)
        }
    }
    assert warnings_of(results) == ["unimax: over the cap", "aioli: many probes"]


def test_memory_that_ran_out_is_seen_in_the_log_of_a_dead_worker():
    assert in_log(["step 1", "terminate called", "  what():  std::bad_alloc"]).startswith(
        "out of memory (what()"
    )
    assert "use fewer --workers" in in_log(["libgomp: cannot allocate memory"])
    assert in_log(["bad_alloc", *"abcde"]) is None
    assert in_log([]) is None
