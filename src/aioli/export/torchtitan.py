"""torchtitan: the `dataloader` of a Python config, with interleaved Hugging Face sources.

A weight is the chance that the next sequence comes from a source; every source is packed into sequences of
the same length before they are interleaved, so weights are shares of tokens. Built, and drawn from, by
torchtitan 0.3.0 in the tests (`hf_datasets/text_datasets.py`, `hf_datasets/interleaved.py`); later versions
replace these loaders by a mix that counts elements. `dataset` is a key of torchtitan's `DATASETS`: a group
must be registered there under its name; `dataset_path` is written where a path is known.
"""

from __future__ import annotations

import ast

from aioli.errors import InputError
from aioli.export.blend import Blend, Entry, entries
from aioli.export.format import Format
from aioli.export.units import decimals
from aioli.export.yaml_text import number

__all__ = ["FORMATS"]

TEXT = '''"""Written by `aioli export`: weights are shares of tokens."""

from torchtitan.hf_datasets.text_datasets import HFDataSource, InterleavedHuggingFaceTextDataLoader

dataloader = InterleavedHuggingFaceTextDataLoader.Config(
    sources=[
{rows}    ],
    seed=42,
)
'''


def _write(blend: Blend) -> str:
    found = entries(blend)
    weights = decimals({entry.name: entry.share for entry in found})
    return TEXT.format(rows="".join(_row(entry, weights[entry.name]) for entry in found))


def _row(entry: Entry, weight: str) -> str:
    path = f", dataset_path={entry.path!r}" if entry.path else ""
    return f"        HFDataSource(dataset={entry.group!r}{path}, weight={weight}, infinite=True),\n"


def _read(text: str) -> dict[str, float]:
    try:
        tree = ast.parse(text)
        calls = [
            {
                key.arg: ast.literal_eval(key.value)
                for key in node.keywords
                if key.arg in ("dataset", "weight")
            }
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("HFDataSource")
        ]
    except (SyntaxError, ValueError) as error:
        raise InputError(f"the torchtitan config cannot be read: {error}") from None
    if not calls:
        raise InputError(
            "expected HFDataSource(dataset=..., weight=...) in the torchtitan config, found none"
        )
    weights: dict[str, float] = {}
    for call in calls:
        name = str(call.get("dataset"))
        weights[name] = weights.get(name, 0.0) + number(call.get("weight", 1.0), f"the weight of {name!r}")
    return weights


FORMATS = (
    Format("torchtitan", "torchtitan dataloader, Python", "tokens", ".py", _write, _read, uses=("paths",)),
)
