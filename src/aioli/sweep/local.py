"""Run specs on this machine: a subprocess for each, several at a time, every finished one kept."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from aioli.errors import InputError
from aioli.sweep.gpus import VISIBLE, gpus_for
from aioli.sweep.memory import ADVICE, in_log
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = ["Event", "Failure", "Outcome", "default_workers", "run"]

ATTEMPTS = 2
STOP_SECONDS = 60.0
"""How long a stopped worker may take to write its checkpoint."""


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


@dataclass(eq=False)
class _Job:
    spec: RunSpec
    process: subprocess.Popen[str]
    attempt: int
    log: Path
    gpu: str | None
    error: dict[str, str] = field(default_factory=dict)


def default_workers(specs: Sequence[RunSpec]) -> int:
    """One for each GPU; without a GPU, or for runs on the CPU, as many as there are cores for.

    The cores are those that this process may use, at the threads that the runs ask for.
    """
    return _workers_for(specs, gpus_for(specs))


def _workers_for(specs: Sequence[RunSpec], gpus: Sequence[str]) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max((spec.train.threads for spec in specs), default=1)
    return max(1, min(len(gpus) or cores // threads, len(specs)))


def run(
    specs: Sequence[RunSpec],
    corpus: Path,
    store: Store,
    *,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Carry out every spec that `store` has no result for, in the given order, `workers` at a time.

    A run waits for those among `specs` that it reads (`RunSpec.inputs`); when one fails, it fails too.
    A run that was begun continues from its checkpoint. A worker killed by signal 9 is tried once more.
    Runs on CUDA are dealt out to the GPUs, to the least busy one first. When this function is left by an
    exception (Ctrl-C), the workers write a checkpoint and end first.

    Args:
        corpus: directory of the tokenised corpus. workers: processes; None: `default_workers`.

    Raises:
        InputError: fewer than 1 worker, or results of the CPU and of CUDA would come together.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    pending = _unfinished(specs, store, on_event)
    gpus = gpus_for(pending)
    _refuse_mixture(store.finished(specs), pending, gpus)
    pool = _Pool(corpus, store, workers or _workers_for(pending, gpus), gpus, on_event)
    try:
        pool.work(pending)
    finally:
        pool.stop()
    return Outcome(store.finished(specs), pool.failures)


def _unfinished(specs: Sequence[RunSpec], store: Store, on_event: Callable[[Event], None]) -> list[RunSpec]:
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


def _refuse_mixture(
    finished: Sequence[dict[str, Any]], pending: Sequence[RunSpec], gpus: Sequence[str]
) -> None:
    """Runs of device "auto" on two kinds of device would differ by more than their methods."""
    if not any(spec.train.device == "auto" for spec in pending):
        return
    for result in finished:
        before = result.get("machine", {}).get("device")
        if before is not None and (before == "cpu") == bool(gpus):
            raise InputError(
                f"run {result['id']} was computed on {before}, the {len(pending)} that are left would run on "
                f"{'CUDA' if gpus else 'the CPU'} here: continue where the first ones ran, or hide the GPUs "
                f"with {VISIBLE}='' if that was the CPU; else name another directory, or set train.device"
            )


class _Pool:
    """The running workers; one thread each reads their lines into a queue that `work` empties."""

    def __init__(
        self,
        corpus: Path,
        store: Store,
        size: int,
        gpus: Sequence[str],
        on_event: Callable[[Event], None],
    ) -> None:
        self.corpus, self.store, self.size, self.on_event = corpus, store, size, on_event
        self.gpus = gpus
        self.active: list[_Job] = []
        self.failures: list[Failure] = []
        self.lines: queue.SimpleQueue[tuple[_Job, str | None]] = queue.SimpleQueue()

    def work(self, pending: list[RunSpec]) -> None:
        while True:
            self._fail_readers(pending)
            while len(self.active) < self.size and (spec := self._next(pending)):
                pending.remove(spec)
                self._start(spec, attempt=1)
            if not self.active:
                return
            job, line = self.lines.get()
            if line is not None:
                self._read(job, line)
                continue
            code = job.process.wait()
            self.active.remove(job)
            self._ended(job, code)

    def _next(self, pending: Sequence[RunSpec]) -> RunSpec | None:
        """The first run that waits for nothing; ids are hashes, so no two runs can wait for each other."""
        unfinished = {spec.id for spec in pending} | {job.spec.id for job in self.active}
        return next((spec for spec in pending if unfinished.isdisjoint(spec.inputs.values())), None)

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

    def stop(self) -> None:
        """Ask what still runs to write a checkpoint and end; kill what takes too long."""
        try:
            for job in self.active:
                job.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for job in self.active:
                job.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        finally:
            for job in self.active:
                job.process.kill()
                job.process.wait()
            self.active = []

    def _start(self, spec: RunSpec, attempt: int) -> None:
        directory = self.store.prepare(spec)
        log = directory / "log.txt"
        threads = str(spec.train.threads)
        settings = {f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS")}
        gpu = self._idlest_gpu() if spec.train.device != "cpu" else None
        if gpu is not None:
            settings[VISIBLE] = gpu
        command = [sys.executable, "-m", "aioli.sweep.worker", str(directory), str(self.corpus)]
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [*command, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                env=os.environ | settings,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the workers
                pass_fds=(
                    self.store.lock.descriptor,
                ),  # an orphan keeps the directory locked until it has ended
            )
        job = _Job(spec, process, attempt, log, gpu)
        self.active.append(job)
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(job, process.stdout), daemon=True).start()
        if attempt == 1:
            self.on_event(Event("started", spec))

    def _idlest_gpu(self) -> str | None:
        """The GPU on which the fewest workers run; None where there is no GPU."""
        return min(self.gpus, key=lambda gpu: sum(job.gpu == gpu for job in self.active), default=None)

    def _listen(self, job: _Job, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.lines.put((job, line))
        self.lines.put((job, None))

    def _read(self, job: _Job, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return  # the last line of a killed worker
        if "progress" in message:
            self.on_event(Event("progress", job.spec, progress=message["progress"]))
        elif "error" in message:
            job.error = message

    def _ended(self, job: _Job, code: int) -> None:
        message = self._verdict(job, code)
        if not message:
            self.on_event(Event("finished", job.spec))
        elif code == -signal.SIGKILL and job.attempt < ATTEMPTS:
            self.on_event(Event("retried", job.spec, f"{message}; trying once more from its checkpoint"))
            self._start(job.spec, job.attempt + 1)
        else:
            self._fail(Failure(job.spec, message))

    def _verdict(self, job: _Job, code: int) -> str:
        """Why a run that ended has no result; empty when it has one, however it ended."""
        try:
            if self.store.result(job.spec):
                return ""
        except InputError as error:
            return str(error)
        if code == 0:
            return f"the worker ended without a result; see {job.log}"
        if job.error:
            return job.error["error"]
        if code == -signal.SIGKILL:
            return f"the worker was killed by signal 9, most likely for want of memory: {ADVICE}"
        lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = in_log(lines)
        if told:
            return told
        reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker failed ({reason}): {lines[-1] if lines else 'it said nothing'}; see {job.log}"
