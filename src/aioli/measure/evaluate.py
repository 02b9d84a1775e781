"""Held-out losses on small fixed subsets of each target, paired from one measurement to the next.

What a method learns from is the CHANGE of a loss over a few steps. Read twice on the same sequences,
its standard error is that of the per-sequence differences, many times smaller than that of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aioli.data.shuffle import Shuffle
from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["PILOT", "Evaluator", "Losses", "fixed_subset", "sequence_losses"]

Losses = Callable[[NDArray[Any]], Tensor]
"""Token ids [B, T + 1] as they lie on disk -> mean loss [B] of each sequence, in nats per token."""

PILOT = 32
"""Sequences of each target that "auto" reads until it has seen differences."""
LEAST = 16
"""Fewest sequences that "auto" takes, so that their deviation can be estimated."""


class Spread(NamedTuple):
    """What "auto" learns in one pairing of `changes` measured changes: sums over them, for each target."""

    changes: int
    variances: Array
    moves: Array


class Evaluator:
    """Measures target losses; a target's subset is a prefix of a fixed shuffle of its sequences.

    All measurements read the same sequences until a measurement opens a new pairing; only then may the
    sizes change. With sizes "auto", target i then gets n_i = (s_i / (precision x c))^2 sequences, where
    s_i is the standard deviation of its per-sequence differences and c the mean absolute change of the
    losses, over all targets and all changes of the pairing that ends. The first pairing reads 32
    sequences of each target; later sizes lie between 16 and `max_sequences`.

    Notes:
        c is taken as measured: the noise of the small measurements of a pairing adds to it, so where the
        changes are smaller than their errors, "auto" reads fewer sequences than the rule would give for
        the true changes. Subtracting the noise's share changes the numbers of runs, so it waits for the
        next `RECIPE`.

    Args:
        losses: maps token ids [B, T + 1] to per-sequence losses [B]; called without gradients.
        sequences: token ids [rows, T + 1] of each target, in the order of the problem's targets.
        sizes: sequences read of each target, or "auto". max_sequences, precision: of "auto".
        batch: sequences evaluated at a time.
        seed: of the shuffles.

    Raises:
        InputError: a target without sequences, or a size below 1.
    """

    def __init__(
        self,
        losses: Losses,
        sequences: Mapping[str, NDArray[Any]],
        *,
        sizes: int | Literal["auto"] = "auto",
        max_sequences: int = 64,
        precision: float = 0.5,
        batch: int = 32,
        seed: int = 0,
    ) -> None:
        for name, rows in sequences.items():
            if not len(rows):
                raise InputError(f"target {name!r} has no sequence to evaluate on; give it more text")
        if sizes != "auto" and sizes < 1:
            raise InputError(f"evaluation needs at least 1 sequence a target, got {sizes}")
        self.targets = tuple(sequences)
        self.tokens_read = 0
        self._losses, self._batch = losses, batch
        self._auto, self._precision = sizes == "auto", precision
        most = max_sequences if sizes == "auto" else sizes
        self._pool = [fixed_subset(rows, most, seed, name) for name, rows in sequences.items()]
        self._most = np.array([len(pool) for pool in self._pool])
        self.sizes = np.minimum(PILOT, self._most) if self._auto else self._most
        self._last: list[Array | None] | None = None
        self._spread = self._no_spread()

    def measure(self, opening: bool = False) -> tuple[Array, Array]:
        """Losses [n] and the standard errors [n] of their change since the previous measurement.

        With `opening`, a new pairing begins and the sizes may change. The standard error is then taken
        over the sequences common to both measurements; the first measurement gives that of the losses.
        """
        if opening:
            self._resize()
        tokens = np.concatenate([pool[:size] for pool, size in zip(self._pool, self.sizes, strict=True)])
        self.tokens_read += len(tokens) * (tokens.shape[1] - 1)
        flat = sequence_losses(self._losses, tokens, self._batch)
        fresh = np.split(flat, np.cumsum(self.sizes)[:-1])
        last = self._last or [None] * len(fresh)
        changes = [a if b is None else a[: len(b)] - b[: len(a)] for a, b in zip(fresh, last, strict=True)]
        if not opening and all(part is not None for part in last):
            self._learn(changes)
        self._last = [*fresh]
        return np.array([part.mean() for part in fresh]), np.array([standard_error(c) for c in changes])

    def _learn(self, changes: list[Array]) -> None:
        variances = np.array([c.var(ddof=1) if len(c) > 1 else 0.0 for c in changes])
        moves = np.array([abs(c.mean()) for c in changes])
        spread = self._spread
        self._spread = Spread(spread.changes + 1, spread.variances + variances, spread.moves + moves)

    def _resize(self) -> None:
        """Take sizes from the pairing that ends, if it measured a change and they are automatic."""
        spread, self._spread = self._spread, self._no_spread()
        if not self._auto or not spread.changes:
            return
        deviations = np.sqrt(spread.variances / spread.changes)
        aim = self._precision * spread.moves.mean() / spread.changes
        wanted = (deviations / aim) ** 2 if aim > 0 else np.full(len(self.targets), np.inf)
        wanted = np.where(np.isfinite(wanted), wanted, self._most.max())
        self.sizes = np.clip(np.ceil(wanted), np.minimum(LEAST, self._most), self._most).astype(np.int64)

    def _no_spread(self) -> Spread:
        return Spread(0, np.zeros(len(self.targets)), np.zeros(len(self.targets)))

    def state_dict(self) -> dict[str, Any]:
        """Sizes, the last per-sequence losses, and what "auto" has learned, as JSON values."""
        return {
            "targets": list(self.targets),
            "sizes": self.sizes.tolist(),
            "last": self._last and [None if part is None else part.tolist() for part in self._last],
            "changes": self._spread.changes,
            "variances": self._spread.variances.tolist(),
            "moves": self._spread.moves.tolist(),
            "tokens_read": self.tokens_read,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`.

        Raises:
            InputError: a state saved for other targets, or one that read more sequences than there are.
        """
        if saved["targets"] != list(self.targets):
            raise InputError(
                f"the saved evaluator measured {', '.join(saved['targets'])}; "
                f"this one measures {', '.join(self.targets)}"
            )
        sizes = np.array(saved["sizes"], dtype=np.int64)
        if sizes.shape != self._most.shape or (sizes > self._most).any() or (sizes < 1).any():
            raise InputError(
                f"the saved evaluator read {sizes.tolist()} sequences of its targets; "
                f"this one may read up to {self._most.tolist()}"
            )
        self.sizes = sizes
        self._last = saved["last"] and [None if part is None else np.array(part) for part in saved["last"]]
        self._spread = Spread(saved["changes"], np.array(saved["variances"]), np.array(saved["moves"]))
        self.tokens_read = saved["tokens_read"]

    def carry_state(self, saved: dict[str, Any], same: Collection[str]) -> None:
        """Continue from the `state_dict` of a run with other targets; a new pairing begins.

        Args:
            same: names of the targets whose text is unchanged; they keep their sizes and last losses.
        """
        sizes, last = self.sizes.copy(), [None] * len(self.targets)
        for k, name in enumerate(saved["targets"]):
            if name in same and name in self.targets:
                i = self.targets.index(name)
                sizes[i] = min(saved["sizes"][k], self._most[i])
                last[i] = saved["last"] and saved["last"][k]
        self.sizes, self._last = sizes, [None if part is None else np.array(part) for part in last]
        self.tokens_read = saved["tokens_read"]


def fixed_subset(rows: NDArray[Any], count: int, seed: int, name: str) -> NDArray[Any]:
    """The first `count` rows of a fixed shuffle of `rows`, keyed by (seed, name); all of them if fewer.

    A smaller subset is a prefix of a larger one.

    >>> rows = np.arange(10)[:, None]
    >>> small, large = (fixed_subset(rows, n, 0, "law")[:, 0].tolist() for n in (3, 6))
    >>> large[:3] == small
    True
    """
    taken = min(count, len(rows))
    shuffle = Shuffle([name], [len(rows)], seed=seed)
    return np.asarray(rows[shuffle.rows_at(np.array([0]), np.array([taken]))])


def sequence_losses(losses: Losses, tokens: NDArray[Any], batch: int) -> Array:
    """[rows] the loss of each sequence, in nats per token, evaluated `batch` at a time."""
    with torch.inference_mode():
        parts = [losses(tokens[start : start + batch]) for start in range(0, len(tokens), batch)]
        return torch.cat(parts).double().cpu().numpy()


def standard_error(values: Array) -> float:
    """Of the mean of `values`; a single value stands for its own error."""
    return float(values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else abs(values[0]))
