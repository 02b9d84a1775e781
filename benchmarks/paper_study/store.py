"""Finished runs as JSON lines, small enough to be committed: all that the study's answers are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aioli.analysis.extra import TOTALS, cost_to_readers, with_extra
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.jobs.output import Plan

__all__ = ["LARGEST", "keep_points", "keep_runs", "read_lines"]

LARGEST = 20_000
"""Bytes of one line, at most."""
ROWS = 40
"""Proportions over time that are kept of a run, evenly thinned."""
FIDELITY = ("label", "seed", "horizon", "raw", "centred")
KEPT = (
    "id", "label", "method", "parameters", "seed", "groups", "targets", "steps", "parameters_count", "test",
    "drawn", "mixture", "deviation", "weights_sha256",
)  # fmt: skip
LAW = (
    "horizon", "branches", "matrix", "errors", "sums", "sum_errors", "gains", "gain_errors", "r2",
    "held_out_r2", "mse", "sums_r2", "sums_held_out_r2", "curvature", "curvature_error",
)  # fmt: skip


def keep_runs(
    out: Path, kept: Path, *, validation: bool = False, charged: Mapping[str, Path] | None = None
) -> None:
    """Store the planned runs of an output directory that are finished, with what their extra runs cost.

    Args:
        validation: whether validation losses are kept too, which laws are fitted to.
        charged: by label, the sweep that its mixture was chosen from, charged in full to every run of it.

    Raises:
        InputError: a line longer than `LARGEST`.
    """
    runs, lines = out / "runs", []
    for run in Plan(out).runs:
        result = _read(runs, run["id"])
        if result is None:
            continue
        result = with_extra(result | {"label": run["label"]}, lambda name: _read(runs, name))
        sweep = (charged or {}).get(run["label"])
        line = {key: result.get(key) for key in KEPT} | {
            "cost": {key: value for key, value in result["cost"].items() if key != "assumptions"},
            "proportions": _thinned(result["proportions"]),
            "extra": _sweep_cost(sweep) if sweep else result.get("extra"),
        }
        if validation:
            line["validation"] = result["validation"]
        lines.append(line)
    _write(lines, kept)


def keep_points(content: Mapping[str, Any], kept: Path) -> None:
    """Store a diagnosis, one line for each checkpoint.

    Raises:
        InputError: a line longer than `LARGEST`.
    """
    lines = [
        {
            "groups": content["groups"],
            "targets": content["targets"],
            "steps": content["steps"],
            "seed": point["seed"],
            "step": point["step"],
            "laws": [{key: law[key] for key in LAW} for law in point["laws"]],
            "fidelity": [{key: row[key] for key in FIDELITY} for row in point["fidelity"]],
            "methods": {
                row["label"]: {"sums": row["sums"], "cost": row["cost"]} for row in point["fidelity"]
            },
            "cost": point["cost"],
        }
        for point in content["points"]
    ]
    _write(lines, kept, digits=5)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The stored lines of a file; none where it is missing."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _read(runs: Path, name: str) -> dict[str, Any] | None:
    path = runs / name / "result.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def _sweep_cost(sweep: Path) -> dict[str, Any]:
    ids = [run["id"] for run in Plan(sweep).runs]
    costs = [cost_to_readers(json.loads((sweep / "runs" / run / "result.json").read_bytes())) for run in ids]
    return {"runs": ids, "cost": {key: sum(cost[key] for cost in costs) for key in TOTALS}}


def _thinned(proportions: Mapping[str, Any]) -> dict[str, Any]:
    every = max(1, -(-len(proportions["step"]) // ROWS))
    return {
        "step": proportions["step"][::every],
        "values": [[round(share, 5) for share in row] for row in proportions["values"][::every]],
    }


def _write(lines: list[dict[str, Any]], kept: Path, digits: int = 8) -> None:
    rows = [json.dumps(_rounded(line, digits), separators=(",", ":")) for line in lines]
    longest = max(map(len, rows), default=0)
    if longest > LARGEST:
        raise InputError(f"a line of {kept} has {longest} bytes, more than {LARGEST}: keep less of each run")
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_file(kept, "".join(f"{row}\n" for row in rows))


def _rounded(value: Any, digits: int) -> Any:
    """Numbers to so many digits; with eight, perplexities from losses agree to the sixth."""
    if isinstance(value, Mapping):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
