"""Run specs on this machine: a subprocess for each, several at a time, every finished one kept."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from aioli.sweep.gpus import VISIBLE, gpus_for
from aioli.sweep.process import command, environment, message_of
from aioli.sweep.runner import ATTEMPTS, Event, Message, Outcome, check_counts, run_on, unfinished
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = ["default_workers", "run"]

STOP_SECONDS = 60.0
"""How long a stopped worker may take to write its checkpoint."""


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
    attempts: int = ATTEMPTS,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Carry out every spec that `store` has no result for, in the given order, `workers` at a time.

    A run waits for those among `specs` that it reads (`RunSpec.inputs`); when one fails, it fails too.
    A run that was begun continues from its checkpoint. A worker that was killed, or that met a failure of
    disk or network, is tried again. Runs on CUDA are dealt out to the GPUs, to the least busy one first.
    When this function is left by an exception (Ctrl-C), the workers write a checkpoint and end first.

    Args:
        corpus: directory of the tokenised corpus. workers: processes; None: `default_workers`.
        attempts: how often a run is started at most.

    Raises:
        InputError: fewer than 1 worker or attempt, or results of the CPU and of CUDA would come together.
    """
    check_counts(workers, attempts)
    pending = unfinished(specs, store, on_event)
    pool = _Pool(corpus, store.lock.descriptor, gpus_for(pending))
    return run_on(pool, pending, specs, store, workers, attempts, on_event)


@dataclass(eq=False)
class _Job:
    run: str
    process: subprocess.Popen[str]
    gpu: str | None


class _Pool:
    """The running workers; one thread each reads their lines into a queue that `wait` empties."""

    def __init__(self, corpus: Path, lock: int, gpus: Sequence[str]) -> None:
        self.corpus, self.lock, self.gpus = corpus, lock, gpus
        self.cuda = bool(gpus)
        self.active: list[_Job] = []
        self.messages: queue.SimpleQueue[tuple[_Job, Message | None]] = queue.SimpleQueue()

    def room(self, specs: Sequence[RunSpec]) -> int:
        return _workers_for(specs, self.gpus)

    def start(self, spec: RunSpec, directory: Path) -> None:
        settings = environment(spec.train.threads)
        gpu = self._idlest_gpu() if spec.train.device != "cpu" else None
        if gpu is not None:
            settings[VISIBLE] = gpu
        with (directory / "log.txt").open("ab") as stderr:
            process = subprocess.Popen(
                command(directory, self.corpus),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                env=settings,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the workers
                pass_fds=(self.lock,),  # an orphan keeps the directory locked until it has ended
            )
        job = _Job(spec.id, process, gpu)
        self.active.append(job)
        self.messages.put((job, {"started": "here"}))
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(job, process.stdout), daemon=True).start()

    def wait(self) -> list[tuple[str, Message]]:
        job, message = self.messages.get()
        if message is None:
            message = {"ended": job.process.wait()}
            self.active.remove(job)
        return [(job.run, message)]

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

    def _idlest_gpu(self) -> str | None:
        """The GPU on which the fewest workers run; None where there is no GPU."""
        return min(self.gpus, key=lambda gpu: sum(job.gpu == gpu for job in self.active), default=None)

    def _listen(self, job: _Job, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                message = message_of(line)
                if message is not None:
                    self.messages.put((job, message))
        self.messages.put((job, None))
