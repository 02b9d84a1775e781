"""A comparison carried out: every run of a config, and the results written as they come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aioli.config import Config
from aioli.constraints import Limits
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import write_errors_explained
from aioli.jobs.corpus import tokenized
from aioli.jobs.extend import check_plan, found_plan
from aioli.jobs.output import write_plan, write_results
from aioli.jobs.planning import RunPlan, plan_runs
from aioli.jobs.references import adopt, check_references, find_references
from aioli.jobs.regroup import continued
from aioli.jobs.watch import Watch
from aioli.sweep import local
from aioli.sweep.local import Event, Failure
from aioli.sweep.store import Store
from aioli.training.similar import check_contamination

__all__ = ["RunsFailed", "carry_out", "check_workers"]

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


def _check_constraints(config: Config, corpus: Corpus) -> None:
    """Refuse constraints that the tokenised groups cannot meet, before any run is begun."""
    context = config.model.context
    rows = [len(corpus.sequences(name, "train", context + 1)) for name in config.data.groups]
    Limits.of(config.problem([count * context for count in rows]))


def carry_out(
    config: Config, store: Store, workers: int | None, watch: Watch, *, validation: bool = False
) -> dict[str, Any]:
    """Tokenise, run what is not finished, and write the results after every complete seed and at the end.

    What a compared run needs is run before it, as `plan_runs` says.

    Args:
        validation: whether the compared runs record their validation losses.

    Raises:
        InputError: a config that would replace results in the output directory, unusable data, constraints
            that the data cannot meet, a reference that does not fit, or runs that failed (`RunsFailed`).
    """
    check_workers(workers)
    before = found_plan(store.out)
    check_plan(before, config)
    references = find_references(config)
    corpus = tokenized(config, store, watch)
    check_references(references, config, corpus)
    if not (before and before.changes):  # else checked against what is left of the run, when it changed
        _check_constraints(config, corpus)
    with write_errors_explained(store.out, KEPT):
        adopt(store, references)
        plan = plan_runs(config, corpus.fingerprint, references, validation=validation)
        if before and before.changes:
            plan = continued(plan, before)
        waiting = [spec for spec in plan.ordered() if not (store.directory(spec) / "result.json").exists()]
        check_contamination(waiting, corpus, watch.message)
        sweep = _Sweep(config, store, corpus, plan, watch)
        try:
            outcome = local.run(
                plan.ordered(), corpus.directory, store, workers=workers, on_event=sweep.on_event
            )
        except KeyboardInterrupt:
            sweep.write()
            raise
        results = sweep.write(outcome.failures)
    if outcome.failures:
        raise RunsFailed(outcome.failures, len(plan.compared) + len(plan.extra), results)
    assert results is not None
    return results


class _Sweep:
    """The planned runs, and which of them each seed still waits for."""

    def __init__(self, config: Config, store: Store, corpus: Corpus, plan: RunPlan, watch: Watch) -> None:
        self.config, self.store, self.corpus, self.watch = config, store, corpus, watch
        self.specs = plan.compared
        self.left = {seed: {spec.id for spec in self.specs if spec.seed == seed} for seed in config.seeds}
        write_plan(store, config, self.specs, corpus)
        watch.planned(plan.ordered(), corpus.groups)

    def on_event(self, event: Event) -> None:
        """Pass an event on; when it completes a seed and others follow, write the results so far."""
        self.watch.run(event)
        if event.kind not in ("finished", "reused"):
            return
        waiting = self.left.get(event.spec.seed, set())
        if event.spec.id not in waiting:
            return
        waiting.discard(event.spec.id)
        if event.kind == "finished" and not waiting and any(self.left.values()):
            self.write()

    def write(self, failures: Sequence[Failure] = ()) -> dict[str, Any] | None:
        """Write the results of what is finished; None when nothing is."""
        results = self.store.finished(self.specs)
        if not results:
            return None
        compared = {spec.id for spec in self.specs}
        told = [
            {"label": failure.spec.label, "seed": failure.spec.seed, "message": _reason(failure)}
            for failure in failures
            if failure.spec.id in compared
        ]
        return write_results(self.store.out, self.config.to_dict(), results, told, self.corpus)


def _reason(failure: Failure) -> str:
    return f"{failure.message} ({failure.cause.message})" if failure.cause else failure.message
