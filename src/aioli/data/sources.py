"""From paths and globs to the units of work that documents are read from."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aioli.data import foreign
from aioli.data.foreign import Tokens
from aioli.data.formats import Text, read_text
from aioli.data.settings import TextSource
from aioli.errors import InputError

__all__ = ["Source", "Unit", "expand", "open_source"]

UNIT_BYTES = 16 << 20
"""Small files are read together in units of about this many bytes; a larger file is a unit."""


@dataclass(frozen=True)
class Unit:
    """Consecutive files of one source, read by one worker at a time.

    Attributes:
        name: of the group or target. number: place of the unit in it.
        size: bytes on disk.
    """

    name: str
    number: int
    files: tuple[Path, ...]
    size: int
    settings: TextSource
    tokens: bool

    def documents(self, report: Callable[[int], None]) -> Iterator[Text | Tokens]:
        """Yield every document in order; `report` gets the bytes read (as they lie on disk).

        Raises:
            InputError: a file that cannot be read as what it claims to be.
        """
        kind, field = self.settings.kind, self.settings.text_field
        for path in self.files:
            if kind == "auto":
                yield from read_text(path, field, report)
                continue
            if self.tokens:
                yield from foreign.read_tokens(path, kind, self.settings.dtype)
            else:
                yield from foreign.read_dataset_text(path, field)
            report(sum(part.stat().st_size for part in foreign.parts(path, kind)))


@dataclass(frozen=True)
class Source:
    """A group or target with its files found.

    Attributes:
        target: True for a held-out set that is not a group.
        tokens: True when its files hold token ids, False when they hold text.
        files: (path relative to the config's directory, bytes, time of last change in ns) of every file.
    """

    name: str
    target: bool
    tokens: bool
    settings: TextSource
    units: tuple[Unit, ...]
    files: tuple[tuple[str, int, int], ...]


def open_source(name: str, settings: TextSource, base: Path, *, target: bool) -> Source:
    """Find the files of a group or target and cut them into units of work.

    Raises:
        InputError: a path that does not exist, a glob that matches nothing, a kind that does not fit.
    """
    role = "target" if target else "group"
    paths = expand(settings, base, f"{role} {name!r}")
    held = [foreign.holds_tokens(path, settings.kind, settings.text_field) for path in paths]
    if len(set(held)) > 1:
        mixed = ", ".join(str(paths[held.index(value)]) for value in (True, False))
        raise InputError(f"{role} {name!r} mixes token ids and text (for example {mixed})")
    files, sizes = [], []
    for path in paths:
        states = [(part, part.stat()) for part in foreign.parts(path, settings.kind)]
        files += [(os.path.relpath(part, base), state.st_size, state.st_mtime_ns) for part, state in states]
        sizes.append(sum(state.st_size for _, state in states))
    return Source(
        name, target, held[0], settings, _units(name, paths, sizes, settings, held[0]), tuple(files)
    )


def _units(
    name: str, paths: list[Path], sizes: list[int], settings: TextSource, tokens: bool
) -> tuple[Unit, ...]:
    units: list[Unit] = []
    first, size = 0, 0
    for last, more in enumerate(sizes, 1):
        size += more
        if size >= UNIT_BYTES or last == len(paths):
            units.append(Unit(name, len(units), tuple(paths[first:last]), size, settings, tokens))
            first, size = last, 0
    return tuple(units)


def expand(settings: TextSource, base: Path, owner: str) -> list[Path]:
    """The files behind the paths of a group, sorted by name, each once.

    A directory stands for all files below it but the hidden ones; a glob for the files it matches.
    Megatron datasets are named by NAME.bin, NAME.idx or NAME; saved datasets by their directory.

    Raises:
        InputError: no paths, a path that does not exist, or a glob that matches nothing.
    """
    if not settings.paths:
        raise InputError(f"{owner} has no paths: give files, directories or globs")
    found: set[Path] = set()
    for pattern in settings.paths:
        found.update(_matches(pattern, settings.kind, base, owner))
    return sorted(found, key=lambda path: path.parts)


def _matches(pattern: str, kind: str, base: Path, owner: str) -> list[Path]:
    path = base / Path(pattern).expanduser()
    directories = kind == "hf_dataset"
    if path.exists():
        matches = [path] if directories or path.is_file() else _below(path)
        if not matches:
            raise InputError(f"{owner}: the directory {pattern!r} ({path}) has no files")
    elif kind == "megatron" and Path(f"{path}.idx").is_file():
        matches = [Path(f"{path}.bin")]
    elif glob.has_magic(pattern):
        found = glob.glob(str(Path(pattern).expanduser()), root_dir=base, recursive=True)  # noqa: PTH207
        hits = [base / hit for hit in found]
        matches = [hit for hit in hits if hit.is_dir() == directories]
        if not matches:
            only = (
                "only directories; add '/**' for the files below" if hits and not directories else "nothing"
            )
            raise InputError(
                f"{owner}: the pattern {pattern!r} matches {only} (looked in {base}; "
                f"relative paths start at the config file)"
            )
    else:
        raise InputError(
            f"{owner}: no such file or directory: {pattern!r} (looked for {path}; "
            f"relative paths start at the config file)"
        )
    return _pairs(matches) if kind == "megatron" else matches


def _below(directory: Path) -> list[Path]:
    files = []
    for folder, names, leaves in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        files += [Path(folder, leaf) for leaf in sorted(leaves) if not leaf.startswith(".")]
    return files


def _pairs(matches: list[Path]) -> list[Path]:
    """Name each Megatron dataset once, by its .bin file."""
    return sorted(
        {path.with_suffix(".bin") for path in matches if path.suffix in (".bin", ".idx")} or matches
    )
