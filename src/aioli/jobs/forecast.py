"""What a job would do and how long it would take, without writing anything."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.config import Config, MethodChoice, to_yaml
from aioli.constraints import Limits
from aioli.data.settings import TextSource
from aioli.data.shards import Corpus, check_sequences
from aioli.data.sources import open_source
from aioli.errors import InputError, MixingWarning
from aioli.jobs.names import tokens_directory
from aioli.jobs.planning import plan_runs
from aioli.jobs.references import check_references, find_references
from aioli.methods import registry
from aioli.methods.recipes import MIXTURE
from aioli.mixer import Mixer
from aioli.protocol import Constraints, Method, Problem, Signal
from aioli.signals import signal_shape
from aioli.sweep.local import default_workers
from aioli.sweep.runner import check_counts
from aioli.sweep.spec import RunSpec
from aioli.training.similar import named_similar
from aioli.training.timing import seconds_per_step

__all__ = ["data_table", "forecast"]

BYTES_PER_TOKEN = 3.3
"""Of English text and code at a few thousand entries; measured counts replace it once tokenised."""
COMPRESSION = {".gz": 3.0, ".zst": 3.3, ".parquet": 2.5}
STARTING_SECONDS = 4.0
FORWARD = 1 / 3
"""Of a training step's time: reading as many sequences forward only."""


def forecast(config: Config, out: Path, workers: int | None, *, data_only: bool = False) -> dict[str, Any]:
    """The resolved config, tokens of each group, epochs under each method's first mixture, and time.

    Token counts are measured when the corpus is tokenised already, else estimated from the files' sizes
    (`estimated` is True). `seconds` holds that of a step, timed here, those that one run of each method
    measures, those of the test at its end, and the total of all runs at `workers`. Reading
    forward is taken as a third of training; `evaluation.sequences: auto` as its `max_sequences`.

    Args:
        data_only: leave out everything about runs.

    Raises:
        InputError: no such files, fewer than 1 worker, a method that does not fit, or too few tokens for
            the context.
    """
    check_counts(workers)
    corpus = _cached(config, out)
    table = data_table(config, corpus) if corpus else estimated_table(config)
    content: dict[str, Any] = {
        "out": str(out),
        "config": config.to_dict(),
        "yaml": to_yaml(config),
        "estimated": corpus is None,
        "data": table,
        "runs": 0,
        "extra_runs": 0,
        "workers": 0,
        "epochs": {},
        "seconds": None,
    }
    return content if data_only else content | _runs(config, corpus, table, workers)


def _runs(
    config: Config, corpus: Corpus | None, table: list[dict[str, Any]], workers: int | None
) -> dict[str, Any]:
    if corpus:
        check_sequences(corpus, config.model.context)
    else:
        _check_estimate(config, table)
    tokens = {row["name"]: row["train_tokens"] for row in table if row["role"] == "group"}
    _check_constraints(config, tokens, measured=corpus is not None)
    references = find_references(config)
    if corpus:
        check_references(references, config, corpus)
    plan = plan_runs(config, corpus.fingerprint if corpus else "", references)
    there = {adopted.spec.id for adopted in references.values()}
    specs = [spec for spec in plan.ordered() if spec.id not in there]
    at_once = min(workers or default_workers(specs), len(specs))
    vocabulary = corpus.vocab_size if corpus else config.data.tokenizer.vocab_size
    step = seconds_per_step(config.model, config.train, vocabulary)
    sequence = FORWARD * step / config.train.batch
    test = len(config.targets) * config.evaluation.test_sequences * sequence
    problem = config.problem(list(tokens.values()))
    measuring = {spec.id: _measuring(config, spec, problem) * sequence for spec in specs}
    each = [spec.train.steps * step + measuring[spec.id] + test + STARTING_SECONDS for spec in specs]
    return {
        "runs": len(specs),
        "extra_runs": len(specs) - len(plan.compared),
        "workers": at_once,
        "epochs": {
            choice.label: epochs(config, choice, tokens)
            for choice in config.methods
            if _known(choice, problem)
        },
        "seconds": {
            "step": step,
            "measuring": {spec.label: measuring[spec.id] for spec in plan.compared},
            "test": test,
            "total": max(sum(each) / at_once, max(each)),
        },
    }


def _known(choice: MethodChoice, problem: Problem) -> bool:
    """Whether a method's first mixture is known before anything is run."""
    if choice.takes_mixture or named_similar(choice.name, choice.parameters):
        return False
    return not registry.extra_runs(choice.name, choice.parameters, problem)


def _measuring(config: Config, spec: RunSpec, problem: Problem) -> int:
    """Sequences that a run reads forward besides training and its test, at most."""
    read = 2 * _sequences(config) * spec.validation
    if MIXTURE in spec.inputs:
        return read
    run = replace(
        problem,
        total_steps=spec.train.steps,
        warmup_steps=spec.train.warmup,
        constraints=Constraints(),  # they change no plan
    )
    method = registry.stand_in(spec.method, spec.parameters, run)
    return read + measurements(method, run) * _sequences(config)


