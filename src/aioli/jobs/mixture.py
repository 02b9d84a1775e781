"""The mixture that a finished run ends with, to train another run on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from aioli.config.yaml_text import dump_yaml
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.jobs.references import find_run

__all__ = ["Kind", "mixture_of", "take", "write_mixture"]

Kind = Literal["answer", "mean", "final"]


def mixture_of(path: Path, *, method: str | None = None, seed: int | None = None) -> dict[str, Any]:
    """What a finished run was trained on and concluded with: {run, label, seed, groups, answer, mean, final}.

    `mean` is over the steps of training, `final` what they ended on, `answer` what the method concludes
    with (None for most); each [m] by group.

    Args:
        path: a run's directory, or an output directory. method, seed: which of several runs.

    Raises:
        InputError: no such run, one that is not finished, or one of an Aioli that recorded no mixture.
    """
    spec, directory = find_run(path, seed, method)
    result = json.loads((directory / "result.json").read_bytes())
    if "mixture" not in result:
        raise InputError(f"the run in {directory} was made by an earlier Aioli, which recorded no mixture")
    named = {
        key: None if values is None else dict(zip(result["groups"], values, strict=True))
        for key, values in result["mixture"].items()
    }
    label = spec.label or spec.method
    return {"run": spec.id, "label": label, "seed": spec.seed, "groups": result["groups"]} | named


def take(found: Mapping[str, Any], kind: Kind | None) -> dict[str, float]:
    """One mixture of `mixture_of`; None: the answer where there is one, else the mean.

    Raises:
        InputError: the answer of a run that has none.
    """
    chosen = kind or ("mean" if found["answer"] is None else "answer")
    if found[chosen] is None:
        raise InputError(f"{found['label']} concludes with no answer; take the mean or the final mixture")
    return found[chosen]


def write_mixture(mixture: Mapping[str, float], path: Path) -> None:
    """Write proportions by group as JSON or YAML, as `--proportions` and `static` read them.

    Raises:
        InputError: a name that ends in neither .json, .yaml nor .yml.
    """
    if path.suffix not in (".json", ".yaml", ".yml"):
        raise InputError(f"a mixture is written as .json or .yaml, got {path}")
    text = json.dumps(mixture, indent=1) + "\n" if path.suffix == ".json" else dump_yaml(dict(mixture))
    replace_file(path, text)
