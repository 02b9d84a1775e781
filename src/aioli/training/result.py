"""The result of a finished run: small, plain JSON, from the journal, the log and the test."""

from __future__ import annotations

import math
import platform
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.journal import Change, Journal
from aioli.measure.evaluate import PILOT, Losses, fixed_subset, sequence_losses
from aioli.mixer import replay
from aioli.protocol import Array, Method, answer
from aioli.sweep.spec import RunSpec
from aioli.training.records import rounded
from aioli.trust import trust_along

__all__ = [
    "CURVE_POINTS",
    "machine",
    "read_test",
    "read_trust",
    "read_validation",
    "refuse_diverged",
    "told",
    "validation_losses",
    "within",
]

CURVE_POINTS = 50
PROPORTION_POINTS = 60
MATRIX_POINTS = 25
TRUST_POINTS = 40
DIGITS = 6
"""Of losses whose changes matter."""
NUMBERS = {"curve": 600, "proportions": 700, "matrices": 1000, "trust": 170}
"""Most numbers that each part of a result holds, beyond two points: many groups get fewer points."""


def within(part: str, points: int, size: int) -> int:
    """How many points of `size` numbers a part of the result may have, at most `points`."""
    return min(points, max(2, NUMBERS[part] // size))


def told(methods: Sequence[Method[Any]], journal: Journal, context: int) -> dict[str, Any]:
    """What happened to the groups, from the journal: counts, mixtures and matrices.

    `drawn` and `epochs` [m]; `proportions` [m] of training segments; `matrices` [n, m]; `mixture`. Where
    groups changed on the way, m are those of `Journal.groups`, None stands for one that was not there, and
    `changes` says what changed when.

    Args:
        methods: one for each of the journal's problems. context: tokens trained of a sequence.
    """
    groups, last = journal.groups, journal.problems[-1]
    mixtures = [
        (seen.step - request.steps, _placed(request.proportions, problem.groups, groups), request.phase)
        for problem, (request, seen) in journal.trained
        if request.phase == "train" and request.steps
    ]
    matrices: list[tuple[int, Array]] = []
    state: Any = None
    problems = [problem for problem, part in zip(journal.problems, journal.parts, strict=True) for _ in part]
    for problem, ((_, seen), state) in zip(problems, replay(methods, journal), strict=True):
        matrix: Array = getattr(state, "matrix", np.array(np.nan))
        if matrix.shape != (problem.n, problem.m) or not np.isfinite(matrix).all():
            continue
        matrix = _placed(_placed(matrix, problem.groups, groups).T, problem.targets, last.targets).T
        if not (matrices and np.array_equal(matrix, matrices[-1][1], equal_nan=True)):
            matrices.append((seen.step, matrix))
    mixtures = thinned(mixtures, within("proportions", PROPORTION_POINTS, len(groups)))
    matrices = thinned(matrices, within("matrices", MATRIX_POINTS, len(groups) * last.n))
    return _counted(journal, context) | {
        "proportions": {
            "step": [step for step, _, _ in mixtures],
            "values": [rounded(p) for _, p, _ in mixtures],
            "phase": [phase for _, _, phase in mixtures],
        },
        "matrices": [{"step": step, "values": [rounded(row, 4) for row in a]} for step, a in matrices],
        "mixture": _mixture(methods[-1], journal, state),
        **({"changes": [_change(each) for each in journal.changes]} if journal.changes else {}),
    }


def read_trust(methods: Sequence[Method[Any]], journal: Journal, paired: bool) -> dict[str, Any] | None:
    """How well the run's law predicted its losses (`aioli.trust`); None for a method without a law.

    `rounds`: spans of `steps` steps that end after `step`, in a `phase`: losses [n] `before`, `predicted` and
    `realised`. `scored` of them count in `r2` (against no change), `r2_trend` (against the targets' trends),
    both None before the first, and in `coverage`, the share of losses inside their 95% intervals, None
    where the probes show no spread.

    Args:
        methods: one for each of the journal's problems. paired: as of `aioli.trust.follow`.
    """
    trust, found = trust_along(methods, journal, paired)
    if not trust.score.laws:
        return None
    score, last = trust.score, journal.problems[-1].targets
    names = _targets_at(journal, [span.step for span in found])
    spans = [
        {"step": span.step, "steps": span.steps, "phase": span.phase}
        | {
            key: rounded(_placed(getattr(span, key), mine, last), DIGITS)
            for key in ("before", "predicted", "realised")
        }
        for span, mine in zip(found, names, strict=True)
    ]
    figures = {"r2": score.r2, "r2_trend": score.r2_trend, "coverage": score.coverage}
    return {
        "rounds": thinned(spans, within("trust", TRUST_POINTS, 3 * len(last))),
        **{key: None if value is None else round(value, 4) for key, value in figures.items()},
        "scored": score.spans,
    }


def _targets_at(journal: Journal, steps: Sequence[int]) -> list[tuple[str, ...]]:
    """The targets that the run had when each step was trained."""
    changes = [change.regroup.step for change in journal.changes]
    return [journal.problems[bisect_left(changes, step)].targets for step in steps]


def _placed(values: Array, names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Values [..., names] along `wanted`; NaN where one is not among the names."""
    if tuple(names) == tuple(wanted):
        return values
    place = {name: j for j, name in enumerate(names)}
    padded = np.concatenate([values, np.full((*values.shape[:-1], 1), np.nan)], axis=-1)
    return padded[..., [place.get(name, -1) for name in wanted]]


def _counted(journal: Journal, context: int) -> dict[str, list[Any]]:
    """Sequences drawn of each group under its name, and passes over its rows."""
    drawn, epochs = dict.fromkeys(journal.groups, 0), dict.fromkeys(journal.groups, 0.0)
    for problem in journal.problems:
        mine = [record.observation.drawn for owner, record in journal.trained if owner is problem]
        counts = np.sum([np.zeros(problem.m), *mine], axis=0)
        for name, tokens, count in zip(problem.groups, problem.group_tokens, counts, strict=True):
            drawn[name] += int(count)
            epochs[name] += float(count) / max(tokens // context, 1)
    return {"drawn": [*drawn.values()], "epochs": [round(value, 6) for value in epochs.values()]}


def _change(change: Change) -> dict[str, Any]:
    regroup = change.regroup
    return {
        "step": regroup.step,
        "groups": list(regroup.new.groups),
        "targets": list(regroup.new.targets),
        "parents": {name: list(parents) for name, parents in regroup.parents.items()},
        "removed": list(regroup.removed),
    }


def _mixture(method: Method[Any], journal: Journal, state: Any) -> dict[str, list[float] | None]:
    """[m] proportions: the last ones trained on, their mean over steps, the method's answer if it has one.

    Segments of phase "train" count; where a run has none, all that have steps. Groups that are no more have 0
    in the first and the last.
    """
    groups, last = journal.groups, journal.problems[-1]
    segments = [(problem, record.request) for problem, record in journal.trained if record.request.steps]
    segments = [pair for pair in segments if pair[1].phase == "train"] or segments
    steps = np.array([request.steps for _, request in segments])
    each = np.array([_placed(request.proportions, problem.groups, groups) for problem, request in segments])
    mean = steps @ np.nan_to_num(each) / steps.sum()
    concluded = answer(method, last, state)
    gone = [0.0] * (len(groups) - last.m)
    return {
        "final": np.nan_to_num(each[-1]).tolist(),
        "mean": mean.tolist(),
        "answer": None if concluded is None else [*concluded.tolist(), *gone],
    }


def thinned(items: list[Any], most: int) -> list[Any]:
    """At most `most` items, evenly spaced, the first and the last among them.

    >>> thinned(list(range(10)), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def read_test(spec: RunSpec, corpus: Corpus, losses: Losses) -> dict[str, list[Any]]:
    """Losses on fixed test sequences of every target, the same for all methods and seeds.

    Bits per byte = loss / ln 2 x tokens / bytes of the target's test split; None where bytes are unknown.
    """
    test: dict[str, list[Any]] = {"loss": [], "tokens": [], "bits_per_byte": []}
    for name in corpus.targets:
        rows = corpus.sequences(name, "test", spec.model.context + 1)
        tokens = fixed_subset(rows, spec.evaluation.test_sequences, 0, name)
        loss = float(sequence_losses(losses, tokens, spec.train.batch).mean())
        split = corpus.split(name, "test")
        test["loss"].append(loss)
        test["tokens"].append(len(tokens) * spec.model.context)
        test["bits_per_byte"].append(loss / math.log(2) * split.tokens / split.bytes if split.bytes else None)
    return test


def read_validation(spec: RunSpec, corpus: Corpus, before: Losses, after: Losses) -> dict[str, Any]:
    """Validation losses [n] of the untrained and of the trained model, in nats per token, and tokens read.

    `end_pilot` are the trained model's on the sequences with which an automatic `Evaluator` begins: a level
    that another run measures is comparable with these.

    Raises:
        InputError: the trained model's loss is not finite.
    """
    (start, _), (end, read) = (_validation_losses(spec, corpus, losses) for losses in (before, after))
    pilot = [each[:PILOT] for each in end] if spec.evaluation.sequences == "auto" else end
    first, last, least = ([float(each.mean()) for each in found] for found in (start, end, pilot))
    return {"start": first, "end": last, "end_pilot": least, "tokens": 2 * read}


def validation_losses(spec: RunSpec, corpus: Corpus, losses: Losses) -> tuple[list[float], int]:
    """Validation losses [n] in nats per token, and tokens read.

    Every target's sequences are all that an `Evaluator` of the same settings could read, in its order: its
    measurements in other runs are on the same text, or on the first part of it.

    Raises:
        InputError: a loss that is not finite.
    """
    found, read = _validation_losses(spec, corpus, losses)
    return [float(each.mean()) for each in found], read


def _validation_losses(spec: RunSpec, corpus: Corpus, losses: Losses) -> tuple[list[Array], int]:
    """Losses of every target's sequences, and tokens read."""
    settings = spec.evaluation
    count = settings.max_sequences if settings.sequences == "auto" else settings.sequences
    found, read = [], 0
    for name in corpus.targets:
        rows = corpus.sequences(name, "validation", spec.model.context + 1)
        tokens = fixed_subset(rows, count, 0, name)
        found.append(sequence_losses(losses, tokens, spec.train.batch))
        read += len(tokens) * spec.model.context
    refuse_diverged(corpus.targets, [float(each.mean()) for each in found], "validation")
    return found, read


def refuse_diverged(names: Sequence[str], losses: Sequence[float], what: str) -> None:
    """Refuse losses [n] that are not finite.

    Raises:
        InputError: so.
    """
    broken = [name for name, loss in zip(names, losses, strict=True) if not math.isfinite(loss)]
    if broken:
        raise InputError(
            f"the {what} loss of {', '.join(broken)} is infinite or NaN: the model diverged; lower "
            "train.learning_rate or train.clip, or lengthen train.warmup"
        )


def machine(device: torch.device) -> dict[str, Any]:
    """What the bits of a result depend on besides its RunSpec."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