def _check_estimate(config: Config, table: list[dict[str, Any]]) -> None:
    """Refuse a context that no sequence of some group or target would fill, by the estimated tokens."""
    short = []
    for row in table:
        splits = ["train"] * (row["role"] == "group") + ["validation", "test"] * (
            row["name"] in config.targets
        )
        counts = {split: row[f"{split}_tokens"] for split in splits}
        short += [
            f"{row['name']}: {n} {split} tokens" for split, n in counts.items() if n <= config.model.context
        ]
    if short:
        raise InputError(
            f"a context of {config.model.context} needs at least {config.model.context + 1} tokens in every "
            "group's training split and every target's validation and test splits; by the sizes of the files "
            f"there are about {'; '.join(short)}. Add text or lower model.context; `aioli tokenize` measures "
            "the tokens"
        )


def _check_constraints(config: Config, tokens: dict[str, int], *, measured: bool) -> None:
    """Refuse constraints that the groups' training tokens cannot meet."""
    context = config.model.context
    try:
        Limits.of(config.problem([count // (context + 1) * context for count in tokens.values()]))
    except InputError as error:
        if measured:
            raise
        raise InputError(f"by the files' sizes, {error}; `aioli tokenize` measures the tokens") from None


def _sequences(config: Config) -> int:
    """Sequences that one measurement reads, at most."""
    settings = config.evaluation
    each = settings.max_sequences if settings.sequences == "auto" else settings.sequences
    return len(config.targets) * each


def measurements(method: Method[Any], problem: Problem) -> int:
    """How often a method has the targets measured: its plan played through, with losses that stay."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        mixer, count = Mixer(method, problem), 0
        while not mixer.done:
            request = mixer.request
            for _ in range(request.steps):
                mixer.advance(problem.uniform)
            held_out = {Signal.VALIDATION_LOSS, Signal.VALIDATION_ERROR}
            count += not held_out.isdisjoint(request.observe)
            mixer.tell({signal: np.ones(signal_shape(signal, problem)) for signal in request.observe}, 1.0)
    return count


def data_table(config: Config, corpus: Corpus) -> list[dict[str, Any]]:
    """Measured tokens, documents and bytes of every group and target."""
    names = [*corpus.groups, *(name for name in corpus.targets if name not in corpus.groups)]
    rows = []
    for name in names:
        role = "group" if name in corpus.groups else "target"
        splits = {
            split: corpus.split(name, split)
            for split in ("train", "validation", "test")
            if role == "group" or split != "train"
        }
        rows.append(
            {"name": name, "role": role}
            | {
                f"{split}_tokens": splits[split].tokens if split in splits else 0
                for split in ("train", "validation", "test")
            }
            | {"documents": sum(info.documents for info in splits.values())}
        )
    return rows


def estimated_table(config: Config) -> list[dict[str, Any]]:
    """The same from the sizes of the files, before anything is tokenised."""
    sides: list[tuple[str, dict[str, TextSource]]] = [
        ("group", config.data.groups),
        ("target", config.data.targets),
    ]
    return [
        _estimate(config, name, source, role) for role, sources in sides for name, source in sources.items()
    ]


def _estimate(config: Config, name: str, settings: TextSource, role: str) -> dict[str, Any]:
    source = open_source(name, settings, config.base, target=role == "target")
    text = sum(size * COMPRESSION.get(Path(path).suffix, 1.0) for path, size, _ in source.files)
    width = 4 if settings.dtype == "uint32" else 2
    tokens = text / (width if source.tokens else BYTES_PER_TOKEN)
    held = {"validation": config.data.split.validation, "test": config.data.split.test}
    if role == "target":
        total = sum(held.values())
        held = {split: share / total for split, share in held.items()}
    counts = {split: round(tokens * share) for split, share in held.items()}
    train = 0 if role == "target" else round(tokens) - sum(counts.values())
    return {
        "name": name,
        "role": role,
        "train_tokens": train,
        "validation_tokens": counts["validation"],
        "test_tokens": counts["test"],
        "documents": None,
    }


def epochs(config: Config, choice: MethodChoice, tokens: dict[str, int]) -> dict[str, float | None]:
    """Passes over each group if the method's first mixture stayed for the whole run; None: no sequence."""
    length = config.model.context + 1
    problem = config.problem(list(tokens.values()))
    first = Mixer(registry.build(choice.name, choice.parameters), problem).request.proportions
    drawn = first * config.train.steps * config.train.batch
    rows = {name: count // length for name, count in tokens.items()}
    return {
        name: round(float(count) / rows[name], 3) if rows[name] else None
        for name, count in zip(tokens, drawn, strict=True)
    }


def _cached(config: Config, out: Path) -> Corpus | None:
    """The tokenised corpus where there is one of the same groups and targets."""
    try:
        corpus = Corpus.open(tokens_directory(config, out))
    except InputError:
        return None
    same = corpus.groups == tuple(config.data.groups) and corpus.targets == config.targets
    return corpus if same else None
