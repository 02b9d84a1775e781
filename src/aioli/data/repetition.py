"""Less data for a smaller run, so that each group comes again as often as in the run it stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aioli.errors import InputError

__all__ = ["matched_rows"]


def matched_rows(
    groups: Sequence[str], rows: Sequence[int], run_tokens: int, target_tokens: int
) -> list[int]:
    """[m] sequences of each group that a run of `run_tokens` may see to stand for one of `target_tokens`.

    rows_j run_tokens / target_tokens, rounded up: on a mixture p both runs pass p_j target_tokens / N_j times
    over group j of N_j tokens, the smaller one fewer times by less than one part in its number of rows.

    >>> matched_rows(("law", "code"), (1000, 301), 10_000, 100_000)
    [100, 31]

    Args:
        rows: [m] whole sequences of each group; 0 stays 0.

    Raises:
        InputError: a target shorter than the run, or a group that is left with less than one sequence.
    """
    if target_tokens < run_tokens:
        raise InputError(
            f"the target run's tokens must be at least those of this run, {run_tokens:,}, got "
            f"{target_tokens:,}: a run stands for a longer one by seeing less of the data"
        )
    least, smallest = min((count, name) for count, name in zip(rows, groups, strict=True) if count)
    if least * run_tokens < target_tokens:
        raise InputError(
            f"matching the repetition of {target_tokens:,} tokens leaves a run of {run_tokens:,} tokens "
            f"{least * run_tokens / target_tokens:.3g} of the {least:,} sequences of {smallest!r}: "
            f"train at least {math.ceil(target_tokens / least):,} tokens in each run, or add text"
        )
    return [-(-count * run_tokens // target_tokens) for count in rows]
