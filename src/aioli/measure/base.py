"""What a measure is, and what of a run it may use.

A measure is a class that yields one family of signals; `aioli.signals.SignalInfo.measure` names it, and it
is built only when a method needs one of its signals. Packages add measures the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aioli.measure.evaluate import Losses
from aioli.protocol import Array, Problem
from aioli.training.settings import EvaluationSettings

__all__ = ["Context", "Due", "FrozenModel", "Measure", "Shown"]

GRADIENT = 3.0
"""Cost of a token whose gradient is taken, in tokens read forward."""


class Shown(Protocol):
    """A batch as measures see it: token ids [B, T + 1] as they lie on disk, and the groups [B]."""

    @property
    def tokens(self) -> NDArray[Any]: ...

    @property
    def group(self) -> NDArray[Any]: ...


class Due:
    """A batch that the model, as it is now, is trained on next, and its losses; each made when asked for.

    Attributes:
        losses: [B] of its sequences or [B, T] of their tokens, in nats, as the loop gives them.
    """

    def __init__(self, batch: Callable[[], Shown], losses: Callable[[Any], Tensor]) -> None:
        self._batch, self._losses = batch, losses

    @cached_property
    def batch(self) -> Shown:
        return self._batch()

    @cached_property
    def losses(self) -> Tensor:
        return self._losses(self.batch)


class FrozenModel(NamedTuple):
    """A model that is not trained.

    Attributes:
        token_losses: token ids [B, T + 1] -> losses [B, T] in nats.
        cost: of a token read by it, in tokens that the trained model reads forward.
    """

    token_losses: Losses
    cost: float = 1.0


@dataclass(frozen=True)
class Context:
    """What a measure may use of a run; what is empty or None cannot be had in this loop.

    Attributes:
        problem: groups, targets, their weights, the seed.
        losses: token ids [B, T + 1] -> losses [B] of the model as it is when called; differentiable, and
            computed in the precision of training.
        held_out: token ids [rows, T + 1] of each target, in the problem's order.
        evaluation: how much of them the validation losses read.
        batch: sequences that fit on the device at a time.
        device: where losses lie. dtype: the precision of training.
        model: the one behind `losses`. optimiser: what trains it.
        upcoming: `Loader.upcoming`, the next rows of every group.
        reference: loads the frozen model that an excess is measured from.
    """

    problem: Problem
    losses: Losses
    held_out: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    batch: int = 32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    model: nn.Module | None = None
    optimiser: torch.optim.Optimizer | None = None
    upcoming: Callable[[int], list[NDArray[Any]]] | None = None
    reference: Callable[[], FrozenModel] | None = None


class Measure(ABC):
    """Measures a family of signals, one segment at a time: `begin`, `add` for every batch, `finish`.

    It must leave the run as it would be without it: weights, `.grad`, random state, the loader's position.
    `add` is called with every batch of the segment before the model is trained on it; in a segment of 0
    steps (a peek) once, with the batch due next. `finish` is called after the segment's last step.

    Attributes:
        signals: what `finish` may yield. requires: fields of `Context` that it cannot do without.
        observe: those of its signals that the open segment asks for; set by the meter, and only measures
            that are asked for something are called.
        tokens_read: tokens read so far beyond those of training. work: the same in tokens read forward by
            the trained model (`read` counts both).
    """

    signals: ClassVar[frozenset[str]]
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, context: Context) -> None:
        self.context = context
        self.observe: frozenset[str] = frozenset()
        self.tokens_read = 0
        self.work = 0.0

    def begin(self) -> None:  # noqa: B027
        """Forget the batches of the segment before; not called when a saved segment continues."""

    def add(self, due: Due) -> None:  # noqa: B027
        """See a batch that is trained on next, or take nothing from it."""

    @abstractmethod
    def finish(self, steps: int) -> dict[str, Array]:
        """The signals asked for, others too if that costs nothing, after a segment of `steps` steps."""

    def read(self, tokens: NDArray[Any], cost: float = 1.0) -> None:
        """Count sequences [B, T + 1] that were read at `cost` forward passes of the trained model."""
        count = len(tokens) * (tokens.shape[1] - 1)
        self.tokens_read += count
        self.work += cost * count

    def state_dict(self) -> dict[str, Any]:
        """The segment so far and the accounts, exact anywhere between steps, as JSON values."""
        return {"tokens_read": self.tokens_read, "work": self.work}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`.

        Raises:
            InputError: a state saved for other groups or targets.
        """
        self.tokens_read, self.work = saved["tokens_read"], saved["work"]

    def carry_state(self, saved: dict[str, Any], same: Collection[str]) -> None:
        """Continue from the `state_dict` of a run with other groups or targets: the accounts go on.

        Args:
            same: names of the targets whose text is unchanged.
        """
        Measure.load_state_dict(self, saved)
