"""How a worker process is started, and what its lines say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from aioli.sweep.runner import Message

__all__ = ["command", "environment", "message_of"]


def command(directory: Path, corpus: Path) -> list[str]:
    """The command line of a worker that ends when this process is gone."""
    return [sys.executable, "-m", "aioli.sweep.worker", str(directory), str(corpus), str(os.getpid())]


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: this process's, with so many threads."""
    return os.environ | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}


def message_of(line: str) -> Message | None:
    """What a line of a worker says; None for half a line, the last of a killed one."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
