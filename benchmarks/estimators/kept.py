"""What the estimator bench keeps: JSON lines, one for each checkpoint and one for each run.

A line is at most 20 KB: training curves and journals are left out, numbers have six digits. Table and plots
are made from the checkpoints' lines alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aioli.errors import InputError
from aioli.files import replace_file

POINTS, RUNS = "points.jsonl", "runs.jsonl"
LAW = (
    *("horizon", "branches", "matrix", "errors", "sums", "sum_errors"),
    *("gains", "gain_errors", "gain_freedom"),
    *("noise", "r2", "held_out_r2", "sums_noise", "sums_r2", "sums_held_out_r2", "mse"),
    *("curvature", "curvature_error", "shrinkage", "order_noise", "misfit", "misfit_p"),
)
"""Of a law; contrasts and intervals follow from these."""
RUN = (
    *("id", "label", "method", "parameters", "inputs", "seed", "steps", "branch", "mixture", "cost"),
    *("parameters_count", "weights_sha256"),
)
DIGITS = 6


def keep_points(content: Mapping[str, Any], path: Path) -> None:
    """One line for each checkpoint of a diagnosis: the laws there, and every estimate with its cost."""
    same = {key: content[key] for key in ("label", "groups", "targets", "steps", "orders", "weights")}
    write_lines(path, [same | kept_point(point) for point in content["points"]])


def kept_point(point: Mapping[str, Any]) -> dict[str, Any]:
    estimates = {
        row["label"]: {"sums": row["sums"], "matrix": row["matrix"] is not None, "cost": row["cost"]}
        for row in point["fidelity"]
    }
    laws = [{key: law[key] for key in LAW if key in law} for law in point["laws"]]
    told = {key: point[key] for key in ("seed", "step", "losses", "cost", "trunk_cost", "runs")}
    return told | {"laws": laws, "estimates": estimates}


def keep_runs(store: Path, runs: Sequence[str], path: Path) -> None:
    """One line for each of these runs of a store, by id: what it was, measured and took."""
    results = [json.loads((store / "runs" / run / "result.json").read_bytes()) for run in sorted(set(runs))]
    write_lines(path, [kept_run(result) for result in results])


def kept_run(result: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: result[key] for key in RUN if result.get(key) is not None}
    kept["cost"] = {key: value for key, value in result["cost"].items() if key != "assumptions"}
    for key in ("matrices", "proportions"):
        if found := result.get(key):
            kept[key] = last(found)
    return kept


def last(series: Any) -> Any:
    """The last entry of a series of records, or of a record of series."""
    if isinstance(series, Mapping):
        return {key: values[-1:] for key, values in series.items()}
    return series[-1:]


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    texts = [json.dumps(rounded(line), separators=(",", ":"), allow_nan=False) + "\n" for line in lines]
    replace_file(path, "".join(texts))


def read_points(path: Path) -> list[dict[str, Any]]:
    """The checkpoints that `keep_points` wrote.

    Raises:
        InputError: nothing kept there, or a damaged line.
    """
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        raise InputError(f"nothing is kept in {path}: run the bench without --report first") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None


def rounded(value: Any) -> Any:
    """The same with six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value
