"""The frozen model of an earlier run, which an excess is measured from."""

from __future__ import annotations

from pathlib import Path

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.measure.base import FrozenModel
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import read_spec
from aioli.training.checkpoint import load_checkpoint
from aioli.training.compute import Forward
from aioli.training.model import GPT

__all__ = ["load_reference"]


def load_reference(spec: RunSpec, directory: Path, corpus: Corpus, forward: Forward) -> FrozenModel:
    """The model that the run `spec.inputs["reference"]` ended with; where and as precisely as ours computes.

    Args:
        directory: of this run; the reference run lies beside it, in a directory named by its id.
        forward: the model that is trained.

    Raises:
        InputError: the reference run is missing, not finished, of another corpus or of a shorter context,
            or its checkpoint is gone or damaged.
    """
    run = spec.inputs["reference"]
    place = directory.parent / run
    finished = (place / "result.json").exists()
    if not finished or not (place / "checkpoint.pt").exists():
        missing = "checkpoint.pt is missing" if finished else "it is not finished"
        raise InputError(
            f"this run needs the model of its reference run {run}, but {missing} in {place}: train it first"
        )
    saved = read_spec(place)
    if saved.data != corpus.fingerprint:
        raise InputError(
            f"the reference run {run} was trained on the corpus with fingerprint {saved.data}, this run's "
            f"has {corpus.fingerprint}: train a reference on the same data"
        )
    if saved.model.context < spec.model.context:
        raise InputError(
            f"the reference run {run} has a context of {saved.model.context} tokens, this run one of "
            f"{spec.model.context}: train a reference with at least this run's model.context"
        )
    model = GPT(saved.model, corpus.vocab_size, saved.seed)
    model.load_state_dict(load_checkpoint(place / "checkpoint.pt", run)["model"])
    model.requires_grad_(False).to(forward.device)
    frozen = Forward(model, corpus.vocab_size, forward.device, forward.dtype)
    return FrozenModel(frozen.token_losses, model.token_flops() / forward.model.token_flops())
