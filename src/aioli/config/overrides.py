"""`--set a.b=c`: change any key of a config before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from aioli.config.yaml_text import parse_yaml
from aioli.errors import InputError

__all__ = ["apply_overrides"]


def apply_overrides(raw: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `raw` with every `key=value` applied in order; values are YAML, keys are dotted.

    A part of a key that is a number indexes a list; a name that contains dots is found when it exists.

    >>> apply_overrides({"train": {"steps": 5}}, ["train.steps=1e2", "seeds=[1, 2]"])
    {'train': {'steps': 100}, 'seeds': [1, 2]}

    Raises:
        InputError: no `=`, an empty key, a value that is not YAML, a key below a plain value, no such index.
    """
    changed = copy.deepcopy(raw)
    for text in overrides:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise InputError(f"--set needs key=value, such as train.steps=200, got {text!r}")
        _assign(changed, key, parse_yaml(value, f"--set {text}"))
    return changed


def _assign(tree: Any, key: str, value: Any) -> None:
    node, rest, path = tree, key, ""
    while True:
        part, rest = _next_part(node, rest)
        path = f"{path}.{part}" if path else part
        slot: Any = _index(node, part, path, key) if isinstance(node, list) else part
        if not rest:
            node[slot] = value
            return
        if isinstance(node, dict) and node.get(slot) is None:
            node[slot] = {}
        node = node[slot]
        if not isinstance(node, dict | list):
            raise InputError(f"--set {key}: {path} is the value {node!r} and has no keys below it")


def _next_part(node: Any, rest: str) -> tuple[str, str]:
    """Split off the next part: the longest existing key, else up to the first dot."""
    if isinstance(node, dict):
        fitting = [name for name in node if rest == name or rest.startswith(f"{name}.")]
        if fitting:
            name = max(fitting, key=len)
            return name, rest[len(name) + 1 :]
    part, _, rest = rest.partition(".")
    return part, rest


def _index(items: list[Any], part: str, path: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise InputError(
            f"--set {key}: {path.rpartition('.')[0]} is a list of {len(items)}; use a number from 0 to "
            f"{len(items) - 1} in place of {part!r}, or set the whole list"
        )
    return int(part)
