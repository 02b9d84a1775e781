"""Weights & Biases, online or offline."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from aioli.errors import InputError
from aioli.trackers.tracker import Run, require

__all__ = ["Wandb", "open_run"]

MODES = ("online", "offline")


def open_run(run: Run, project: str = "", entity: str = "", mode: str = "", dir: str = "") -> Wandb:
    """Begin or continue a run.

    Args:
        project: default: the title of the comparison. entity: user or team; default: your own.
        mode: online or offline; default: as W&B is set up (WANDB_MODE). What was recorded offline goes
            online with `wandb sync`. dir: for local files; default: among the trackers' files.

    Raises:
        InputError: the package is missing, or another mode.
    """
    if mode and mode not in MODES:
        raise InputError(f"mode of tracker wandb must be one of {', '.join(MODES)}, got {mode!r}")
    return Wandb(run, project or run.project, entity or None, mode or None, dir or str(run.directory))


class Wandb:
    """One W&B run; several can be open in a process."""

    def __init__(self, run: Run, project: str, entity: str | None, mode: str | None, directory: str) -> None:
        wandb = require("wandb")
        self.run = run.known or secrets.token_hex(4)
        self._run = wandb.init(
            project=project,
            entity=entity,
            mode=mode,
            dir=directory,
            name=run.name,
            id=self.run,
            config=dict(run.configuration),
            resume="allow" if run.known else None,
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        self._run.summary.update(dict(values))

    def close(self, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)
