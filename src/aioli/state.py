"""NamedTuples of arrays and numbers to JSON and back, exactly; with a version and a checksum.

Floats keep all their bits (JSON carries the shortest text that reads back to the same float64), NaN is
written as null, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

import numpy as np

from aioli.errors import InputError

__all__ = ["checksum", "completed", "decode", "describe", "difference", "encode", "seal", "unseal"]

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

    A field that the data lacks is taken from the template if the NamedTuple gives it a default: so a
    method's state can grow without making saved ones unreadable.

    Raises:
        InputError: fields that do not match the template's.
    """
    if isinstance(data, dict) and "fields" in data:
        names = getattr(template, "_fields", None)
        later = getattr(template, "_field_defaults", {})
        if names is None or not set(names) - set(later) <= set(data["fields"]) <= set(names):
            raise InputError(
                f"the saved state has fields {sorted(data['fields'])}, this method's state has "
                f"{sorted(names or [])}; was it saved by another method or version?"
            )
        found = {n: decode(value, getattr(template, n)) for n, value in data["fields"].items()}
        return template._replace(**found)
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


def describe(part: Any) -> Any:
    """A method, problem or part as JSON values that tell it apart from others: its kind and fields."""
    if is_dataclass(part):
        named = {item.name: describe(getattr(part, item.name)) for item in fields(part)}
        return {"kind": type(part).__qualname__} | named
    if isinstance(part, Mapping):
        return {str(key): describe(value) for key, value in part.items()}
    if isinstance(part, tuple | list):
        return [describe(value) for value in part]
    return part if part is None or isinstance(part, bool | int | float | str) else repr(part)


def completed(saved: Any, part: Any) -> Any:
    """A saved description with the defaults of those fields of `part` that it was saved without."""
    if not is_dataclass(part) or not isinstance(saved, dict):
        return saved
    added = {item.name: describe(_default(item)) for item in fields(part) if item.name not in saved}
    known = {item.name: getattr(part, item.name) for item in fields(part)}
    return added | {name: completed(value, known.get(name)) for name, value in saved.items()}


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def difference(saved: Any, mine: Any, where: str = "") -> str:
    """The first place where two descriptions differ, with both values."""
    if isinstance(saved, dict) and isinstance(mine, dict):
        for name in sorted({*saved, *mine}):
            if saved.get(name) != mine.get(name):
                return difference(saved.get(name), mine.get(name), f"{where}.{name}" if where else name)
    return f"{where} was {saved!r}, is {mine!r}"
