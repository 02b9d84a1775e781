"""NamedTuples of arrays and numbers to JSON and back, exactly; with a version and a checksum.

Floats keep all their bits (JSON carries the shortest text that reads back to the same float64), NaN is
written as null, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from aioli.errors import InputError

__all__ = ["checksum", "decode", "encode", "seal", "unseal"]

VERSION = 1


def checksum(content: Any, previous: str = "") -> str:
    """CRC-32 (8 hex digits) of the canonical JSON of `content`, chained to a previous checksum."""
    text = previous + json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"


def encode(value: Any) -> Any:
    """Turn a NamedTuple, tuple, array, number, string or None into plain JSON values.

    >>> encode(np.array([1.0, np.nan]))
    {'array': [1.0, None], 'shape': [2], 'dtype': 'float64'}

    Raises:
        TypeError: a value of another type (a method's state must not hold it).
    """
    if isinstance(value, np.ndarray):
        values = value.astype(object) if value.dtype.kind == "f" else value
        if value.dtype.kind == "f":
            values[np.isnan(value)] = None
            values[np.isposinf(value)] = "inf"
            values[np.isneginf(value)] = "-inf"
        return {"array": values.ravel().tolist(), "shape": list(value.shape), "dtype": value.dtype.name}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {"fields": {name: encode(item) for name, item in value._asdict().items()}}  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a method's state holds arrays, numbers, strings and tuples, not {type(value).__name__}")


def decode(data: Any, template: Any) -> Any:
    """Inverse of `encode`; `template` (a freshly initialised state) says which NamedTuples to build.

    Raises:
        InputError: fields that do not match the template's.
    """
    if isinstance(data, dict) and "fields" in data:
        names = getattr(template, "_fields", None)
        if names is None or set(names) != set(data["fields"]):
            raise InputError(
                f"the saved state has fields {sorted(data['fields'])}, this method's state has "
                f"{sorted(names or [])}; was it saved by another method or version?"
            )
        return type(template)(**{n: decode(data["fields"][n], getattr(template, n)) for n in names})
    if isinstance(data, dict) and "array" in data:
        values = np.array(data["array"], dtype=object)
        if np.dtype(data["dtype"]).kind == "f":
            values[values == None] = np.nan  # noqa: E711
        return values.astype(data["dtype"]).reshape(data["shape"])
    if isinstance(data, dict) and "tuple" in data:
        return tuple(decode(item, None) for item in data["tuple"])
    if isinstance(data, dict) and "float" in data:
        return float(data["float"])
    return data


def seal(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Wrap JSON content with its kind, the format version and a checksum."""
    return {"kind": kind, "version": VERSION, "content": content, "checksum": checksum(content)}


def unseal(kind: str, sealed: Any) -> dict[str, Any]:
    """Check what `seal` wrapped and return the content.

    Raises:
        InputError: another kind, an unknown version, or content that does not match its checksum.
    """
    if not isinstance(sealed, dict) or sealed.get("kind") != kind:
        found = sealed.get("kind") if isinstance(sealed, dict) else type(sealed).__name__
        raise InputError(f"expected the saved state of a {kind}, got {found!r}")
    if sealed.get("version") != VERSION:
        raise InputError(
            f"this {kind} state has version {sealed.get('version')!r}; this Aioli reads version {VERSION}"
        )
    content = sealed.get("content")
    if not isinstance(content, dict) or checksum(content) != sealed.get("checksum"):
        raise InputError(f"the saved {kind} state is corrupt: its checksum does not match its content")
    return content
