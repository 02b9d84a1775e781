"""OLMo-core: the list of sources of a `SourceMixtureDatasetConfig`.

`target_ratio` is a share of tokens (`requested_tokens * target_ratio` are selected). Ratios must sum to 1
and a source with ratio 0 is refused, so such groups are left out. A source that has fewer tokens than its
share needs `max_repetition_ratio` above 1: it is written when the group's tokens and the budget are known.
Loaded with `SourceMixtureList.from_yaml`, and mixtures of small `.npy` files built, with ai2-olmo-core 3.0.0.
"""

from __future__ import annotations

import math
from typing import Any

from aioli.errors import InputError
from aioli.export.blend import Blend, present, require
from aioli.export.format import Format
from aioli.export.units import rounded
from aioli.export.yaml_text import field, number, read_yaml, yaml_text

__all__ = ["FORMATS"]


def _write(blend: Blend) -> str:
    shares = present(blend)
    require(blend, "paths", shares)
    return yaml_text({"sources": [_source(blend, group, r) for group, r in rounded(shares).items()]})


def _source(blend: Blend, group: str, ratio: float) -> dict[str, Any]:
    source = {"source_name": group, "target_ratio": ratio, "paths": list(blend.paths[group])}
    tokens = blend.tokens.get(group)
    if tokens and blend.budget is not None:
        needed = ratio * blend.budget / tokens
        source["max_repetition_ratio"] = max(1.0, math.ceil(needed * 100) / 100)
    return source


def _read(text: str) -> dict[str, float]:
    kind = "the source mixture"
    sources = field(read_yaml(text, kind), "sources", kind)
    if not isinstance(sources, list) or not sources:
        raise InputError(f"{kind}: expected a list of sources, got {sources!r:.100}")
    weights: dict[str, float] = {}
    for source in sources:
        name = str(field(source, "source_name", f"{kind}: an entry of sources"))
        if name in weights:
            raise InputError(f"{kind}: the source {name!r} is there twice")
        ratio = field(source, "target_ratio", f"{kind}: {name!r}")
        weights[name] = number(ratio, f"{kind}: target_ratio of {name!r}")
    return weights


FORMATS = (
    Format(
        "olmo-core",
        "OLMo-core source mixture YAML",
        "tokens",
        ".yaml",
        _write,
        _read,
        ("paths",),
        ("tokens", "budget"),
    ),
)
