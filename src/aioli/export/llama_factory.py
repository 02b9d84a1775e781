"""LLaMA-Factory: `dataset` and `interleave_probs`, comma-separated, for pretraining with `streaming`.

Probabilities are per example (they are handed to `interleave_datasets`), so mean lengths are needed. The
datasets are called by their group's name, as `dataset_info.json` must call them. Names cannot hold commas,
nor spaces at their ends. Read in the sources of llamafactory 0.9.5 (`hparams/data_args.py`,
`data/data_utils.py`): both strings are split at commas, their lengths must agree, and interleave_probs goes
with an `interleave_*` strategy only. Not loaded by the library in tests: its pins exclude our versions.
"""

from __future__ import annotations

from aioli.errors import InputError
from aioli.export.blend import Blend, present, require
from aioli.export.format import Format
from aioli.export.units import decimals, from_tokens
from aioli.export.yaml_text import field, number, read_yaml, yaml_text

__all__ = ["FORMATS"]


def _write(blend: Blend) -> str:
    shares = present(blend)
    require(blend, "lengths", shares)
    for name in shares:
        if "," in name or name != name.strip():
            raise InputError(
                f"LLaMA-Factory splits names at commas and strips them, so it cannot have {name!r}: "
                "rename the group"
            )
    weights = decimals(from_tokens(shares, blend.lengths))
    return yaml_text(
        {
            "dataset": ",".join(weights),
            "mix_strategy": "interleave_over",
            "interleave_probs": ",".join(weights.values()),
            "streaming": True,
        }
    )


def _read(text: str) -> dict[str, float]:
    kind = "the LLaMA-Factory config"
    found = read_yaml(text, kind)
    names = [name.strip() for name in str(field(found, "dataset", kind)).split(",")]
    weights = str(field(found, "interleave_probs", kind)).split(",")
    if len(names) != len(weights) or len(set(names)) < len(names):
        raise InputError(
            f"{kind}: expected a probability for each of {len(names)} different datasets, got {len(weights)}"
        )
    return {
        name: number(weight, f"{kind}: the probability of {name!r}")
        for name, weight in zip(names, weights, strict=True)
    }


FORMATS = (
    Format(
        "llama-factory",
        "LLaMA-Factory interleave_probs YAML",
        "examples",
        ".yaml",
        _write,
        _read,
        ("lengths",),
    ),
)
