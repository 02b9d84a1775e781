"""A fit as one JSON file: versioned, checked, and complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.files import write_errors_explained, write_json
from aioli.fitting.assess import Scores
from aioli.fitting.choose import Candidate
from aioli.fitting.fit import Fit
from aioli.fitting.registry import build_law, describe_law
from aioli.protocol import Array
from aioli.state import checksum
from aioli.table import Table

__all__ = ["FORMAT", "VERSION", "fit_from_json", "fit_to_json", "load_fit", "save_fit", "schema"]

FORMAT = "aioli.fit"
VERSION = 1


def save_fit(fit: Fit, path: Path) -> None:
    """Write a fit as JSON in one step: law, numbers, replicates, runs, scores and warnings.

    Raises:
        InputError: a law that cannot be saved, or a disk that refuses.
    """
    content = fit_to_json(fit)
    with write_errors_explained(path.parent, "free some and save again; nothing was replaced"):
        write_json(path, content)


def load_fit(path: Path) -> Fit:
    """Read what `save_fit` wrote; predictions are the same to the last bit.

    Raises:
        InputError: no such file, no JSON, no fit, another version, changed content, or an unknown law.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the fit {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no fit: it is not JSON ({error})") from None
    try:
        return fit_from_json(plain)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def fit_to_json(fit: Fit) -> dict[str, Any]:
    """Plain values of a fit under its format, version and checksum."""
    content = {
        "law": describe_law(fit.law),
        "fitted": fit.fitted.to_json(),
        "replicates": [one.to_json() for one in fit.replicates],
        "table": _table_to_json(fit.table),
        "weights": fit.weights.tolist(),
        "noise": fit.noise.tolist(),
        "scores": None if fit.scores is None else _scores_to_json(fit.scores),
        "candidates": [asdict(one) for one in fit.candidates],
        "warnings": list(fit.warnings),
        "seed": fit.seed,
    }
    return {"format": FORMAT, "version": VERSION, "checksum": checksum(content), "content": content}


def fit_from_json(plain: Any) -> Fit:
    """What `fit_to_json` gave, as a fit again.

    Raises:
        InputError: another format or version, content that was changed, or of another shape.
    """
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise InputError(f"expected a file written by `aioli fit` (format {FORMAT!r}), got {plain!r:.100}")
    if plain.get("version") != VERSION:
        raise InputError(
            f"this fit has version {plain.get('version')!r} and this Aioli reads version {VERSION}: "
            "read it with the Aioli that wrote it, or fit again"
        )
    content = plain.get("content")
    if not isinstance(content, Mapping) or checksum(content) != plain.get("checksum"):
        raise InputError("the fit is corrupt or was edited: its checksum does not match its content")
    try:
        return _fit(content)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the fit lacks or garbles a part ({type(error).__name__}: {error})") from None


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return json.loads(files("aioli.fitting").joinpath("fit.schema.json").read_text(encoding="utf-8"))


def _fit(content: Mapping[str, Any]) -> Fit:
    law = build_law(content["law"])
    scores = content["scores"]
    return Fit(
        law=law,
        table=_table(content["table"]),
        fitted=law.from_json(content["fitted"]),
        replicates=tuple(law.from_json(one) for one in content["replicates"]),
        weights=np.array(content["weights"], dtype=np.float64),
        noise=np.array(content["noise"], dtype=np.float64),
        scores=None if scores is None else _scores(scores),
        candidates=tuple(Candidate(**one) for one in content["candidates"]),
        warnings=tuple(content["warnings"]),
        seed=content["seed"],
    )


def _table_to_json(table: Table) -> dict[str, Any]:
    plain: dict[str, Any] = {name: list(getattr(table, name)) for name in ("groups", "names", "targets")}
    for name in ("mixtures", "losses", "size", "tokens"):
        values = getattr(table, name)
        plain[name] = None if values is None else values.tolist()
    return plain


def _table(plain: Mapping[str, Any]) -> Table:
    known = {item.name for item in fields(Table)}
    return Table(**{name: plain[name] for name in known})


def _scores_to_json(scores: Scores) -> dict[str, Any]:
    plain: dict[str, Any] = {"columns": list(scores.columns), "regret": scores.regret.tolist()}
    for name in ("r2", "mae", "spearman"):
        plain[name] = [[_number(one) for one in row] for row in getattr(scores, name)]
    return plain


def _scores(plain: Mapping[str, Any]) -> Scores:
    arrays: dict[str, Array] = {
        name: np.array(plain[name], dtype=np.float64) for name in ("r2", "mae", "spearman", "regret")
    }
    return Scores(columns=tuple(plain["columns"]), **arrays)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
