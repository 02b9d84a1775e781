"""Parameters of methods that a config keeps in files of their own: a graph, a mixture, target losses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aioli.config.choice import MethodChoice
from aioli.config.yaml_text import parse_yaml
from aioli.errors import InputError, nearest

__all__ = ["read_parameters", "read_plain"]

SUFFIXES = (".json", ".yaml", ".yml")


def read_parameters(
    choice: MethodChoice, base: Path, groups: Sequence[str], targets: Sequence[str]
) -> MethodChoice:
    """The choice with the content of every file that its parameters name; the label keeps the names.

    A text that ends in .json, .yaml or .yml is a path, relative to `base`. A file may hold the value itself,
    or a mapping with the value under the parameter's name; a matrix may come with the lists "groups" (its
    columns) and "targets" (its rows), and is then brought into the order of the run.

    Raises:
        InputError: a file that cannot be read, or a matrix of other groups or targets.
    """
    parameters = _read(choice.parameters, base, groups, targets)
    return choice if parameters == choice.parameters else replace(choice, parameters=parameters)


def _read(
    tree: Mapping[str, Any], base: Path, groups: Sequence[str], targets: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            value = _read(value, base, groups, targets)
        elif isinstance(value, str) and value.endswith(SUFFIXES):
            path = base / Path(value).expanduser()
            content = read_plain(path, key)
            if isinstance(content, Mapping) and key in content:
                content = _in_order(content, key, path, groups, targets)
            value = content
        found[key] = value
    return found


def read_plain(path: Path, what: str) -> Any:
    """The content of a JSON or YAML file; `what` names it in errors.

    Raises:
        InputError: no such file, or one that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else parse_yaml(text, str(path))
    except OSError as error:
        raise InputError(f"cannot read {what} from {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"cannot read {what}: {path} is not valid: {error}") from None


def _in_order(
    content: Mapping[str, Any], key: str, path: Path, groups: Sequence[str], targets: Sequence[str]
) -> Any:
    """The value under `key`, its rows and columns in the order of the run where the file names them."""
    value = content[key]
    if "groups" not in content or "targets" not in content:
        return value
    shape = [len(row) for row in value] if isinstance(value, list) and all(map(_is_list, value)) else None
    if shape != [len(content["groups"])] * len(content["targets"]):
        raise InputError(
            f"{path}: {key} needs one row for each of its {len(content['targets'])} targets, with one number "
            f"for each of its {len(content['groups'])} groups"
        )
    rows = _places(content["targets"], targets, "targets", path)
    columns = _places(content["groups"], groups, "groups", path)
    return [[value[row][column] for column in columns] for row in rows]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _places(given: Sequence[str], wanted: Sequence[str], kind: str, path: Path) -> list[int]:
    for name in given:
        if name not in wanted:
            raise InputError(f"{path} is about other {kind}: it names {name!r}; {nearest(name, wanted)}")
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputError(f"{path} is about other {kind}; missing: {', '.join(missing)}")
    return [given.index(name) for name in wanted]
