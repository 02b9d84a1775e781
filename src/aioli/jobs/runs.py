"""A comparison carried out: every run of a config, and the results written as they come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aioli.config import Config
from aioli.constraints import Limits
from aioli.data.repetition import matched_rows
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import write_errors_explained
from aioli.jobs.corpus import tokenized
from aioli.jobs.deciding import rounds
from aioli.jobs.extend import check_plan, found_plan
from aioli.jobs.output import write_plan, write_results
from aioli.jobs.planning import RunPlan, plan_runs
from aioli.jobs.references import adopt, check_references, find_references
from aioli.jobs.regroup import continued
from aioli.jobs.watch import Watch
from aioli.sweep import local
from aioli.sweep.runner import ATTEMPTS, Event, Failure, Outcome, Runner, check_counts
from aioli.sweep.store import Store
from aioli.trackers.process import Following
from aioli.trackers.tracker import check_installed
from aioli.training.similar import check_contamination

__all__ = ["RunsFailed", "carry_out"]

Writer = Callable[
    [Path, Mapping[str, Any], Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]], Corpus | None],
    dict[str, Any],
]
"""Takes (directory, config, results, failures as {label, seed, message}, corpus); see `write_results`."""
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


def _check_constraints(config: Config, corpus: Corpus, target_tokens: int | None) -> None:
    """Refuse constraints, or a target run, that the tokenised groups cannot meet, before any run is begun."""
    context = config.model.context
    rows = [len(corpus.sequences(name, "train", context + 1)) for name in config.data.groups]
    if target_tokens is not None:
        run_tokens = config.train.steps * config.train.batch * context
        rows = matched_rows(tuple(config.data.groups), rows, run_tokens, target_tokens)
    Limits.of(config.problem([count * context for count in rows]))


def carry_out(
    config: Config,
    store: Store,
    workers: int | None,
    watch: Watch,
    *,
    validation: bool = False,
    target_tokens: int | None = None,
    attempts: int = ATTEMPTS,
    runner: Runner = local.run,
    write: Writer = write_results,
) -> dict[str, Any]:
    """Tokenise, run what is not finished, and write the results after every complete seed and at the end.

    What a compared run needs is run before it, as `plan_runs` says.

    Args:
        validation: whether the compared runs record their validation losses.
        target_tokens: length of the run that every run stands for, repeating its data as often.
        attempts: how often a run is started at most. runner: where the runs are carried out.
        write: what makes results of the finished runs.

    Raises:
        InputError: a config that would replace results in the output directory, unusable data, constraints
            that the data cannot meet, a reference that does not fit, or runs that failed (`RunsFailed`).
    """
    check_counts(workers, attempts)
    check_installed(config.trackers)
    before = found_plan(store.out)
    check_plan(before, config)
    references = find_references(config)
    corpus = tokenized(config, store, watch)
    check_references(references, config, corpus)
    if not (before and before.changes):  # else checked against what is left of the run, when it changed
        _check_constraints(config, corpus, target_tokens)
    with write_errors_explained(store.out, KEPT):
        adopt(store, references)
        plan = plan_runs(
            config, corpus.fingerprint, references, validation=validation, target_tokens=target_tokens
        )
        if before and before.changes:
            plan = continued(plan, before)
        waiting = [spec for spec in plan.ordered() if not (store.directory(spec) / "result.json").exists()]
        check_contamination(waiting, corpus, watch.message)
        sweep = _Sweep(config, store, corpus, plan, watch, write)
        try:
            with Following(store.out, config.trackers, watch.message):
                failures = sweep.carry_out(partial(runner, workers=workers, attempts=attempts))
        except KeyboardInterrupt:
            sweep.write()
            raise
        results = sweep.write(failures)
    if failures:
        raise RunsFailed(failures, len(sweep.given), results)
    assert results is not None
    return results


class _Sweep:
    """The planned runs, those given to a runner so far, and which of them each seed still waits for."""

    def __init__(
        self, config: Config, store: Store, corpus: Corpus, plan: RunPlan, watch: Watch, write: Writer
    ) -> None:
        self.config, self.store, self.corpus, self.watch = config, store, corpus, watch
        self.writer, self.plan = write, plan
        self.specs = plan.compared
        self.given: set[str] = set()
        self.left: dict[int, set[str]] = {}
        self.unwritten = False
        write_plan(store, config, self.specs, corpus)
        watch.planned(plan.ordered(), corpus.groups)

    def carry_out(self, runner: Callable[..., Outcome]) -> list[Failure]:
        """Carry out one round after the other, and return the runs that failed."""
        failures: dict[str, Failure] = {}
        for each in rounds(self.plan, self.config, self.store.finished):
            if each.told:
                self.watch.standing(each.told, each.most)
            specs = each.plan.ordered()
            if not specs:
                continue
            if self.unwritten:
                self.write(list(failures.values()))
            self.given |= {spec.id for spec in specs}
            for spec in each.plan.compared:
                self.left.setdefault(spec.seed, set()).add(spec.id)
            outcome = runner(specs, self.corpus.directory, self.store, on_event=self.on_event)
            failures |= {failure.spec.id: failure for failure in outcome.failures}
        return list(failures.values())

    def on_event(self, event: Event) -> None:
        """Pass an event on; when it completes a seed and others follow, write the results so far."""
        self.watch.run(event)
        if event.kind not in ("finished", "reused"):
            return
        waiting = self.left.get(event.spec.seed, set())
        if event.spec.id not in waiting:
            return
        waiting.discard(event.spec.id)
        self.unwritten |= event.kind == "finished"
        if event.kind == "finished" and not waiting and any(self.left.values()):
            self.write()

    def write(self, failures: Sequence[Failure] = ()) -> dict[str, Any] | None:
        """Write the results of what is finished; None when nothing is."""
        self.unwritten = False
        results = self.store.finished(self.specs)
        if not results:
            return None
        compared = {spec.id for spec in self.specs}
        told = [
            {"label": failure.spec.label, "seed": failure.spec.seed, "message": _reason(failure)}
            for failure in failures
            if failure.spec.id in compared
        ]
        return self.writer(self.store.out, self.config.to_dict(), results, told, self.corpus)


def _reason(failure: Failure) -> str:
    return f"{failure.message} ({failure.cause.message})" if failure.cause else failure.message
