"""Megatron-LM blends: the arguments --data-path, a file for --data-args-path, JSON for each split.

Weights are shares of samples, and a Megatron sample is `--seq-length` tokens long whatever its source, so
they are shares of tokens. A prefix is the path of a `.bin`/`.idx` pair without the ending. Checked with
`megatron.core.datasets.utils.get_blend_from_list` (megatron-core 0.16.1). That --data-args-path is split at
white space, without quotes, and that --per-split-data-args-path is JSON with the keys train, valid and test
was read in Megatron-LM's `pretrain_gpt` arguments (`get_blend_and_blend_per_split`), which is not a package.
An odd list of prefixes means "no weights" there; here every prefix has one.
"""

from __future__ import annotations

import json
import shlex

from aioli.errors import InputError
from aioli.export.blend import Blend, entries, require
from aioli.export.blend import present as present_groups
from aioli.export.format import Format
from aioli.export.units import decimals
from aioli.export.yaml_text import field, number, read_json

__all__ = ["FORMATS", "prefix_pairs", "zipped", "zipped_weights"]

ENDINGS = (".bin", ".idx")


def prefix_pairs(blend: Blend) -> list[tuple[str, str]]:
    """(weight, prefix) of every path.

    Raises:
        InputError: a group without a path, or a prefix with white space at its ends.
    """
    require(blend, "paths", present_groups(blend))
    found = entries(blend)
    prefixes = [entry.path.removesuffix(ENDINGS[0]).removesuffix(ENDINGS[1]) for entry in found]
    for prefix in prefixes:
        if prefix != prefix.strip():
            raise InputError(f"Megatron strips white space from prefixes: rename {prefix!r}")
        if prefixes.count(prefix) > 1:
            raise InputError(f"two groups have the prefix {prefix!r}: a Megatron blend has each once")
    weights = decimals({entry.name: entry.share for entry in found})
    return [(weights[entry.name], prefix) for entry, prefix in zip(found, prefixes, strict=True)]


def zipped(blend: Blend) -> list[str]:
    """[weight, prefix, weight, prefix, ...] as text."""
    return [part for pair in prefix_pairs(blend) for part in pair]


def zipped_weights(tokens: object, kind: str) -> dict[str, float]:
    """Weights by prefix of a zipped list.

    Raises:
        InputError: not a list, no weights (an odd list), or a prefix twice.
    """
    if isinstance(tokens, str):
        tokens = tokens.split()
    if not isinstance(tokens, list) or not tokens or len(tokens) % 2:
        raise InputError(f"{kind}: expected weight and prefix in turn, got {tokens!r:.100}")
    prefixes = [str(prefix).strip() for prefix in tokens[1::2]]
    if len(set(prefixes)) < len(prefixes):
        raise InputError(f"{kind}: a prefix is there twice; join its weights")
    return {
        prefix: number(weight, f"{kind}: the weight of {prefix!r}")
        for prefix, weight in zip(prefixes, tokens[::2], strict=True)
    }


def _write_arguments(blend: Blend) -> str:
    parts = zipped(blend)
    for prefix in parts[1::2]:
        if prefix.startswith("-"):
            raise InputError(f"the prefix {prefix!r} would be read as an option: write ./{prefix}")
    return shlex.join(["--data-path", *parts]) + "\n"


def _read_arguments(text: str) -> dict[str, float]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"the Megatron arguments cannot be split into words: {error}") from None
    starts = [place for place, word in enumerate(words) if word in ("--data-path", "--train-data-path")]
    if len(starts) != 1:
        raise InputError(f"expected --data-path or --train-data-path once, found it {len(starts)} times")
    rest = words[starts[0] + 1 :]
    end = next((place for place, word in enumerate(rest) if word.startswith("--")), len(rest))
    return zipped_weights(rest[:end], "--data-path")


def _write_file(blend: Blend) -> str:
    parts = zipped(blend)
    for prefix in parts[1::2]:
        if prefix.split() != [prefix]:
            raise InputError(
                f"a file for --data-args-path is split at white space, so it cannot name {prefix!r}: "
                "use --format megatron-json"
            )
    return "".join(f"{weight} {prefix}\n" for weight, prefix in zip(parts[::2], parts[1::2], strict=True))


def _read_file(text: str) -> dict[str, float]:
    return zipped_weights(text.split(), "the data-args file")


def _write_splits(blend: Blend) -> str:
    splits = {"train": zipped(blend), "valid": None, "test": None}
    return json.dumps(splits, indent=1, ensure_ascii=False) + "\n"


def _read_splits(text: str) -> dict[str, float]:
    found = read_json(text, "the per-split JSON")
    return zipped_weights(field(found, "train", "the per-split JSON"), "the split train")


FORMATS = (
    Format(
        "megatron", "Megatron-LM --data-path", "tokens", ".txt", _write_arguments, _read_arguments, ("paths",)
    ),
    Format(
        "megatron-args", "Megatron-LM --data-args-path", "tokens", ".txt", _write_file, _read_file, ("paths",)
    ),
    Format(
        "megatron-json",
        "Megatron-LM --per-split-data-args-path",
        "tokens",
        ".json",
        _write_splits,
        _read_splits,
        ("paths",),
    ),
)
