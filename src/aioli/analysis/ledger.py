"""What was trained and tested on: tokens, documents and bytes of every group and target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["data_ledger"]


def data_ledger(
    groups: Sequence[str], targets: Sequence[str], index: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """One row for each group and each target that is not a group; None where the index does not say.

    `documents` and `bytes_per_token` (UTF-8 bytes of text) count all splits together.
    """
    splits = (index or {}).get("splits") or {}
    names = [*groups, *(target for target in targets if target not in groups)]
    return [
        {"name": name, "role": "group" if name in groups else "target"} | _sizes(splits.get(name) or {})
        for name in names
    ]


def _sizes(splits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    tokens = sum(split["tokens"] for split in splits.values())
    octets = sum(split["bytes"] for split in splits.values())
    sizes = {
        f"{name}_tokens": splits[name]["tokens"] if name in splits else None
        for name in ("train", "validation", "test")
    }
    return sizes | {
        "documents": sum(split["documents"] for split in splits.values()) if splits else None,
        "bytes_per_token": octets / tokens if octets and tokens else None,
    }
