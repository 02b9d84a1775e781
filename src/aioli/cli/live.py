"""The display on a terminal: a bar for all runs, and one for each that goes on."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from aioli.cli.display import Display, law, name, shares
from aioli.sweep.runner import Event
from aioli.sweep.spec import RunSpec

__all__ = ["LiveDisplay"]


class LiveDisplay(Display):
    """Progress bars on standard error, with time left, loss and current proportions."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self.console = console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}"),
            console=self.console,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.fractions: dict[str, float] = {}
        self.overall: TaskID | None = None

    def __enter__(self) -> LiveDisplay:
        self.progress.start()
        return self

    def close(self) -> None:
        self.progress.stop()

    def planned(self, specs: Sequence[RunSpec], groups: Sequence[str]) -> None:
        super().planned(specs, groups)
        for task in self.tasks.values():
            self.progress.remove_task(task)
        self.tasks = {}
        self.overall = self.progress.add_task(f"{len(specs)} runs", total=len(specs), detail="")

    def run(self, event: Event) -> None:
        super().run(event)
        key = event.spec.id
        if event.kind == "started":
            self.tasks[key] = self.progress.add_task(
                escape(name(event.spec)), total=event.spec.train.steps, detail="starting"
            )
        elif event.kind == "progress":
            state = event.progress
            loss = "" if state.get("loss") is None else f"loss {state['loss']:.3f}  "
            told = law(state.get("law"))
            trusted = f"{told}  " if told else ""
            detail = loss + trusted + shares(state.get("proportions") or [], self.groups)
            self.progress.update(self.tasks[key], completed=state["step"], detail=escape(detail))
            self.fractions[key] = state["step"] / state["steps"]
        elif event.kind in ("finished", "failed") and key in self.tasks:
            self.progress.remove_task(self.tasks.pop(key))
            self.fractions.pop(key, None)
        self._count()

    def tokenizing(self, stage: str, share: float) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(f"data: {stage}", total=1.0, detail="")
        self.progress.update(self.tasks[stage], completed=share)

    def message(self, text: str) -> None:
        self.console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    def standing(self, lines: Sequence[str], runs: int) -> None:
        super().standing(lines, runs)
        for line in lines:
            self.console.print(line, markup=False, highlight=False)
        if self.overall is not None:
            self.progress.update(self.overall, total=runs, description=f"at most {runs} runs")

    def _count(self) -> None:
        if self.overall is not None:
            completed = self.done + sum(self.fractions.values())
            self.progress.update(
                self.overall, completed=completed, detail=f"{self.done} of {self.runs} finished"
            )
