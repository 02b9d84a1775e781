"""trackio: a local database, shown by `trackio show`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from aioli.trackers.tracker import Run, require

__all__ = ["Trackio", "open_run"]


def open_run(run: Run, project: str = "", dir: str = "") -> Trackio:
    """Begin or continue a run.

    Args:
        project: default: the title of the comparison. dir: of the database; default: trackio's own
            (TRACKIO_DIR).

    Raises:
        InputError: the package is missing.
    """
    if dir:
        os.environ["TRACKIO_DIR"] = str(Path(dir).expanduser().absolute())  # read when it is imported
    return Trackio(run, project or run.project)


class Trackio:
    """One trackio run. Its name ends in four random letters: by the name it is found again."""

    def __init__(self, run: Run, project: str) -> None:
        trackio = require("trackio")
        self.run = run.known or f"{run.name} {secrets.token_hex(2)}"
        self._run = trackio.init(
            project=project,
            name=self.run,
            config=dict(run.configuration),
            resume="must" if run.known else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        require("trackio.context_vars").current_run.set(None)  # else the next `init` would end this run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def close(self, finished: bool) -> None:
        self._run.finish()
