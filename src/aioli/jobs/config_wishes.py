"""What a config says of the mixture wanted: its groups' tokens, the run's length, constraints, objective."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aioli.config import Config
from aioli.jobs.forecast import forecast
from aioli.jobs.names import default_out
from aioli.jobs.wishes import Wishes

__all__ = ["wishes_of"]


def wishes_of(config: Config, source: Path) -> tuple[Wishes, str | None]:
    """The wishes, and a note where the groups' tokens are estimated from the sizes of their files.

    Tokens are those of whole training sequences, as a run counts them; `max_change`, which is about a
    mixture that moves, is left out.

    Raises:
        InputError: no such files.
    """
    found = forecast(config, default_out(source, config.title), None, data_only=True)
    context = config.model.context
    tokens = {
        row["name"]: float(row["train_tokens"] // (context + 1) * context)
        for row in found["data"]
        if row["role"] == "group"
    }
    wishes = Wishes(
        tokens=tokens,
        train_tokens=float(config.train.steps * config.train.batch * context),
        constraints=replace(config.constraints, max_change=None),
        target_weights=config.target_weights,
        objective=config.objective,
        baselines=config.reference_losses,
    )
    note = "tokens of the groups are estimated from their files' sizes: `aioli tokenize` measures them"
    return wishes, note if found["estimated"] else None
