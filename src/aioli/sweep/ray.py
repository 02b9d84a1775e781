"""Run specs on a Ray cluster: each is a Ray task that keeps one worker process, as this machine would.

The output directory and the corpus must lie on a file system that every node sees under the same path, and
Aioli must be installed there in the same version. A run takes `train.threads` CPUs, and a GPU unless its
device is the CPU or the cluster has none; only nodes that are up when the runs start are counted.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from aioli.data.optional import require
from aioli.errors import InputError
from aioli.sweep.process import command, environment, message_of
from aioli.sweep.runner import (
    ATTEMPTS,
    INTERRUPTED,
    Event,
    Message,
    Outcome,
    check_counts,
    run_on,
    unfinished,
)
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = ["run"]

STOP_SECONDS = 60.0
"""How long a stopped worker may take to write its checkpoint."""
EXCHANGE_SECONDS = 0.5
"""How often a task reports, and this process asks."""
VISIBLE_SECONDS = 60.0
"""How long a network file system may take to show here what a node has written."""


def run(
    specs: Sequence[RunSpec],
    corpus: Path,
    store: Store,
    *,
    address: str | None = None,
    workers: int | None = None,
    attempts: int = ATTEMPTS,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Carry out every spec that `store` has no result for, as `aioli.sweep.local.run` does, on a cluster.

    Args:
        address: as for `ray.init`; None: the cluster that RAY_ADDRESS names or that runs on this machine,
            or else a new one of this machine alone. Where Ray is connected already, that is used.
        workers: runs at a time; None: as many as the cluster has room for.

    Raises:
        InputError: Ray is not installed, no cluster answers, no node has what a run asks for, fewer than 1
            worker or attempt, or results of the CPU and of CUDA would come together.
    """
    check_counts(workers, attempts)
    pending = unfinished(specs, store, on_event)
    if not pending:
        return Outcome(store.finished(specs), [])
    ray = require("ray", "to run on a Ray cluster", extra="ray")
    with _connected(ray, address):
        return run_on(_Cluster(ray, corpus), pending, specs, store, workers, attempts, on_event)


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ImportError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address or os.environ.get('RAY_ADDRESS', 'this machine')} "
            f"({str(error).splitlines()[0]}): start one with `ray start --head`, or give its address"
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray replaces it
    try:
        yield
    finally:
        ray.shutdown()


