"""The output directory: one process at a time, and under `runs/` one directory for each RunSpec.

A run's directory is named by the hash of all that decides its result, so a finished run is found again
whatever else changed, and a run of other settings can never be mistaken for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aioli.errors import InputError
from aioli.files import replace_file
from aioli.locks import LOCK, DirectoryLock
from aioli.sweep.spec import RunSpec
from aioli.training.settings import EvaluationSettings, ModelSettings, TrainSettings

__all__ = ["Store", "read_spec"]


class Store:
    """An output directory that this process holds; use it as a context manager.

    Args:
        out: the directory, made if absent.
        resume: whether files of an earlier run may be there.
        ignore: names of entries that do not count as an earlier run.

    Raises:
        InputError: the directory is used and `resume` is False, another process works in it, or it
            cannot be made or written.
    """

    def __init__(self, out: Path, *, resume: bool = False, ignore: tuple[str, ...] = ()) -> None:
        self.out = Path(out)
        if not (self.out / LOCK).exists():
            self._refuse_used(resume, ignore)  # before a lock file is left in a directory of somebody else
        self.lock = DirectoryLock(self.out)
        try:
            self._refuse_used(resume, ignore)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def directory(self, spec: RunSpec) -> Path:
        """Where a run lives."""
        return self.out / "runs" / spec.id

    def prepare(self, spec: RunSpec) -> Path:
        """Make a run's directory and write its `spec.json`."""
        directory = self.directory(spec)
        replace_file(directory / "spec.json", json.dumps(spec.to_json(), indent=1) + "\n")
        return directory

    def result(self, spec: RunSpec) -> dict[str, Any] | None:
        """The result of a finished run under the spec's label, or None when it is not finished.

        A run that has trained but lacks the validation losses that the spec asks for is not finished.

        Raises:
            InputError: `result.json` is there but cannot be used.
        """
        path = self.directory(spec) / "result.json"
        try:
            result = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from None
        if not isinstance(result, dict) or result.get("version") != 1 or result.get("id") != spec.id:
            raise InputError(f"{path} is not the result of run {spec.id}")
        if spec.validation and result.get("validation") is None:
            return None
        return result | {"label": spec.label or spec.method}

    def finished(self, specs: Sequence[RunSpec]) -> list[dict[str, Any]]:
        """Results of the runs that are finished, in the order of the specs; unusable ones are left out."""
        results = []
        for spec in specs:
            with suppress(InputError):
                results.append(self.result(spec))
        return [result for result in results if result is not None]

    def set_aside(self, spec: RunSpec) -> Path:
        """Rename an unusable `result.json` so that the run is done again; the file is kept."""
        path = self.directory(spec) / "result.json"
        return path.replace(path.with_name("result.json.unusable"))

    def _refuse_used(self, resume: bool, ignore: tuple[str, ...]) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise InputError(f"expected an output directory, but {self.out} is a file")
        if resume or not self.out.exists():
            return
        found = sorted(p.name for p in self.out.iterdir() if p.name not in (LOCK, *ignore))
        if found:
            raise InputError(
                f"the output directory {self.out} is used (it holds {', '.join(found[:3])}"
                f"{', ...' if len(found) > 3 else ''}): continue it with --resume, or name another with --out"
            )


def read_spec(directory: Path) -> RunSpec:
    """The RunSpec that `Store.prepare` wrote into a run's directory.

    Raises:
        InputError: no such file, or one that is not a RunSpec.
    """
    path = directory / "spec.json"
    try:
        plain = json.loads(path.read_bytes())
        return RunSpec(
            **{
                **plain,
                "model": ModelSettings(**plain["model"]),
                "train": TrainSettings(**plain["train"]),
                "evaluation": EvaluationSettings(**plain["evaluation"]),
                "history": tuple(plain.get("history", ())),
            }
        )
    except FileNotFoundError:
        raise InputError(f"no run in {directory}: spec.json is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a run specification: {error}") from None
