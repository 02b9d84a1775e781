"""Megatron-Energon: a metadataset that blends prepared datasets.

A blend draws samples, each of whatever length it has (`wrappers/blend_dataset.py` of megatron-energon 7.4.1
picks a dataset by weight for every sample), so weights are shares of examples and mean lengths are needed.
Parsed by that release in the tests. Later ones call the same class `Recipe` and keep `MetadatasetV2` as an
alias.
"""

from __future__ import annotations

from aioli.errors import InputError
from aioli.export.blend import Blend, entries, present, require
from aioli.export.format import Format
from aioli.export.units import from_tokens, rounded
from aioli.export.yaml_text import field, number, read_yaml, yaml_text

__all__ = ["FORMATS"]


def _write(blend: Blend) -> str:
    groups = present(blend)
    require(blend, "paths", groups)
    require(blend, "lengths", groups)
    found = entries(blend)
    lengths = {entry.name: blend.lengths[entry.group] for entry in found}
    weights = rounded(from_tokens({entry.name: entry.share for entry in found}, lengths))
    blended = [{"weight": weights[entry.name], "path": entry.path} for entry in found]
    head = {"__module__": "megatron.energon", "__class__": "MetadatasetV2"}
    return yaml_text(head | {"splits": {"train": {"blend": blended}}})


def _read(text: str) -> dict[str, float]:
    kind = "the metadataset"
    blended = field(read_yaml(text, kind), "splits.train.blend", kind)
    if not isinstance(blended, list):
        raise InputError(f"{kind}: expected a list under splits.train.blend, got {blended!r:.100}")
    weights: dict[str, float] = {}
    for item in blended:
        path = str(field(item, "path", f"{kind}: an entry of the blend"))
        if path in weights:
            raise InputError(f"{kind}: {path!r} is there twice; join its weights")
        weights[path] = number(item.get("weight", 1.0), f"{kind}: the weight of {path!r}")
    return weights


FORMATS = (
    Format(
        "energon", "Megatron-Energon metadataset", "examples", ".yaml", _write, _read, ("paths", "lengths")
    ),
)
