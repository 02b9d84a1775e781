"""YAML as people write it: YAML 1.2 scalars, no duplicate keys, errors that name the line.

Plain YAML 1.1 turns `no` into False, `1:30` into 90, `010` into 8 and leaves `1e-3` a string; here only
`true` and `false` are booleans, numbers are what they look like, and every key is text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from aioli.errors import InputError

__all__ = ["dump_yaml", "parse_yaml"]

_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "merge": (r"<<", "<"),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own registry

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key.start_mark
                )
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


def _number(loader: _Loader, node: yaml.ScalarNode) -> float | int:
    value = float(loader.construct_yaml_float(node))
    whole = "." not in node.value and value.is_integer()
    return int(value) if whole else value  # 1e3 is a whole number, 1.0 is not


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_name}",
            re.compile(f"^(?:{_pattern})$"),
            ["" if c == "\0" else c for c in _first],
        )
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def parse_yaml(text: str, source: str) -> Any:
    """The value that YAML `text` stands for; `source` names it in errors.

    >>> parse_yaml("{rate: 1e-3, steps: 1e3, no: [yes, 010]}", "example")
    {'rate': 0.001, 'steps': 1000, 'no': ['yes', '010']}

    Raises:
        InputError: a syntax error or a key given twice, with its line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{source}{line}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not valid YAML: {error}") from None


def dump_yaml(value: Any) -> str:
    """YAML that `parse_yaml` reads back as `value`.

    >>> parse_yaml(dump_yaml({"title": "1e3", "rate": 1e-05}), "example")
    {'title': '1e3', 'rate': 1e-05}
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
