"""YAML for programs that read either YAML 1.1 or 1.2: what only one of them takes for a string is quoted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from aioli.errors import InputError

__all__ = ["field", "number", "numbers", "read_json", "read_yaml", "yaml_text"]

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan", "infinity", "none"}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for (key, _), value in zip(node.value, keys, strict=True):
            if not isinstance(value, str) and key.tag != "tag:yaml.org,2002:merge":
                problem = f"the name {key.value!r} is not text to YAML: put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if isinstance(value, str) and keys.count(value) > 1:
                problem = f"the key {value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep=True)


def yaml_text(value: Any) -> str:
    """Block YAML in the order given.

    >>> print(yaml_text({"no": {"1e3": 0.5, "plain": ["a b", True]}}), end="")
    "no":
      "1e3": 0.5
      plain:
      - "a b"
      - true
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)


def read_yaml(text: str, kind: str) -> Any:
    """The value of YAML `text`; `kind` names it in errors.

    Raises:
        InputError: a syntax error, a key given twice or one that is not text, with its line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{kind}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{kind}: not valid YAML: {str(error).splitlines()[0]}") from None


def read_json(text: str, kind: str) -> Any:
    """The value of JSON `text`; `kind` names it in errors.

    Raises:
        InputError: a syntax error, with its line, or a key given twice.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, kind))
    except json.JSONDecodeError as error:
        raise InputError(f"{kind}, line {error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{kind}: not valid JSON: nested too deeply") from None


def _once(pairs: list[tuple[str, Any]], kind: str) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"{kind}: the key {twice!r} is given twice")
    return dict(pairs)


def field(value: Any, path: str, kind: str) -> Any:
    """What lies under the keys of `path` ("a.b.c").

    Raises:
        InputError: it is not there.
    """
    for number, key in enumerate(path.split("."), start=1):
        if not isinstance(value, Mapping) or key not in value:
            raise InputError(f"{kind}: expected {'.'.join(path.split('.')[:number])}, found none")
        value = value[key]
    return value


def number(value: Any, what: str) -> float:
    """`value` as a number; YAML 1.1 leaves one written `1e-3` a string.

    Raises:
        InputError: it is none.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a number, got {value!r}") from None


def numbers(value: Any, what: str) -> dict[str, float]:
    """A mapping of names to numbers.

    Raises:
        InputError: anything else.
    """
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{what}: expected a mapping of names to numbers, got {value!r:.100}")
    return {name: number(given, f"{what}: {name!r}") for name, given in value.items()}
