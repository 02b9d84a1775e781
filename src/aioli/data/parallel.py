"""Tasks over worker processes: progress in bytes, one clear error when a worker is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Protocol

from aioli.errors import InputError

__all__ = ["Progress", "Report", "Task", "Workers", "available_cores"]

Report = Callable[[int], None]
"""Told how many more bytes have been read."""
Progress = Callable[[str, float], None]
"""Told the stage and the fraction of it that is done."""


class Task(Protocol):
    """A picklable piece of work."""

    def run(self, report: Report) -> Any: ...


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Runs tasks in `processes` processes of `threads` tokeniser threads; one process means this one."""

    def __init__(self, processes: int, threads: int) -> None:
        self._processes = processes
        self._threads = threads
        self._executor: ProcessPoolExecutor | None = None
        self._read: Any = None
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> Workers:
        settings = _thread_settings(self._threads)
        self._environment = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        for name, value in self._environment.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def run(self, tasks: Sequence[Task], total: int, progress: Callable[[float], None]) -> list[Any]:
        """Run every task and return the results in order; `total` bytes are a fraction of 1.

        Raises:
            InputError: what a task raised, or that a worker was killed.
        """
        if self._processes == 1 or len(tasks) <= 1:
            read = 0

            def report(count: int) -> None:
                nonlocal read
                read += count
                progress(min(read / max(total, 1), 1.0))

            return [task.run(report) for task in tasks]
        return self._run_in_processes(tasks, total, progress)

    def _run_in_processes(
        self, tasks: Sequence[Task], total: int, progress: Callable[[float], None]
    ) -> list[Any]:
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._read = context.Value("q", 0)
            self._executor = ProcessPoolExecutor(
                self._processes, context, _start, (self._read, _thread_settings(self._threads))
            )
        self._read.value = 0
        futures: list[Future[Any]] = []
        try:
            futures = [self._executor.submit(_run, task) for task in tasks]
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=0.25)
                for future in done:
                    future.result()
                progress(min(self._read.value / max(total, 1), 1.0))
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise InputError(
                "a tokenising worker was killed, most likely because memory ran out: run again with fewer "
                "workers (what is finished is kept)"
            ) from None
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _thread_settings(threads: int) -> dict[str, str]:
    return {"TOKENIZERS_PARALLELISM": str(threads > 1).lower(), "RAYON_NUM_THREADS": str(threads)}


_total_read: Any = None


def _start(total_read: Any, settings: dict[str, str]) -> None:
    """Set up a worker process: it leaves Ctrl-C to its parent, and ends when its parent is gone."""
    global _total_read
    _total_read = total_read
    os.environ.update(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: Task) -> Any:
    return task.run(_add)


def _add(count: int) -> None:
    with _total_read.get_lock():
        _total_read.value += count
