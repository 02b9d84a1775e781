"""From a mixture file, a solution or a finished run to a trainer's blend, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aioli.config import load
from aioli.data.shards import INDEX, Corpus
from aioli.errors import InputError
from aioli.export.blend import Blend
from aioli.export.formats import import_text
from aioli.export.plain import read_plain
from aioli.export.schedule import Merged, merge, schedule_of, stretch
from aioli.export.yaml_text import number, numbers, read_yaml
from aioli.jobs.mixture import Kind, mixture_of, take
from aioli.jobs.references import find_run
from aioli.journal import Journal

__all__ = ["Beside", "blend_of", "read_back", "read_beside", "schedule_blend"]

Paths = dict[str, dict[str, float | None]]


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known of groups beside their shares: paths, tokens available, mean tokens of an example."""

    paths: Mapping[str, Mapping[str, float | None]]
    tokens: Mapping[str, float]
    lengths: Mapping[str, float] | float

    def lengths_of(self, groups: tuple[str, ...]) -> dict[str, float]:
        """By group; one number holds for all of `groups`."""
        if isinstance(self.lengths, Mapping):
            return dict(self.lengths)
        return dict.fromkeys(groups, self.lengths)


def read_beside(
    *,
    paths: Path | None = None,
    config: Path | None = None,
    tokens: Path | None = None,
    lengths: str | None = None,
) -> Beside:
    """Read what the options name.

    Args:
        paths: a YAML or JSON file with a path, a list of paths or {path: tokens} for every group.
        config: a config whose data.groups say the paths; its tokenised corpus, if any, how many tokens.
        tokens: a file of tokens by group, or a tokenised corpus. lengths: a number, or the like.

    Raises:
        InputError: both paths and config, or files that hold something else.
    """
    if paths is not None and config is not None:
        raise InputError("both --paths and --config say where the files are: give one of them")
    found = _read_paths(paths) if paths is not None else {}
    corpus: Path | None = None
    if config is not None:
        checked = load(config, methods=False)
        found = {
            name: {path if "://" in path else str(checked.base / path): None for path in source.paths}
            for name, source in checked.data.groups.items()
        }
        data = checked.data.tokens
        corpus = checked.base / data if data and (checked.base / data / INDEX).exists() else None
    sizes = _amounts(tokens or corpus, "tokens", _corpus_tokens)
    known = {name: sum(s or 0.0 for s in given.values()) for name, given in found.items()}
    sizes = {name: size for name, size in known.items() if size and all(found[name].values())} | sizes
    return Beside(found, sizes, _read_lengths(lengths))


def _read_paths(path: Path) -> Paths:
    given = read_yaml(_text(path), str(path))
    if not isinstance(given, dict) or not given:
        raise InputError(f"{path}: expected a mapping of groups to paths, got {given!r:.100}")
    return {group: _paths_of(value, f"{path}: group {group!r}") for group, value in given.items()}


def _paths_of(value: Any, what: str) -> dict[str, float | None]:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict) and value:
        return {path: number(size, f"{what}: the tokens of {path!r}") for path, size in value.items()}
    if not isinstance(value, list) or not value or not all(isinstance(path, str) for path in value):
        raise InputError(f"{what}: expected a path, a list of paths or {{path: tokens}}, got {value!r:.100}")
    return dict.fromkeys(value)


def _read_lengths(given: str | None) -> dict[str, float] | float:
    if given is None:
        return {}
    try:
        length = float(given)
    except ValueError:
        return _amounts(Path(given), "lengths", _corpus_lengths)
    if not 0 < length < math.inf:
        raise InputError(f"--lengths must be positive, got {given}")
    return length


def _amounts(
    source: Path | None, what: str, of_corpus: Callable[[Corpus], dict[str, float]]
) -> dict[str, float]:
    if source is None:
        return {}
    if source.is_dir():
        return of_corpus(Corpus.open(source))
    return numbers(read_yaml(_text(source), str(source)), f"{source} ({what} by group)")


def _corpus_tokens(corpus: Corpus) -> dict[str, float]:
    return {group: float(corpus.split(group, "train").tokens) for group in corpus.groups}


def _corpus_lengths(corpus: Corpus) -> dict[str, float]:
    splits = {group: corpus.split(group, "train") for group in corpus.groups}
    return {group: info.tokens / info.documents for group, info in splits.items() if info.documents}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got a byte {error.object[error.start]:#x}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def blend_of(
    mixture: Path,
    beside: Beside,
    *,
    kind: Kind | None = None,
    method: str | None = None,
    seed: int | None = None,
    budget: float | None = None,
) -> Blend:
    """A constant blend from a mixture file, a solution, or a finished run.

    Args:
        kind: of a run: its answer, mean or final mixture; None: the answer if it has one, else the mean.
        method, seed: which of several runs.

    Raises:
        InputError: nothing of the kind there, or `kind` of something that is not a run.
    """
    if mixture.is_dir():
        shares = take(mixture_of(mixture, method=method, seed=seed), kind)
    else:
        if kind is not None:
            raise InputError(f"--take is for runs; {mixture} is a file")
        shares = _read_mixture(mixture)
    groups = tuple(shares)
    return Blend(
        groups,
        np.array(list(shares.values())),
        beside.paths,
        beside.tokens,
        beside.lengths_of(groups),
        budget=budget,
    )


def _read_mixture(path: Path) -> dict[str, float]:
    text = _text(path)
    try:
        return read_plain(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def schedule_blend(
    run: Path,
    beside: Beside,
    *,
    most: int,
    method: str | None = None,
    seed: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    budget: float | None = None,
) -> tuple[Blend, Merged]:
    """The schedule of a finished run in at most `most` stages, and how far from it they are.

    Args:
        steps: of the trainer, that the schedule is stretched over; None: as the run's.
        batch: sequences a step of the trainer; None: as the run's.

    Raises:
        InputError: no finished run there.
    """
    if not run.is_dir():
        raise InputError(f"--schedule is for runs, by their directory; {run} is none")
    spec, directory = find_run(run, seed, method)
    groups, stages, trained = schedule_of(Journal.read(directory / "journal.jsonl"))
    merged = merge(stages, trained, most)
    wanted = steps or trained
    blend = Blend(
        groups,
        merged.mean,
        beside.paths,
        beside.tokens,
        beside.lengths_of(groups),
        stages=stretch(merged.stages, trained, wanted),
        steps=wanted,
        batch=batch or spec.train.batch,
        budget=budget,
    )
    return blend, merged


def read_back(path: Path, name: str, beside: Beside) -> dict[str, float]:
    """Shares of tokens by group from a trainer's file in the format `name`.

    Raises:
        InputError: a file that cannot be read as one, or sizes or lengths missing that its unit needs.
    """
    text = _text(path)
    try:
        return import_text(text, name, paths=beside.paths, tokens=beside.tokens, lengths=beside.lengths)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