class _Mailbox:
    """An actor between this process and its tasks: they leave messages, it says when to stop."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self.stopping = False

    def exchange(self, run: str, messages: list[Message]) -> bool:
        self.messages += [(run, message) for message in messages]
        return self.stopping

    def take(self) -> list[tuple[str, Message]]:
        taken, self.messages = self.messages, []
        return taken

    def stop(self) -> None:
        self.stopping = True


class _Cluster:
    """The running tasks."""

    def __init__(self, ray: Any, corpus: Path) -> None:
        self.ray, self.corpus = ray, corpus.resolve()
        self.nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.cuda = any(node.get("GPU", 0) >= 1 for node in self.nodes)
        self.task = ray.remote(_train)
        self.mailbox = ray.remote(_Mailbox).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        self.active: dict[Any, tuple[str, Path]] = {}

    def room(self, specs: Sequence[RunSpec]) -> int:
        each = [self._fitting(*needs) for needs in {self._needs(spec) for spec in specs}]
        return min(*each, len(specs)) if each else 1

    def start(self, spec: RunSpec, directory: Path) -> None:
        cpus, gpus = self._needs(spec)
        self._fitting(cpus, gpus)
        task = self.task.options(
            num_cpus=cpus, num_gpus=gpus, max_retries=0, name=f"{spec.label} seed {spec.seed}"
        )
        directory = directory.resolve()
        ref = task.remote(self.mailbox, spec.id, str(directory), str(self.corpus), spec.train.threads)
        self.active[ref] = (spec.id, directory)

    def wait(self) -> list[tuple[str, Message]]:
        while True:
            ready, _ = self.ray.wait(list(self.active), timeout=EXCHANGE_SECONDS)
            messages: list[tuple[str, Message]] = self.ray.get(self.mailbox.take.remote())
            for ref in ready:
                run, directory = self.active.pop(ref)
                messages += [(run, message) for message in self._ended(ref, directory)]
            if messages:
                return messages

    def stop(self) -> None:
        """Ask what still runs to write a checkpoint and end; what has not begun is taken back."""
        refs = list(self.active)
        self.active = {}
        if refs:
            self.ray.get(self.mailbox.stop.remote())
            _, left = self.ray.wait(refs, num_returns=len(refs), timeout=STOP_SECONDS)
            for ref in left:
                self.ray.cancel(ref)
        self.ray.kill(self.mailbox)

    def _needs(self, spec: RunSpec) -> tuple[int, int]:
        """CPUs and GPUs of a run."""
        device = spec.train.device
        return spec.train.threads, int(device == "cuda" or (device == "auto" and self.cuda))

    def _fitting(self, cpus: int, gpus: int) -> int:
        """How many runs of these needs the nodes hold."""
        count = sum(
            int(min(node.get("CPU", 0) // cpus, node.get("GPU", 0) // gpus if gpus else math.inf))
            for node in self.nodes
        )
        if count < 1:
            has = "; ".join(
                f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in self.nodes
            )
            raise InputError(
                f"a run needs {cpus} CPU{'s' * (cpus != 1)}{' and a GPU' * bool(gpus)} on one node, and no "
                f"node of the Ray cluster has them ({has}): start such a node, or change train.threads or "
                "train.device"
            )
        return count

    def _ended(self, ref: Any, directory: Path) -> list[Message]:
        """The last messages of a task."""
        try:
            messages: list[Message] = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            return [{"error": f"the Ray task failed: {_last_line(error)}", "kind": "bug"}, {"ended": 1}]
        except self.ray.exceptions.RayError as error:
            return [{"lost": f"Ray lost the run: {_last_line(error)}"}]
        if messages[-1] == {"ended": 0}:
            _until_visible(directory / "result.json")
        return messages


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _until_visible(path: Path) -> None:
    deadline = time.monotonic() + VISIBLE_SECONDS
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(EXCHANGE_SECONDS)


def _train(mailbox: Any, run: str, directory: str, corpus: str, threads: int) -> list[Message]:
    """On a node: keep one worker process, and return its last messages."""
    ray, place, node = require("ray", "on every node", extra="ray"), Path(directory), socket.gethostname()
    hidden = [path for path in (place / "spec.json", Path(corpus)) if not path.exists()]
    if hidden:
        told = (
            f"the node {node} does not see {hidden[0]}: put the output directory and the data (data.tokens) "
            "on a file system that all nodes share under the same path"
        )
        return [{"error": told, "kind": "input"}, {"ended": 2}]
    if ray.get(mailbox.exchange.remote(run, [{"started": node}])):
        return [{"ended": INTERRUPTED}]
    with (place / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command(place, Path(corpus)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment(threads),
            start_new_session=True,
        )
    return _followed(ray, mailbox, run, process)


def _followed(ray: Any, mailbox: Any, run: str, process: subprocess.Popen[str]) -> list[Message]:
    """Pass on what a worker says until it ends; stop it when asked to, or when this task is left."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    assert process.stdout is not None
    threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
    asked = False
    try:
        while True:
            heard, ended = _collected(lines)
            if ended:
                return [*heard, {"ended": process.wait()}]
            if ray.get(mailbox.exchange.remote(run, heard)) and not asked:
                process.terminate()
                asked = True
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()


def _listen(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _collected(lines: queue.SimpleQueue[str | None]) -> tuple[list[Message], bool]:
    """What was said during one exchange, and whether that was all."""
    heard: list[Message] = []
    deadline = time.monotonic() + EXCHANGE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            return heard, True
        message = message_of(line)
        if message is not None:
            heard.append(message)
    return heard, False
