"""MosaicML streams (llm-foundry, mosaicml-streaming): a `proportion` for each stream.

Proportions are shares of samples. Samples written by llm-foundry's conversion with --concat_tokens all have
the same length, so these are shares of tokens; of samples of other lengths give the mean lengths. Every
stream has a proportion or none may (`Stream.validate_weights`). Read in the sources of mosaicml-streaming
0.13.0 and llm-foundry 0.22.0; not loaded by the library in tests, because it pins numpy below 2.2. A
schedule becomes its callback `curriculum_learning`, whose durations are tokens that must sum to
`max_duration`, so the budget is needed; the first stage is the train_loader.
"""

from __future__ import annotations

from typing import Any

from aioli.errors import InputError
from aioli.export.blend import Blend, Entry, entries, present, require
from aioli.export.format import Format
from aioli.export.units import from_tokens, rounded
from aioli.export.yaml_text import field, number, read_yaml, yaml_text

__all__ = ["FORMATS"]


def _write(blend: Blend) -> str:
    require(blend, "paths", present(blend))
    found = entries(blend)
    if blend.lengths:
        require(blend, "lengths", present(blend))
    if blend.stages is None:
        return yaml_text({"train_loader": {"dataset": _dataset(found, _shares(found))}})
    if blend.budget is None or blend.steps is None:
        raise InputError("the stages of a MosaicML schedule last a number of tokens: give --budget")
    ends = [stage.step for stage in blend.stages[1:]] + [blend.steps]
    marks = [0, *(round(blend.budget * end / blend.steps) for end in ends)]
    stages = [
        {"duration": f"{end - start}tok", "dataset": _dataset(found, _at(blend, stage.proportions, found))}
        for start, end, stage in zip(marks, marks[1:], blend.stages, strict=False)
    ]
    callback = {"duration": stages[0]["duration"], "schedule": stages[1:]}
    content: dict[str, Any] = {
        "max_duration": f"{marks[-1]}tok",
        "train_loader": {"dataset": stages[0]["dataset"]},
    }
    return yaml_text(content | ({"callbacks": {"curriculum_learning": callback}} if stages[1:] else {}))


def _shares(found: list[Entry]) -> dict[str, float]:
    return {entry.name: entry.share for entry in found}


def _at(blend: Blend, proportions: Any, found: list[Entry]) -> dict[str, float]:
    """Shares of the entries in a stage: each keeps its part of its group."""
    shares = dict(zip(blend.groups, proportions.tolist(), strict=True))
    whole = dict.fromkeys(shares, 0.0)
    for entry in found:
        whole[entry.group] += entry.share
    return {
        entry.name: share
        for entry in found
        if (share := shares[entry.group] * entry.share / whole[entry.group]) > 0
    }


def _dataset(found: list[Entry], shares: dict[str, float]) -> dict[str, Any]:
    lengths = {entry.name: entry.length for entry in found if entry.length is not None}
    weights = rounded(from_tokens(shares, lengths) if lengths else shares)
    places = {entry.name: entry.path for entry in found}
    return {
        "streams": {
            name: {"remote" if "://" in places[name] else "local": places[name], "proportion": weight}
            for name, weight in weights.items()
        }
    }


def _read(text: str) -> dict[str, float]:
    kind = "the llm-foundry config"
    found = read_yaml(text, kind)
    if isinstance(found, dict) and "curriculum_learning" in (found.get("callbacks") or {}):
        raise InputError(f"{kind}: holds a schedule (callbacks.curriculum_learning): remove it first")
    streams = field(found, "train_loader.dataset.streams", kind)
    if not isinstance(streams, dict) or not streams:
        raise InputError(f"{kind}: expected streams by name, got {streams!r:.100}")
    return {
        name: number(field(stream, "proportion", f"{kind}: stream {name!r}"), f"proportion of {name!r}")
        for name, stream in streams.items()
    }


FORMATS = (
    Format(
        "mosaicml",
        "llm-foundry streams YAML",
        "sequences",
        ".yaml",
        _write,
        _read,
        ("paths",),
        ("lengths", "budget"),
        staged=True,
    ),
)
