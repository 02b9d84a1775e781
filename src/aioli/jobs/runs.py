"""A comparison carried out: every run of a config, and the results written as they come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aioli.config import Config
from aioli.data.shards import Corpus, check_sequences
from aioli.data.tokenize import tokenize
from aioli.errors import InputError
from aioli.files import write_errors_explained
from aioli.jobs.extend import check_corpus, check_plan, found_plan
from aioli.jobs.names import tokens_directory
from aioli.jobs.output import write_plan, write_results
from aioli.jobs.watch import Watch
from aioli.sweep import local
from aioli.sweep.local import Event, Failure
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = ["RunsFailed", "carry_out", "check_workers", "plan_specs", "tokenized"]

KEPT = "finished runs and checkpoints are kept; free some space, then continue with --resume"


class RunsFailed(InputError):
    """Some runs failed; `results` compares the finished ones (None when there are none)."""

    def __init__(self, failures: Sequence[Failure], runs: int, results: dict[str, Any] | None) -> None:
        reasons: dict[str, list[str]] = {}
        for failure in failures:
            reasons.setdefault(failure.message, []).append(f"{failure.spec.label} seed {failure.spec.seed}")
        told = [f"{', '.join(names)}: {message}" for message, names in reasons.items()]
        kept = "the others are kept; " if len(failures) < runs else ""
        super().__init__(
            "\n  ".join(
                [
                    f"{len(failures)} of {runs} run{'s' * (runs > 1)} failed ({kept}--resume tries again):",
                    *told,
                ]
            )
        )
        self.results = results


def check_workers(workers: int | None) -> None:
    """Refuse fewer than one run at a time (None: as many as the cores allow).

    Raises:
        InputError: fewer than 1.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")


def plan_specs(config: Config, fingerprint: str) -> list[RunSpec]:
    """Every method with every seed, all methods of a seed together so that early results are paired."""
    return [
        RunSpec(
            method=choice.name,
            parameters=choice.identity[1],
            label=choice.label,
            data=fingerprint,
            seed=seed,
            model=config.model,
            train=config.train,
            evaluation=config.evaluation,
            objective=config.objective,
            target_weights=config.target_weights,
        )
        for seed in config.seeds
        for choice in config.methods
    ]


def tokenized(config: Config, store: Store, watch: Watch, workers: int | None = None) -> Corpus:
    """The config's corpus, made where it is not there yet.

    Raises:
        InputError: unusable data, or other text than that of the runs the output directory holds.
    """
    plan = found_plan(store.out)
    check_plan(plan, config, only="data.")
    where = tokens_directory(config, store.out)
    corpus = tokenize(config.data, config.base, where, workers=workers, progress=watch.tokenizing)
    for message in corpus.index.get("messages", ()):
        watch.message(str(message))
    check_corpus(plan, corpus)
    check_sequences(corpus, config.model.context)
    return corpus


def carry_out(config: Config, store: Store, workers: int | None, watch: Watch) -> dict[str, Any]:
    """Tokenise, run what is not finished, and write the results after every complete seed and at the end.

    Raises:
        InputError: a config that would replace results in the output directory, unusable data, or runs
            that failed (`RunsFailed`).
    """
    check_workers(workers)
    check_plan(found_plan(store.out), config)
    corpus = tokenized(config, store, watch)
    with write_errors_explained(store.out, KEPT):
        sweep = _Sweep(config, store, corpus, watch)
        try:
            outcome = local.run(
                sweep.specs, corpus.directory, store, workers=workers, on_event=sweep.on_event
            )
        except KeyboardInterrupt:
            sweep.write()
            raise
        results = sweep.write(outcome.failures)
    if outcome.failures:
        raise RunsFailed(outcome.failures, len(sweep.specs), results)
    assert results is not None
    return results


class _Sweep:
    """The planned runs, and which of them each seed still waits for."""

    def __init__(self, config: Config, store: Store, corpus: Corpus, watch: Watch) -> None:
        self.config, self.store, self.corpus, self.watch = config, store, corpus, watch
        self.specs = plan_specs(config, corpus.fingerprint)
        self.left = {seed: {spec.id for spec in self.specs if spec.seed == seed} for seed in config.seeds}
        write_plan(store, config, self.specs, corpus)
        watch.planned(self.specs, corpus.groups)

    def on_event(self, event: Event) -> None:
        """Pass an event on; when it completes a seed and others follow, write the results so far."""
        self.watch.run(event)
        if event.kind not in ("finished", "reused"):
            return
        waiting = self.left[event.spec.seed]
        waiting.discard(event.spec.id)
        if event.kind == "finished" and not waiting and any(self.left.values()):
            self.write()

    def write(self, failures: Sequence[Failure] = ()) -> dict[str, Any] | None:
        """Write the results of what is finished; None when nothing is."""
        results = self.store.finished(self.specs)
        if not results:
            return None
        told = [
            {"label": failure.spec.label, "seed": failure.spec.seed, "message": failure.message}
            for failure in failures
        ]
        return write_results(self.store.out, self.config.to_dict(), results, told, self.corpus)
