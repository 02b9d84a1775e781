"""Our own files: shares of tokens by group, as `--proportions` and the method `static` read them.

A schedule is a list of {step, proportions}; zeros are kept, because every group of a run needs a share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aioli.errors import InputError
from aioli.export.blend import Blend
from aioli.export.format import Format
from aioli.export.yaml_text import field, numbers, read_json, read_yaml, yaml_text

__all__ = ["FORMATS", "read_plain"]


def _content(blend: Blend) -> Any:
    if blend.stages is None:
        return dict(zip(blend.groups, blend.proportions.tolist(), strict=True))
    return [
        {"step": stage.step, "proportions": dict(zip(blend.groups, stage.proportions.tolist(), strict=True))}
        for stage in blend.stages
    ]


def _write_json(blend: Blend) -> str:
    return json.dumps(_content(blend), indent=1, ensure_ascii=False) + "\n"


def _write_yaml(blend: Blend) -> str:
    return yaml_text(_content(blend))


def read_plain(text: str) -> dict[str, float]:
    """Proportions by group, or under the key `proportions` (as in the solution of `aioli solve`).

    Raises:
        InputError: a schedule of several stages, or anything else.
    """
    is_json = text.lstrip().startswith(("{", "["))
    found = (read_json if is_json else read_yaml)(text, "the mixture")
    if isinstance(found, list):
        if len(found) != 1:
            raise InputError(f"the mixture is a schedule of {len(found)} stages: leave one of them")
        found = found[0]
    if isinstance(found, Mapping) and isinstance(found.get("proportions"), Mapping):
        found = field(found, "proportions", "the mixture")
    return numbers(found, "the mixture")


FORMATS = (
    Format("json", "proportions by group", "tokens", ".json", _write_json, read_plain, staged=True),
    Format("yaml", "proportions by group", "tokens", ".yaml", _write_yaml, read_plain, staged=True),
)
