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
    "embedding once), and 12 x layers x width x context for attention; a token read forward only (a "
    "validation token) costs a third of that, one of a measured gradient the whole, one of a reference "
    "model by its own size. Tokens of the test at the end are not counted."
)


@dataclass
class Accounts:
    """Running costs of a run, kept through checkpoints (what a kill undoes is not counted).

    Seconds are wall-clock from the first step to the last, without loading data and model and without
    the test at the end. `split` says where they go: training steps, probing (training steps too, of
    phase "probe"), measuring (whatever signals cost), drawing batches, mixing (requests and
    updates of the method, with its journal's lines), writing (checkpoints, metrics). On CUDA a step's time is
    charged when the host next waits for the device. `peeked_tokens` were read forward for a peek whose batch
    was not trained next; where it was, the step used the same forward pass.
    """

    split: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    train_tokens: int = 0
    probe_steps: int = 0
    peeked_tokens: int = 0
    _inner: float = 0.0
    _before: float = 0.0
    _started: float | None = None

    @contextmanager
    def charge(self, category: Category) -> Iterator[None]:
        """Add the block's wall-clock to a category, without that of blocks inside it."""
        start, outer, self._inner = time.perf_counter(), self._inner, 0.0
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.split[category] += seconds - self._inner
            self._inner = outer + seconds

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
        self, token_flops: float, measured_tokens: int, work: float, test_tokens: int, watts: float
    ) -> dict[str, Any]:
        """The `cost` of a result.

        Args:
            token_flops: of one token's forward and backward pass; a forward pass alone is a third.
            measured_tokens: read by measures. work: the same in tokens read forward by the trained model.
            watts: assumed power of the device while the run lasts.
        """
        flops = token_flops * (self.train_tokens + (work + self.peeked_tokens) / 3)
        return {
            "train_tokens": self.train_tokens,
            "evaluation_tokens": measured_tokens + self.peeked_tokens,
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
            "peeked_tokens": self.peeked_tokens,
            "seconds": self.seconds,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.split = dict(saved["split"])
        self.train_tokens, self.probe_steps = saved["train_tokens"], saved["probe_steps"]
        self.peeked_tokens = saved.get("peeked_tokens", 0)  # absent from the first checkpoints
        self._before = saved["seconds"]


def _energy_assumption(watts: float) -> str:
    return (
        f"Assumed, not measured: {watts:g} W for as long as the run lasts, its test at the end left out "
        f"({CPU_WATTS:g} W for every thread of a CPU, {CUDA_WATTS:g} W for a GPU with its host)."
    )
