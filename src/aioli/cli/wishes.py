"""Options of `aioli solve` and `aioli offline` that say what mixture is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aioli.cli.pairs import read_number_or_pairs, read_numbers, read_proportions
from aioli.errors import InputError

if TYPE_CHECKING:
    from aioli.jobs.wishes import Wishes

__all__ = [
    "Caution",
    "ConfigOption",
    "Fixed",
    "Floor",
    "Kl",
    "Limit",
    "MaxKl",
    "MaxRepeats",
    "MaxVariation",
    "Objective",
    "Reference",
    "ReferenceLoss",
    "TargetWeight",
    "Tokens",
    "TrainTokens",
    "read_wishes",
]

Pairs = list[str] | None
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="CONFIG", help="Take tokens, length of run and constraints from it."),
]
Tokens = Annotated[
    Pairs, typer.Option("--tokens", metavar="GROUP=N|FILE", help="Tokens available in a group. Repeatable.")
]
TrainTokens = Annotated[
    float | None, typer.Option("--train-tokens", metavar="D", help="Tokens of the run to come.")
]
MaxRepeats = Annotated[
    Pairs,
    typer.Option("--max-repeats", metavar="R|GROUP=R", help="Passes over a group's tokens at most."),
]
Floor = Annotated[Pairs, typer.Option("--floor", metavar="F|GROUP=F", help="Least proportion.")]
Fixed = Annotated[Pairs, typer.Option("--fixed", metavar="GROUP=P", help="Proportion to hold.")]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference", metavar="natural|uniform|FILE", help="Mixture that distances are measured from."
    ),
]
Kl = Annotated[
    float | None, typer.Option("--kl", help="Penalty, nats of loss a nat of divergence from the reference.")
]
MaxKl = Annotated[float | None, typer.Option("--max-kl", help="Largest divergence from it, in nats.")]
MaxVariation = Annotated[
    float | None,
    typer.Option("--max-variation", help="Largest share of the data that may differ from it."),
]
TargetWeight = Annotated[
    Pairs, typer.Option("--target-weight", metavar="TARGET=W|FILE", help="Targets not named weigh 0.")
]
Limit = Annotated[Pairs, typer.Option("--limit", metavar="TARGET=LOSS", help="Largest predicted loss.")]
Objective = Annotated[
    str | None,
    typer.Option(
        "--objective", metavar="NAME", help="mean_loss (default), worst_target, mean_perplexity, ..."
    ),
]
ReferenceLoss = Annotated[
    Pairs, typer.Option("--reference-loss", metavar="TARGET=LOSS", help="For objectives of the excess.")
]
Caution = Annotated[
    float | None,
    typer.Option(
        "--caution", metavar="C", help="Minimise the mean over the worst share 1 - C of the replicates."
    ),
]


def read_wishes(config: Path | None, given: dict[str, Any]) -> tuple[Wishes, list[str]]:
    """What the options ask for, those of a config where they say nothing, and notes for the user.

    Raises:
        InputError: options of another shape, or a config that cannot be read.
    """
    from aioli.jobs.wishes import Wishes

    wishes, notes = Wishes(), []
    if config is not None:
        from aioli.config import load

        checked = load(config, methods=False)
        from aioli.jobs.config_wishes import wishes_of

        wishes, note = wishes_of(checked, config)
        notes = [note] if note else []
    constraints = {
        "max_repeats": read_number_or_pairs("--max-repeats", given["max_repeats"]),
        "floors": read_number_or_pairs("--floor", given["floor"]),
        "fixed": read_numbers("--fixed", given["fixed"]),
    }
    known = {key: value for key, value in constraints.items() if value is not None}
    changes: dict[str, Any] = {
        "tokens": read_numbers("--tokens", given["tokens"]),
        "target_weights": read_numbers("--target-weight", given["target_weight"]),
        "limits": read_numbers("--limit", given["limit"]),
        "baselines": read_numbers("--reference-loss", given["reference_loss"]),
        "reference": _reference(given["reference"]),
    }
    changes |= {
        key: given[key] for key in ("train_tokens", "kl", "max_kl", "max_variation", "objective", "caution")
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    return replace(wishes, constraints=replace(wishes.constraints, **known), **changes), notes


def _reference(given: str | None) -> str | dict[str, float] | None:
    if given is None or given in ("natural", "uniform"):
        return given
    if not given.endswith((".json", ".yaml", ".yml")):
        raise InputError(f"--reference needs natural, uniform, or a .json or .yaml file, got {given!r}")
    return read_proportions("--reference", Path(given))
