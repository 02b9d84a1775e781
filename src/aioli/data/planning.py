"""Everything decided between reading the documents and encoding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aioli.data.jobs import Cutting, Scanned, Tally
from aioli.data.predecessor import Predecessor
from aioli.data.settings import SplitSettings
from aioli.data.sources import Source
from aioli.data.splits import (
    DUPLICATE,
    IN_TARGET,
    NO_PINS,
    SPLITS,
    TRAIN,
    TRAINED,
    Assignment,
    Codes,
    Keys,
    assign,
    block_size,
)
from aioli.errors import InputError

__all__ = ["Plan", "Survey", "check_documents", "cuttings", "make_plans", "split_names", "training_sample"]

SAMPLE_LEAST, SAMPLE_MOST = 256 << 10, 4 << 20
"""Bounds, in bytes, of what each group gives to the training of the tokenizer."""


@dataclass(frozen=True)
class Survey:
    """What reading a source brought up: one `Scanned` a unit."""

    source: Source
    units: tuple[Scanned, ...]

    @property
    def keys(self) -> Keys:
        return np.concatenate([unit.keys for unit in self.units])

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.concatenate([unit.sizes for unit in self.units])

    @property
    def tally(self) -> Tally:
        tally = Tally()
        for unit in self.units:
            tally.add(unit.tally)
        return tally

    @property
    def largest_id(self) -> int:
        return max(unit.largest_id for unit in self.units)


@dataclass(frozen=True)
class Plan:
    """What is to become of a source's documents (or blocks); `cut` [c] are keys of documents in blocks."""

    survey: Survey
    cutting: Cutting
    assignment: Assignment
    cut: Keys

    def by_unit(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Cut an array over all documents into one array a unit."""
        bounds = np.cumsum([0, *(unit.keys.size for unit in self.survey.units)])
        return [values[start:end] for start, end in pairwise(bounds.tolist())]

    @property
    def codes(self) -> list[Codes]:
        return self.by_unit(self.assignment.codes)

    def notes(self) -> tuple[dict[str, int], list[str]]:
        """Counts for the index, and the messages that a user should see."""
        tally, name = self.survey.tally, self.survey.source.name
        counts = {
            "documents": tally.documents,
            "empty": tally.empty,
            "invalid": tally.invalid,
            "duplicates_dropped": self.assignment.count(DUPLICATE),
            "duplicates_kept_in_training": self.assignment.kept_copies,
            "in_targets": self.assignment.count(IN_TARGET),
            "trained_before": self.assignment.count(TRAINED),
            "block": self.cutting.block,
        }
        kind = "tokens" if self.survey.source.tokens else "characters"
        told = {
            "invalid": f"skipped, not valid UTF-8 (the first is {tally.first_invalid})",
            "empty": "skipped, empty",
            "duplicates_dropped": "dropped from validation or test, second copies",
            "duplicates_kept_in_training": "in training are second copies",
            "in_targets": "left out of the group because a target has them too",
            "trained_before": "left out of the target because the run may have trained on them",
        }
        messages = [f"{name}: {_count(counts[what])} {text}" for what, text in told.items() if counts[what]]
        if self.cutting.block:
            messages.append(
                f"{name}: only {_count(tally.documents)}, so it was cut into blocks of about "
                f"{self.cutting.block} {kind} before splitting"
            )
        return counts, messages


def _count(number: int) -> str:
    return "1 document" if number == 1 else f"{number} documents"


def check_documents(surveys: Sequence[Survey], allowed: float) -> None:
    """Refuse a source without documents, or with too large a share of invalid ones.

    Raises:
        InputError: naming the source and the first invalid document.
    """
    for survey in surveys:
        tally, name = survey.tally, survey.source.name
        met = tally.documents + tally.invalid
        if met and tally.invalid / met > allowed:
            raise InputError(
                f"{name}: {tally.invalid} of {met} documents are not valid UTF-8 (the first is "
                f"{tally.first_invalid}), more than the share data.invalid_documents allows ({allowed:g}): "
                f"convert them to UTF-8, leave them out, or raise the share to skip them"
            )
        if not tally.documents:
            files = len(survey.source.files)
            raise InputError(
                f"{name} has no documents: {files} file{'s' * (files != 1)} read, {tally.empty} empty "
                f"documents, {tally.invalid} skipped as invalid UTF-8: give it text or remove it"
            )


def cuttings(
    surveys: Sequence[Survey], split: SplitSettings, before: Predecessor | None
) -> dict[str, Cutting]:
    """Decide which sources are cut into blocks.

    A document that another group or target has too stays whole, so that its copies stay together; a
    target's need not when only groups have it, because those leave it out. What an earlier corpus cut, or
    left whole, stays so.
    """
    result = {}
    pins, known = (NO_PINS, {}) if before is None else (before.pins, before.cut)
    for survey in surveys:
        shares = (0.5, 0.5) if survey.source.target else (split.validation, split.test)
        block = before.block(survey.source.name) if before else 0
        block = block or block_size(survey.keys, survey.sizes, shares, tokens=survey.source.tokens)
        whole: set[int] = set()
        for other in surveys if block else ():
            if other is not survey and (other.source.target or not survey.source.target):
                whole.update(np.intersect1d(survey.keys, other.keys).tolist())
        if block:
            whole.update(np.intersect1d(survey.keys, pins.keys).tolist())
        cut = (
            {name: known[name] for name in np.unique(survey.keys).tolist() if name in known} if known else {}
        )
        result[survey.source.name] = Cutting(block, frozenset(whole), cut)
    return result


def make_plans(
    documents: Sequence[Survey],
    pieces: Sequence[Survey],
    cutting: Mapping[str, Cutting],
    split: SplitSettings,
    before: Predecessor | None,
) -> list[Plan]:
    """Assign every piece (document or block) of every source to a split.

    Args:
        documents: surveys of whole documents.
        pieces: surveys after cutting; the same for sources that are not cut.
        before: the corpus whose documents stay in the splits they are in.
    """
    none = np.empty(0, np.uint64)
    held = np.unique(
        np.concatenate([none, *(s.keys for s in (*documents, *pieces) if s.source.target)], dtype=np.uint64)
    )
    groups = {s.source.name: s.keys for s in pieces if not s.source.target}
    targets = {s.source.name: s.keys for s in pieces if s.source.target}
    assignments = assign(groups, targets, held, split, NO_PINS if before is None else before.pins)
    return [
        Plan(piece, cutting[name], assignments[name], _cut_documents(whole.keys, cutting[name]))
        for whole, piece in zip(documents, pieces, strict=True)
        for name in [piece.source.name]
    ]


def _cut_documents(keys: Keys, cutting: Cutting) -> Keys:
    """Keys of the documents that are cut into blocks."""
    different = np.unique(keys)
    known = np.isin(different, np.array([*cutting.cut], np.uint64))
    if not cutting.block:
        return different[known]
    return different[known | ~np.isin(different, np.array([*cutting.whole], np.uint64))]


def training_sample(plans: Sequence[Plan]) -> tuple[dict[str, list[NDArray[np.int64]]], int]:
    """Choose what the tokenizer is trained on: as many bytes of training text from each text group.

    That is what the smallest group has, but at least SAMPLE_LEAST (a smaller group then gives all it has)
    and at most SAMPLE_MOST. Documents are taken in the order of their hashes, which is random in content.

    Returns:
        the places of the chosen documents in each unit of each group, and the bytes a group gives.
    """
    text = [plan for plan in plans if not plan.survey.source.target and not plan.survey.source.tokens]
    training = {p.survey.source.name: p.assignment.codes == TRAIN for p in text}
    sizes = [int(p.survey.sizes[training[p.survey.source.name]].sum()) for p in text]
    budget = int(np.clip(min(sizes, default=0), SAMPLE_LEAST, SAMPLE_MOST))
    chosen = {}
    for plan in text:
        name = plan.survey.source.name
        order = np.argsort(plan.survey.keys, kind="stable")
        order = order[training[name][order]]
        before = np.cumsum(plan.survey.sizes[order]) - plan.survey.sizes[order]
        mask = np.zeros(plan.survey.keys.size, bool)
        mask[order[before < budget]] = True
        chosen[name] = [np.flatnonzero(part) for part in plan.by_unit(mask)]
    return chosen, budget


def split_names(source: Source) -> tuple[str, ...]:
    """The splits a source has: targets have no training split."""
    return SPLITS[1:] if source.target else SPLITS
