"""What the loop lends to measures: the run, and the losses of the batch that is trained next."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aioli.data.loader import Batch, Loader
from aioli.data.shards import Corpus
from aioli.measure.base import Context
from aioli.protocol import Problem
from aioli.sweep.spec import RunSpec
from aioli.training.accounts import Accounts, Category
from aioli.training.compute import Forward
from aioli.training.reference import load_reference

__all__ = ["BatchLosses", "make_context"]


def make_context(
    spec: RunSpec,
    directory: Path,
    corpus: Corpus,
    problem: Problem,
    loader: Loader,
    forward: Forward,
    optimiser: torch.optim.Optimizer,
) -> Context:
    """What measures may use of the run in `directory`."""
    length = spec.model.context + 1
    reference = partial(load_reference, spec, directory, corpus, forward)
    return Context(
        problem,
        forward,
        {name: corpus.sequences(name, "validation", length) for name in corpus.targets},
        evaluation=spec.evaluation,
        batch=spec.train.batch,
        device=forward.device,
        dtype=forward.dtype,
        model=forward.model,
        optimiser=optimiser,
        upcoming=loader.upcoming,
        reference=reference if "reference" in spec.inputs else None,
    )


class BatchLosses:
    """Losses [B, T] of batches at the present weights; a step uses the forward pass of a peek at its batch.

    Weights change only in a step, and every step takes or drops what the last peek left.
    """

    def __init__(self, forward: Forward, accounts: Accounts) -> None:
        self._forward, self._accounts = forward, accounts
        self._kept: tuple[Batch, Tensor] | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """For the step that is made now."""
        kept, self._kept = self._kept, None
        if kept is not None and np.array_equal(kept[0].tokens, batch.tokens):
            self._accounts.peeked_tokens -= kept[1].numel()
            return kept[1]
        return self._forward.token_losses(batch.tokens)

    def ahead(self, batch: Batch, category: Category) -> Tensor:
        """For a peek, charged to the category of the step that is likely to follow."""
        with self._accounts.charge(category), torch.enable_grad():  # whatever the measure that asks has set
            losses = self(batch)
        self._kept = batch, losses
        self._accounts.peeked_tokens += losses.numel()
        return losses
