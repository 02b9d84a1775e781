"""One training run in a process of its own: `python -m aioli.sweep.worker RUN CORPUS PARENT`.

Standard output carries JSON lines: {"progress": {...}} while training, {"error": text, "kind": ...} at the
end of a run that failed for a reason the user can mend ("input", "memory"), or that may be gone the next time
("transient": disk or network). Exit codes: 0 finished, 2 such an error, 130 stopped on request after a
checkpoint. The process ends by itself when its parent is gone.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from aioli.errors import InputError
from aioli.sweep.memory import out_of_memory
from aioli.sweep.store import read_spec

__all__ = ["explain", "main"]

WATCH_SECONDS = 0.2
TRANSIENT = {
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "ESTALE", "ETIMEDOUT", "EREMOTEIO", "ENOLINK", "ENETDOWN"),
        *("ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH"),
    )
    if hasattr(errno, name)
}
"""What a disk or a network file system that is briefly away answers."""


class _Channel:
    """JSON lines to the parent; whatever else prints to standard output goes to the log instead."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()
        except BrokenPipeError:
            os._exit(1)  # nobody is left to work for


def _watch_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stop_on_signal(stopping: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())


def explain(error: BaseException) -> tuple[str, str] | None:
    """(kind, message) of an error that the user can mend or that may pass, else None."""
    if isinstance(error, InputError):
        return "input", str(error).replace(" (resume=True)", "")  # of Python, not of the command line
    if isinstance(error, OSError) and error.errno in TRANSIENT:
        where = f" ({error.filename})" if error.filename else ""
        return "transient", f"the disk or network failed: {error.strerror}{where}"
    told = out_of_memory(error)
    return ("memory", told) if told else None


def main(arguments: list[str]) -> int:
    """Train the run whose directory is given, resuming it where it stopped; see the module."""
    directory, corpus, parent = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    channel = _Channel()
    _watch_parent(parent)
    stopping = threading.Event()
    _stop_on_signal(stopping)

    def progress(state: dict[str, Any]) -> None:
        channel.send({"progress": state})
        if stopping.is_set():
            raise KeyboardInterrupt

    try:
        # Here, not above: loading torch takes seconds in which the parent may go, and memory may run out.
        from aioli.data.shards import Corpus  # noqa: PLC0415
        from aioli.training.loop import run_spec  # noqa: PLC0415

        run_spec(read_spec(directory), Corpus.open(corpus), directory, resume=True, on_progress=progress)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        channel.send({"error": explained[1], "kind": explained[0]})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
