"""Axolotl: a `weight` for each dataset, the part of it that is read, then everything is concatenated.

weight_g = min(1, p_g T / N_g) for a budget of T tokens and N_g tokens in the dataset; without a budget, T is
the largest for which no weight exceeds 1. A dataset cannot be read twice: where the minimum binds the mixture
is not the one asked for, and a warning says which. Read in the sources of axolotl 0.21.0
(`utils/schemas/datasets.py`: above 0 and at most 1; `utils/data/sft.py`: weight times the number of examples,
at least one; ignored for streaming datasets). Not loaded by the library in tests: it needs Python 3.12.
"""

from __future__ import annotations

import warnings

from aioli.errors import InputError, MixingWarning
from aioli.export.blend import Blend, Entry, entries, present, require
from aioli.export.format import Format
from aioli.export.yaml_text import field, number, read_yaml, yaml_text

__all__ = ["FORMATS"]


def _write(blend: Blend) -> str:
    groups = present(blend)
    require(blend, "paths", groups)
    found = entries(blend)
    if any(not entry.tokens for entry in found):
        require(blend, "tokens", groups)
    wanted = [entry.share / (entry.tokens or 1.0) for entry in found]
    scale = blend.budget if blend.budget is not None else 1 / max(wanted)
    weights = [min(1.0, w * scale) for w in wanted]
    _warn(found, [w * scale for w in wanted], weights)
    datasets = [
        {"path": entry.path, "type": "completion", "weight": float(f"{weight:.10g}")}
        for entry, weight in zip(found, weights, strict=True)
    ]
    return yaml_text({"datasets": datasets, "shuffle_merged_datasets": True})


def _warn(found: list[Entry], wanted: list[float], weights: list[float]) -> None:
    capped = [(e.name, w) for e, w in zip(found, wanted, strict=True) if w > 1 + 1e-9]
    if not capped:
        return
    tokens = [weight * (entry.tokens or 1.0) for entry, weight in zip(found, weights, strict=True)]
    off = sum(abs(t / sum(tokens) - e.share) for t, e in zip(tokens, found, strict=True)) / 2
    told = ", ".join(f"{name} ({w:.3g} times)" for name, w in capped)
    warnings.warn(
        f"Axolotl reads a dataset at most once, but the budget needs more of {told}: the mixture will be off "
        f"by {off:.1%} of the tokens; lower --budget, or repeat the data yourself",
        MixingWarning,
        stacklevel=3,
    )


def _read(text: str) -> dict[str, float]:
    kind = "the Axolotl config"
    found = field(read_yaml(text, kind), "datasets", kind)
    if not isinstance(found, list) or not found:
        raise InputError(f"{kind}: expected a list of datasets, got {found!r:.100}")
    weights: dict[str, float] = {}
    for item in found:
        path = str(field(item, "path", f"{kind}: an entry of datasets"))
        if path in weights:
            raise InputError(f"{kind}: {path!r} is there twice")
        weights[path] = number(item.get("weight", 1.0), f"{kind}: the weight of {path!r}")
    return weights


FORMATS = (
    Format(
        "axolotl",
        "Axolotl datasets YAML",
        "share of each source",
        ".yaml",
        _write,
        _read,
        ("paths", "tokens"),
        ("budget",),
    ),
)
