"""What a run reads from finished runs of the same store, and the parameters that follow from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aioli.errors import InputError
from aioli.methods.recipes import derive
from aioli.methods.registry import recipe_of
from aioli.protocol import Problem
from aioli.sweep.spec import TRUNK, RunSpec

__all__ = ["derived_parameters"]


def derived_parameters(spec: RunSpec, directory: Path, problem: Problem) -> dict[str, Any]:
    """The parameters of a run's method that follow from the runs it reads; {} when it reads none.

    Args:
        directory: of the run; the runs it reads lie beside it, each in a directory named by its id.

    Raises:
        InputError: an input that is not finished or is damaged, or results that do not fit the problem.
    """
    results = {
        role: _result(directory.parent / run, role, run) for role, run in spec.inputs.items() if role != TRUNK
    }
    return derive(recipe_of(spec.method), problem, spec.parameters, results)


def _result(directory: Path, role: str, run: str) -> dict[str, Any]:
    path = directory / "result.json"
    try:
        result = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"this run reads the {role} run {run}, which is not finished: expected {path}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"the result of the {role} run cannot be read: {path}: {error}") from None
    if not isinstance(result, dict) or result.get("id") != run:
        raise InputError(f"{path} is not the result of run {run}, the {role} run")
    return result
