"""How the gradients of the groups lie to those of the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aioli.measure.base import Context, Due, Measure
from aioli.measure.gradients import HeldOut, dot, gradient
from aioli.protocol import Array, Signal

__all__ = ["Alignment"]


class Alignment(Measure):
    """`gradient_alignment` [n, m] and `gradient_norm` [m], of the groups' mean losses on each batch.

    Every batch is measured at the weights that its step starts from, against the gradients of the targets
    on a few held-out sequences at the same weights, other ones for every batch (`HeldOut`). Values are
    raw: nothing is clipped or normalised. Over the batches of a segment they are averaged with the
    number of the group's sequences in each as weights; a group in none is NaN.

    Costs a forward and backward pass over the batch and over the held-out sequences. Holds the gradients
    of the targets or of the groups present, whichever are fewer, and one more: min(n, m) + 1 times the
    size of the weights; only one for norms alone.

    References:
        arXiv 2310.15393, section 2.
    """

    signals = frozenset({Signal.GRADIENT_ALIGNMENT, Signal.GRADIENT_NORM})
    requires = ("model", "held_out")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._held_out = HeldOut(context)
        self.begin()

    def begin(self) -> None:
        n, m = self.context.problem.n, self.context.problem.m
        self._counts, self._norms, self._products = np.zeros(m), np.zeros(m), np.zeros((n, m))

    def add(self, due: Due) -> None:
        batch = due.batch
        present = np.unique(batch.group)
        groups = [batch.tokens[batch.group == group] for group in present]
        targets = self._held_out.next() if Signal.GRADIENT_ALIGNMENT in self.observe else []
        products, norms = self._compare(targets, groups)
        counts = np.array([len(tokens) for tokens in groups])
        self._counts[present] += counts
        self._norms[present] += counts * norms
        if targets:
            self._products[:, present] += counts * products

    def _compare(self, targets: list[NDArray[Any]], groups: list[NDArray[Any]]) -> tuple[Array, Array]:
        """Inner products [targets, groups] and norms of the groups' gradients."""
        if len(targets) <= len(groups):
            held = [gradient(self, tokens) for tokens in targets]
            rows = [self._against(held, tokens) for tokens in groups]
            products, squares = np.array([row for row, _ in rows]).T, [square for _, square in rows]
        else:
            held = [gradient(self, tokens) for tokens in groups]
            products = np.array([self._against(held, tokens)[0] for tokens in targets])
            squares = [dot(one, one) for one in held]
        return products, np.sqrt(squares)

    def _against(self, held: list[list[Tensor]], tokens: NDArray[Any]) -> tuple[list[float], float]:
        """Inner products of the tokens' gradient with those held, and with itself."""
        fresh = gradient(self, tokens)
        return [dot(fresh, one) for one in held], dot(fresh, fresh)

    def finish(self, steps: int) -> dict[str, Array]:
        with np.errstate(invalid="ignore"):
            norms, products = self._norms / self._counts, self._products / self._counts
        return {Signal.GRADIENT_NORM: norms, Signal.GRADIENT_ALIGNMENT: products}

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "reads": self._held_out.reads,
            "counts": self._counts.tolist(),
            "norms": self._norms.tolist(),
            "products": self._products.tolist(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        super().load_state_dict(saved)
        self._held_out.reads = saved["reads"]
        self._counts, self._norms = np.array(saved["counts"]), np.array(saved["norms"])
        self._products = np.array(saved["products"])
