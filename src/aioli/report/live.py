"""What the live page adds: how far the runs that go on are, their proportions and losses so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aioli.analysis.numbers import MISSING, count, duration, fixed
from aioli.report.html_tables import Cell, Table
from aioli.report.section import Section
from aioli.report.trajectories import loss_section, mixture_section

__all__ = ["Going", "Live"]

DRAWN = 8
"""Most runs whose curves are drawn; the table has all."""


@dataclass(frozen=True)
class Going:
    """A run without a result.

    Attributes:
        state: "running", "stopped" (it can be continued) or "waiting" (not begun).
        step: the last one written down. loss: mean training loss there, None before the first line.
        eta: seconds left at the pace so far; None where nothing tells.
        proportions, curve: as in a run's result, up to now. law: r2 and coverage of the method's law so far.
    """

    label: str
    seed: int
    state: str
    steps: int
    step: int = 0
    loss: float | None = None
    eta: float | None = None
    proportions: dict[str, list[Any]] = field(default_factory=dict)
    curve: dict[str, list[Any]] = field(default_factory=dict)
    law: dict[str, float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.label}, seed {self.seed}"


@dataclass(frozen=True)
class Live:
    """The part of the page that is not in the results yet.

    Attributes:
        title: of the page while there are no results. planned, finished: numbers of runs.
        groups: names of the groups. going: the runs without a result.
    """

    title: str
    planned: int
    finished: int
    groups: tuple[str, ...]
    going: tuple[Going, ...]

    @property
    def reading(self) -> str:
        """How far everything is, in a sentence or two."""
        if not self.planned:
            return "Nothing has finished yet: there is no run here so far. This page looks again by itself."
        running = sum(run.state == "running" for run in self.going)
        told = f"{self.finished} of {self.planned} runs have finished, {running} "
        told += "is running." if running == 1 else "are running."
        return told if self.finished else f"Nothing has finished yet. {told}"

    @property
    def table(self) -> Table:
        """Progress of every run without a result."""
        order = {"running": 0, "stopped": 1, "waiting": 2}
        rows = [
            (
                Cell(run.name, value=run.name),
                Cell(run.state, value=order[run.state]),
                Cell(
                    f"{run.step / run.steps:.0%}", f"step {count(run.step)} of {count(run.steps)}", run.step
                ),
                Cell(MISSING if run.loss is None else fixed(run.loss), value=run.loss),
                Cell(MISSING if run.eta is None else duration(run.eta), value=run.eta),
                _law(run.law),
            )
            for run in sorted(self.going, key=lambda run: order[run.state])
        ]
        caption = (
            "Loss: mean training loss since the line before, in nats per token. "
            "Time left: at the pace so far. R2 of law: share of the falls of the targets' losses that the "
            "method's law predicted, against no change; below it, how many lay in their 95% interval."
        )
        return Table(
            caption, ("Run", "State", "Progress", "Training loss", "Time left", "R2 of law"), tuple(rows)
        )

    @property
    def sections(self) -> list[Section]:
        """Proportions and losses so far."""
        drawn = sorted(
            (run for run in self.going if run.curve.get("step")), key=lambda r: r.state != "running"
        )
        drawn = drawn[:DRAWN]
        if not drawn:
            return []
        mixtures = mixture_section(_as_results(drawn, self.groups, named=False))
        losses = loss_section(_as_results(drawn, self.groups, named=True))
        return [
            section._replace(id=f"live-{section.id}", title=title)
            for section, title in ((mixtures, "Proportions so far"), (losses, "Losses so far"))
            if section is not None
        ]


def _law(score: dict[str, float | None]) -> Cell:
    r2, inside = score.get("r2"), score.get("coverage")
    if r2 is None:
        return Cell(MISSING)
    return Cell(fixed(r2), "" if inside is None else f"{inside:.0%} inside", r2)


def _as_results(going: Sequence[Going], groups: Sequence[str], *, named: bool) -> dict[str, Any]:
    """Unfinished runs in the shape that the figures read, each a method of its own.

    Args:
        named: label them with their seeds, which a legend needs and the title of a panel says anyway.
    """
    return {
        "groups": list(groups),
        "steps": max(run.steps for run in going),
        "methods": [{"label": run.name if named else run.label, "runs": [run.name]} for run in going],
        "runs": {
            run.name: {"seed": run.seed, "proportions": _so_far(run, len(groups)), "curve": run.curve}
            for run in going
        },
    }


def _so_far(run: Going, groups: int) -> dict[str, list[Any]]:
    """Proportions that end in a gap after the current step, so that a figure does not draw them on."""
    steps, values = run.proportions["step"], run.proportions["values"]
    return {"step": [*steps, max([*steps, run.step])], "values": [*values, [None] * groups]}
