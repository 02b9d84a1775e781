"""TensorBoard: event files in a directory of each run; needs neither torch nor TensorFlow."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

from aioli.trackers.tracker import Run, require

__all__ = ["TensorBoard", "open_run"]


def open_run(run: Run, dir: str = "") -> TensorBoard:
    """Write below `dir` (default: `tensorboard/` among the trackers' files), one directory a run.

    Raises:
        InputError: the package is missing.
    """
    above = Path(dir).expanduser() if dir else run.directory / "tensorboard"
    return TensorBoard(run, Path(run.known) if run.known else _unused(above, run.name))


def _unused(above: Path, name: str) -> Path:
    """A directory for a run of that name; where another run has it, a number is added."""
    plain = re.sub(r"[^\w.()=,+-]+", "-", name).strip("-.") or "run"
    found, number = above / plain, 1
    while found.exists():
        number += 1
        found = above / f"{plain}-{number}"
    return found.absolute()


class TensorBoard:
    """Scalars, and the configuration as hyperparameters of a session."""

    def __init__(self, run: Run, directory: Path) -> None:
        self.run = str(directory)
        self._event = require("tensorboard.compat.proto.event_pb2").Event
        self._summary = require("tensorboard.compat.proto.summary_pb2").Summary
        writer = require("tensorboard.summary.writer.event_file_writer").EventFileWriter
        hparams = require("tensorboard.plugins.hparams.summary_v2")
        self._writer = writer(self.run)
        if run.known is None:
            summary = hparams.hparams_pb(dict(run.configuration), trial_id=directory.name)
            self._writer.add_event(self._event(wall_time=time.time(), step=0, summary=summary))
            self._writer.flush()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        summary = self._summary(
            value=[self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        )
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def close(self, finished: bool) -> None:
        self._writer.close()
