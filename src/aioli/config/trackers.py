"""One entry of `trackers:`: a name, or a name and its options."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from aioli.errors import InputError
from aioli.trackers.tracker import NAMES, TrackerChoice

__all__ = ["TrackerEntry"]


def _tracker_choice(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"name": entry}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise InputError(f"expected a tracker's name or {{name: {{option: value}}}}, got {entry!r}")
    ((name, options),) = entry.items()
    return {"name": name, "options": options or {}}


_SCHEMA = {
    "description": f"A tracker: its name ({', '.join(NAMES)}), or {{name: {{option: value}}}}.",
    "anyOf": [{"enum": list(NAMES)}, {"type": "object", "minProperties": 1, "maxProperties": 1}],
}
TrackerEntry = Annotated[TrackerChoice, BeforeValidator(_tracker_choice), WithJsonSchema(_SCHEMA)]
