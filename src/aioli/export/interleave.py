"""Hugging Face `datasets.interleave_datasets`: a Python module with a probability for each dataset.

Probabilities are per example drawn, so they follow from shares of tokens and the mean tokens of an example,
as it is trained on (cut at the context, if you cut). Drawn from by `datasets` 5.2.0 in the tests.
"""

from __future__ import annotations

import ast
from typing import Any

from aioli.errors import InputError
from aioli.export.blend import Blend, present, require
from aioli.export.format import Format
from aioli.export.units import decimals, from_tokens
from aioli.export.yaml_text import numbers

__all__ = ["FORMATS"]

TEXT = '''"""Written by `aioli export`: probabilities per example."""

from datasets import interleave_datasets

PROBABILITIES = {{
{rows}}}


def mix(datasets_by_group, seed=0):
    """One dataset that draws from `datasets_by_group` ({{group: Dataset or IterableDataset}})."""
    return interleave_datasets(
        [datasets_by_group[group] for group in PROBABILITIES],
        probabilities=list(PROBABILITIES.values()),
        seed=seed,
        stopping_strategy="all_exhausted",
    )
'''


def _write(blend: Blend) -> str:
    shares = present(blend)
    require(blend, "lengths", shares)
    weights = decimals(from_tokens(shares, blend.lengths))
    return TEXT.format(rows="".join(f"    {name!r}: {weight},\n" for name, weight in weights.items()))


def _read(text: str) -> dict[str, float]:
    found: Any = None
    try:
        for line in ast.parse(text).body:
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "PROBABILITIES":
                found = ast.literal_eval(line.value)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"the Python module cannot be read: {error}") from None
    if found is None:
        raise InputError("expected PROBABILITIES = {group: probability} in the Python module, found none")
    return numbers(found, "PROBABILITIES")


FORMATS = (
    Format(
        "hf-interleave",
        "datasets.interleave_datasets, Python",
        "examples",
        ".py",
        _write,
        _read,
        ("lengths",),
    ),
)
