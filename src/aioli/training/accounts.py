"""What a run costs: where its seconds go, the tokens it reads, FLOPs and energy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

__all__ = ["CATEGORIES", "CPU_WATTS", "CUDA_WATTS", "Accounts", "Category"]

T = TypeVar("T")
Category = Literal["training", "probing", "measuring", "drawing", "mixing", "writing"]
CATEGORIES: tuple[Category, ...] = ("training", "probing", "measuring", "drawing", "mixing", "writing")

CPU_WATTS = 15.0
"""Assumed power of one busy CPU core."""
CUDA_WATTS = 300.0
"""Assumed power of one busy GPU, its host included."""
FLOPS_ASSUMPTION = (
    "Counted, not measured: 6N FLOPs for each training token, N the weights of all matrices (the tied "
    "embedding once), and 12 x layers x width x context for attention; a validation token, read forward "
    "only, costs a third of that. Tokens of the test at the end are not counted."
)


@dataclass
class Accounts:
    """Running costs of a run, kept through checkpoints (what a kill undoes is not counted).

    Seconds are wall-clock from the first step to the last, without loading data and model and without
    the test at the end. `split` says where they go: training steps, probing (training steps too, of
    phase "probe"), measuring (reading validation sequences), drawing batches, mixing (requests and
    updates of the method, with its journal's lines), writing (checkpoints, metrics). On CUDA a step's time is
    charged when the host next waits for the device.
    """

    split: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    train_tokens: int = 0
    probe_steps: int = 0
    _before: float = 0.0
    _started: float | None = None

    @contextmanager
    def charge(self, category: Category) -> Iterator[None]:
        """Add the block's wall-clock to a category."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.split[category] += time.perf_counter() - start

    def charged(self, category: Category, items: Iterable[T]) -> Iterator[T]:
        """Iterate, adding the time that each item takes to make to a category."""
        iterator = iter(items)
        while True:
            with self.charge(category):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def start(self) -> None:
        """Begin to count this process's seconds."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """End the count: what follows is not the run's cost."""
        self._before, self._started = self.seconds, None

    @property
    def seconds(self) -> float:
        """Wall-clock so far, over all processes that worked on the run."""
        return self._before + self.session_seconds

    @property
    def session_seconds(self) -> float:
        """Wall-clock of this process alone."""
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def summary(
        self, token_flops: float, evaluation_tokens: int, test_tokens: int, watts: float
    ) -> dict[str, Any]:
        """The `cost` of a result.

        Args:
            token_flops: of one token's forward and backward pass; a forward pass alone is a third.
            watts: assumed power of the device while the run lasts.
        """
        flops = token_flops * (self.train_tokens + evaluation_tokens / 3)
        return {
            "train_tokens": self.train_tokens,
            "evaluation_tokens": evaluation_tokens,
            "test_tokens": test_tokens,
            "probe_steps": self.probe_steps,
            "flops": flops,
            "joules": self.seconds * watts,
            "seconds": self.seconds,
            "split": dict(self.split),
            "assumptions": {"flops": FLOPS_ASSUMPTION, "energy": _energy_assumption(watts)},
        }

    def state_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "split": dict(self.split),
            "train_tokens": self.train_tokens,
            "probe_steps": self.probe_steps,
            "seconds": self.seconds,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.split = dict(saved["split"])
        self.train_tokens, self.probe_steps = saved["train_tokens"], saved["probe_steps"]
        self._before = saved["seconds"]


def _energy_assumption(watts: float) -> str:
    return (
        f"Assumed, not measured: {watts:g} W for as long as the run lasts, its test at the end left out "
        f"({CPU_WATTS:g} W for every thread of a CPU, {CUDA_WATTS:g} W for a GPU with its host)."
    )
