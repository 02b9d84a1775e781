"""Designs in files: the mixtures that the runs of a sweep are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aioli.config import read_plain
from aioli.config.yaml_text import dump_yaml
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.simplex import as_proportions
from aioli.table_formats import check_writable, read_columns, write_columns

__all__ = ["Design", "check_design_file", "design_text", "read_design", "write_design"]

Design = Sequence[Mapping[str, float]]
PLAIN = (".yaml", ".yml", ".json", "")
INDEX = "index"
"""The column of a table that numbers the runs, from 1."""


def check_design_file(path: Path) -> None:
    """Refuse a name whose suffix names no format, before anything is computed.

    Raises:
        InputError: a suffix that is neither of YAML nor of a table.
    """
    if path.suffix == ".json":
        raise InputError(f"a design is written as .yaml, or as a table such as .csv, got {path}")
    if path.suffix not in PLAIN:
        check_writable(path)


def write_design(design: Design, path: Path) -> None:
    """Write a design: as YAML, `runs`, a list of mixtures by group; or as a table, `index` and the groups.

    Raises:
        InputError: as of `check_design_file`.
    """
    check_design_file(path)
    if path.suffix in PLAIN:
        replace_file(path, design_text(design))
        return
    columns: dict[str, list[Any]] = {INDEX: list(range(1, len(design) + 1))}
    write_columns(path, columns | {name: [mixture[name] for mixture in design] for name in design[0]})


def design_text(design: Design) -> str:
    """A design as YAML."""
    return dump_yaml({"runs": [dict(mixture) for mixture in design]})


def read_design(path: Path, groups: Sequence[str]) -> list[dict[str, float]]:
    """The mixtures of a design file, checked.

    Raises:
        InputError: a file that cannot be read or has another shape, a mixture that does not fit the groups,
            or the same mixture twice.
    """
    design: list[dict[str, float]] = []
    for number, mixture in enumerate(_rows(path), start=1):
        try:
            found = dict(zip(groups, as_proportions(mixture, groups).tolist(), strict=True))
        except InputError as error:
            raise InputError(f"{path}, run {number}: {error}") from None
        if found in design:
            raise InputError(f"{path}: runs {design.index(found) + 1} and {number} have the same mixture")
        design.append(found)
    return design


def _rows(path: Path) -> list[Any]:
    if path.suffix not in PLAIN:
        columns = read_columns(path)
        named = {name: columns.numbers(name) for name in columns.values if name != INDEX}
        return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
    content = read_plain(path, "the design")
    runs = content.get("runs") if isinstance(content, Mapping) else content
    if not isinstance(runs, list) or not runs:
        raise InputError(f"{path}: expected `runs`, a list of mixtures (proportions by group), got {runs!r}")
    return runs
