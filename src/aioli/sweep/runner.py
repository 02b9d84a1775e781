"""What every runner does: which run starts when, what a worker says, and what deserves another attempt.

A runner is a schedule of runs over `Workers`: processes of this machine (`aioli.sweep.local`), or of a
cluster (`aioli.sweep.ray`). Every worker is `python -m aioli.sweep.worker`, in the run's own directory.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aioli.errors import InputError
from aioli.sweep.memory import ADVICE, in_log
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = [
    "ATTEMPTS",
    "Event",
    "Failure",
    "Message",
    "Outcome",
    "Runner",
    "Workers",
    "check_counts",
    "run_on",
    "unfinished",
]

ATTEMPTS = 2
INTERRUPTED = 130

Message = dict[str, Any]
"""What comes from a worker: {"started": where}, {"progress": {...}}, {"error": text, "kind": ...}, or at its
end {"ended": exit code} or {"lost": why nobody knows how it ended}."""


class Event(NamedTuple):
    """What happened to a run: kind is "reused", "started", "progress", "finished", "retried", "failed"
    or "redone"; `message` explains the last three, `progress` holds step, loss, proportions, eta ..."""

    kind: str
    spec: RunSpec
    message: str = ""
    progress: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Failure(NamedTuple):
    """A run without a result; `cause` is the failed run that it would have read, if that is why."""

    spec: RunSpec
    message: str
    cause: Failure | None = None


class Outcome(NamedTuple):
    """Results of the finished runs in the order of the specs, and the runs that failed."""

    results: list[dict[str, Any]]
    failures: list[Failure]


class Runner(Protocol):
    """Carries out every spec that the store has no result for, and keeps every finished one."""

    def __call__(
        self,
        specs: Sequence[RunSpec],
        corpus: Path,
        store: Store,
        *,
        workers: int | None = None,
        attempts: int = ATTEMPTS,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> Outcome: ...


class Workers(Protocol):
    """Places where runs are carried out; `cuda`: whether runs of device "auto" get a GPU there."""

    cuda: bool

    def room(self, specs: Sequence[RunSpec]) -> int:
        """How many of the runs fit at a time."""
        ...

    def start(self, spec: RunSpec, directory: Path) -> None:
        """Start a worker on a run, whose directory holds `spec.json`."""
        ...

    def wait(self) -> list[tuple[str, Message]]:
        """Wait until some workers said something, and return it with the ids of their runs."""
        ...

    def stop(self) -> None:
        """Let the workers that are left write a checkpoint and end."""
        ...


def run_on(
    workers: Workers,
    pending: Sequence[RunSpec],
    specs: Sequence[RunSpec],
    store: Store,
    size: int | None,
    attempts: int,
    on_event: Callable[[Event], None],
) -> Outcome:
    """Carry out the pending ones of `specs`; when left by an exception, stop the workers first.

    Raises:
        InputError: results of the CPU and of CUDA would come together.
    """
    _refuse_mixture(store.finished(specs), pending, workers.cuda)
    schedule = _Schedule(workers, store, size or workers.room(pending), attempts, on_event)
    try:
        schedule.work(list(pending))
    finally:
        workers.stop()
    return Outcome(store.finished(specs), schedule.failures)


def unfinished(specs: Sequence[RunSpec], store: Store, on_event: Callable[[Event], None]) -> list[RunSpec]:
    """The specs without a result, each once; unusable results are set aside."""
    pending: dict[str, RunSpec] = {}
    for spec in specs:
        try:
            result = store.result(spec)
        except InputError as error:
            kept = store.set_aside(spec)
            on_event(Event("redone", spec, f"{error}; kept as {kept.name}, the run is done again"))
            result = None
        if result is None:
            pending.setdefault(spec.id, spec)
        else:
            on_event(Event("reused", spec))
    return list(pending.values())


def check_counts(workers: int | None, attempts: int = ATTEMPTS) -> None:
    """Refuse fewer than one run at a time (None: as many as fit) or fewer than one attempt.

    Raises:
        InputError: fewer than 1.
    """
    for what, count in (("workers", workers), ("attempts", attempts)):
        if count is not None and count < 1:
            raise InputError(f"{what} must be at least 1, got {count}")


def _refuse_mixture(finished: Sequence[dict[str, Any]], pending: Sequence[RunSpec], cuda: bool) -> None:
    """Runs of device "auto" on two kinds of device would differ by more than their methods."""
    if not any(spec.train.device == "auto" for spec in pending):
        return
    for result in finished:
        before = result.get("machine", {}).get("device")
        if before is not None and (before == "cpu") == cuda:
            raise InputError(
                f"run {result['id']} was computed on {before}, the {len(pending)} that are left would run on "
                f"{'CUDA' if cuda else 'the CPU'} here: continue where the first ones ran, or hide the GPUs "
                "with CUDA_VISIBLE_DEVICES='' if that was the CPU; else name another directory, or set "
                "train.device"
            )


@dataclass(eq=False)
class _Active:
    spec: RunSpec
    attempt: int = 1
    error: str = ""
    transient: bool = False


class _Schedule:
    """Runs that wait, are active, have failed; decides what starts next."""

    def __init__(
        self,
        workers: Workers,
        store: Store,
        size: int,
        attempts: int,
        on_event: Callable[[Event], None],
    ) -> None:
        self.workers, self.store, self.size, self.attempts = workers, store, size, attempts
        self.on_event = on_event
        self.active: dict[str, _Active] = {}
        self.failures: list[Failure] = []

    def work(self, pending: list[RunSpec]) -> None:
        """Run everything that can be run."""
        while True:
            self._fail_readers(pending)
            while len(self.active) < self.size and (spec := self._next(pending)):
                pending.remove(spec)
                self._start(_Active(spec))
            if not self.active:
                return
            for run, message in self.workers.wait():
                if run in self.active:
                    self._heard(self.active[run], message)

    def _next(self, pending: Sequence[RunSpec]) -> RunSpec | None:
        """The first run that waits for nothing; ids are hashes, so no two runs can wait for each other."""
        waiting = {spec.id for spec in pending} | self.active.keys()
        return next((spec for spec in pending if waiting.isdisjoint(spec.inputs.values())), None)

    def _fail_readers(self, pending: list[RunSpec]) -> None:
        """Fail the runs that read a failed one, directly or through others."""
        while True:
            failed = {failure.spec.id: failure for failure in self.failures}
            reader = next(
                (spec for spec in pending if not failed.keys().isdisjoint(spec.inputs.values())), None
            )
            if reader is None:
                return
            pending.remove(reader)
            cause = next(failed[run] for run in reader.inputs.values() if run in failed)
            root = cause.cause or cause
            message = f"not started: {root.spec.label} seed {root.spec.seed}, which it needs, failed"
            self._fail(Failure(reader, message, root))

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.on_event(Event("failed", failure.spec, failure.message))

    def _start(self, active: _Active) -> None:
        self.active[active.spec.id] = active
        self.workers.start(active.spec, self.store.prepare(active.spec))

    def _heard(self, active: _Active, message: Message) -> None:
        if "progress" in message:
            self.on_event(Event("progress", active.spec, progress=message["progress"]))
        elif "started" in message and active.attempt == 1:
            self.on_event(Event("started", active.spec))
        elif "error" in message:
            active.error, active.transient = message["error"], message.get("kind") == "transient"
        elif "ended" in message or "lost" in message:
            del self.active[active.spec.id]
            self._ended(active, message)

    def _ended(self, active: _Active, message: Message) -> None:
        told = self._verdict(active, message)
        if not told:
            self.on_event(Event("finished", active.spec))
        elif active.attempt < self.attempts and _worth_another(active, message):
            count = f"attempt {active.attempt + 1} of {self.attempts}, from its checkpoint"
            self.on_event(Event("retried", active.spec, f"{told}; {count}"))
            self._start(_Active(active.spec, active.attempt + 1))
        else:
            self._fail(Failure(active.spec, told))

    def _verdict(self, active: _Active, message: Message) -> str:
        """Why a run that ended has no result; empty when it has one, however it ended."""
        try:
            if self.store.result(active.spec):
                return ""
        except InputError as error:
            return str(error)
        if "lost" in message:
            return str(message["lost"])
        code, log = message["ended"], self.store.directory(active.spec) / "log.txt"
        if code == 0:
            return f"the worker ended without a result; see {log}"
        if active.error:
            return active.error
        if code == INTERRUPTED:
            return "the worker was asked to stop by somebody else (signal 15)"
        if code == -signal.SIGKILL:
            return f"the worker was killed by signal 9, most likely for want of memory: {ADVICE}"
        lines = _lines(log)
        told = in_log(lines)
        if told:
            return told
        reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker failed ({reason}): {lines[-1] if lines else 'it said nothing'}; see {log}"


def _worth_another(active: _Active, message: Message) -> bool:
    """Whether the next attempt may end better: after a kill, a lost machine or a failing disk or network.

    Not after what would happen again: a mistake, a model that diverges, a GPU without memory, a bug.
    """
    if "lost" in message or active.transient:
        return True
    return not active.error and message["ended"] in (-signal.SIGKILL, INTERRUPTED)


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        return []
