"""Which GPUs runs can be dealt out to, asked without loading torch into this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from aioli.sweep.spec import RunSpec

__all__ = ["VISIBLE", "gpus_for", "visible_gpus"]

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""One of them is there wherever torch can find a GPU (NVIDIA, in WSL, AMD)."""
COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
SECONDS = 120.0
"""Loading torch from a slow disk takes long."""


def gpus_for(specs: Iterable[RunSpec]) -> tuple[str, ...]:
    """The GPUs that `specs` may run on; none if all of them ask for the CPU."""
    return visible_gpus() if any(spec.train.device != "cpu" for spec in specs) else ()


def visible_gpus() -> tuple[str, ...]:
    """Names of the GPUs that torch can use here, each a value for CUDA_VISIBLE_DEVICES of one worker.

    A short-lived process asks torch itself, so that a driver or a build of torch that does not fit counts
    as no GPU, as it will for the worker.
    """
    if not any(Path(driver).exists() for driver in DRIVERS):
        return ()
    try:
        answer = subprocess.run(
            [sys.executable, "-c", COUNT], capture_output=True, text=True, timeout=SECONDS, check=True
        )
        count = int(answer.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return ()
    named = os.environ.get(VISIBLE)
    names = [str(index) for index in range(count)] if named is None else named.split(",")
    return tuple(name.strip() for name in names[:count])
