"""MLflow: a directory of files, a database or a server."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from itertools import islice

from aioli.trackers.tracker import Run, require

__all__ = ["MLflow", "open_run"]

AT_ONCE = 100
"""Most parameters that MLflow takes in one call."""
LONGEST = 500
"""Characters of a parameter's value that every store takes."""


def open_run(run: Run, uri: str = "", experiment: str = "") -> MLflow:
    """Begin or continue a run.

    Args:
        uri: tracking URI; default: MLFLOW_TRACKING_URI, without it a directory of files, `mlruns/` among the
            trackers' files. experiment: default: the title of the comparison.

    Raises:
        InputError: the package is missing.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "") or (run.directory / "mlruns").absolute().as_uri()
    if "://" not in uri or uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # recent versions refuse files otherwise
    return MLflow(run, uri, experiment or run.project)


class MLflow:
    """One MLflow run; several can be open in a process."""

    def __init__(self, run: Run, uri: str, experiment: str) -> None:
        mlflow = require("mlflow")
        self._entities = require("mlflow.entities")
        self._client = mlflow.MlflowClient(uri)
        if run.known is not None:
            self.run = run.known
            self._client.update_run(self.run, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        self.run = self._client.create_run(number, run_name=run.name).info.run_id
        settings = iter(run.configuration.items())
        while some := list(islice(settings, AT_ONCE)):
            parameters = [self._entities.Param(_allowed(key), str(value)[:LONGEST]) for key, value in some]
            self._client.log_batch(self.run, params=parameters)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(_allowed(name), value, now, step) for name, value in values.items()]
        for start in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(self.run, metrics=metrics[start : start + AT_ONCE])

    def summarise(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self.run, "FINISHED" if finished else "KILLED")


def _allowed(name: str) -> str:
    """A name with the characters that MLflow takes.

    >>> _allowed("mix/weight/c++")
    'mix/weight/c__'
    """
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)
