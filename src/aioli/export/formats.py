"""The table of formats, and the two ways through it: a blend to text, text to shares of tokens."""

from __future__ import annotations

from collections.abc import Mapping

from aioli.errors import InputError, nearest
from aioli.export import (
    axolotl,
    energon,
    interleave,
    levanter,
    llama_factory,
    megatron,
    mosaicml,
    nemo,
    olmo,
    plain,
    torchtitan,
)
from aioli.export.blend import OPTIONS, Blend
from aioli.export.format import Format
from aioli.export.units import to_tokens

__all__ = ["FORMATS", "export_text", "get_format", "import_text"]

FORMATS: dict[str, Format] = {
    entry.name: entry
    for module in (
        megatron,
        nemo,
        energon,
        olmo,
        levanter,
        mosaicml,
        interleave,
        axolotl,
        llama_factory,
        torchtitan,
        plain,
    )
    for entry in module.FORMATS
}
"""Every format by name."""


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        InputError: there is none.
    """
    if name not in FORMATS:
        raise InputError(f"no export format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]


def export_text(blend: Blend, name: str) -> str:
    """The blend in the format `name`; warns where a schedule becomes its mean.

    Raises:
        InputError: an unknown format, something that it needs is not known, or that it cannot say.
    """
    chosen = get_format(name)
    if not chosen.staged:
        blend = blend.constant(f"{chosen.name} has no stages")
    return chosen.write(blend)


def import_text(
    text: str,
    name: str,
    *,
    paths: Mapping[str, Mapping[str, float | None]] | None = None,
    tokens: Mapping[str, float] | None = None,
    lengths: Mapping[str, float] | float | None = None,
) -> dict[str, float]:
    """Shares of tokens by group, from what a format's exporter, or a person, has written.

    Args:
        paths: of groups, to call by their group what the format knows by its path, or by a numbered name.
        tokens: available in each group. lengths: mean tokens of an example of each, or of all.

    Raises:
        InputError: text that cannot be read, or sizes or lengths missing that the format's unit needs.
    """
    chosen = get_format(name)
    if chosen.read is None:
        raise InputError(f"{name} cannot be read back")
    weights = chosen.read(text)
    sizes = {path: size for given in (paths or {}).values() for path, size in given.items() if size}
    groups = {entry: _group(entry, weights, paths or {}) for entry in weights}
    factors: dict[str, float] | None = None
    if chosen.unit == "share of each source":
        factors = {entry: _known("tokens", entry, group, sizes, tokens) for entry, group in groups.items()}
    elif chosen.unit == "examples" or (chosen.unit == "sequences" and lengths):
        if lengths is not None and not isinstance(lengths, Mapping):
            lengths = dict.fromkeys(groups.values(), lengths)
        factors = {entry: _known("lengths", entry, group, {}, lengths) for entry, group in groups.items()}
    found: dict[str, float] = {}
    for entry, share in to_tokens(weights, factors).items():
        found[groups[entry]] = found.get(groups[entry], 0.0) + share
    return found


def _group(entry: str, weights: Mapping[str, float], paths: Mapping[str, Mapping[str, float | None]]) -> str:
    """The group of an entry: the one that has it as a path, the one that it numbers, or its own name."""
    for group, given in paths.items():
        if entry in given or any(path in (f"{entry}.bin", f"{entry}.idx") for path in given):
            return group
    stem, _, number = entry.rpartition("-")
    several = number.isdecimal() and entry not in paths and len(paths.get(stem, ())) >= int(number) > 1
    return stem if several and stem in weights else entry


def _known(
    what: str, entry: str, group: str, sizes: Mapping[str, float], known: Mapping[str, float] | None
) -> float:
    value = sizes.get(entry) or (known or {}).get(group)
    if not value:
        raise InputError(f"of {group!r} the format needs {OPTIONS[what]}")
    return value
