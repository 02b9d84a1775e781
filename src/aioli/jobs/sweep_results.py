"""What a sweep comes to: `sweep.csv`, the table that laws are fitted to, and `sweep.json`, what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import write_json
from aioli.table import Runs, Table
from aioli.table_files import read_table, write_table

__all__ = ["SUMMARY", "TABLE", "describe", "read_sweep", "write_sweep"]

TABLE, SUMMARY = "sweep.csv", "sweep.json"
LOSSES = (
    "nats per token on fixed validation sequences after the last step; test losses stay in "
    "runs/*/result.json, and nothing here was chosen by them"
)
COSTS = ("train_tokens", "evaluation_tokens", "flops", "joules", "seconds")


def write_sweep(
    out: Path,
    config: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    corpus: Corpus | None,
) -> dict[str, Any]:
    """Write the table and the summary of the finished runs, and return the summary.

    A run's mixture is that of the sequences it drew; its losses are those on validation text after its last
    step. Of two runs that drew the same and came out the same, the first is kept.

    Args:
        config: plain values, as of a plan: its methods with its seeds are the runs.
        failures: {label, seed, message}.
    """
    several = len(config["seeds"]) > 1
    named = {f"{run['label']} seed {run['seed']}" if several else str(run["label"]): run for run in results}
    kept, notes = _without_copies(named)
    table = _table(kept)
    content = {
        "version": 1,
        "table": TABLE,
        "losses": LOSSES,
        "planned": len(config["methods"]) * len(config["seeds"]),
        **describe(table),
        "cost": {key: sum(run["cost"][key] for run in results) for key in COSTS},
        "runs": [
            {
                "index": name,
                "id": run["id"],
                "label": run["label"],
                "seed": run["seed"],
                "mixture": mixture,
                "losses": losses,
                "cost": {key: run["cost"][key] for key in COSTS},
                "warnings": list(run["warnings"]),
            }
            for (name, run), mixture, losses in zip(
                kept.items(), table.mixtures.tolist(), table.losses.tolist(), strict=True
            )
        ],
        "notes": notes,
        "failures": [dict(failure) for failure in failures],
    }
    write_table(out / TABLE, table)
    write_json(out / SUMMARY, content)
    return content


def read_sweep(directory: Path) -> Table:
    """The table of a sweep's output directory.

    Raises:
        InputError: no sweep there, or one without a finished run.
    """
    path = directory / TABLE
    if not path.is_file():
        raise InputError(
            f"no table of a sweep in {directory}: expected a directory with {TABLE} in it, which "
            "`aioli sweep run` writes when its runs have ended (continue it with --resume)"
        )
    return read_table(path)


def describe(table: Table) -> dict[str, Any]:
    """What a table holds, in plain values.

    Returns:
        runs; mixtures, how many are different; `groups` and `targets`: by name {lowest, highest}, of targets
        with the runs that reached them, and `noise`, the standard deviation between repetitions (None
        without any); `size` and `tokens`: [lowest, highest], or None.
    """
    place, count = _repetitions(table)
    noise = _noise(table, place, count)
    return {
        "count": len(table),
        "mixtures": len(count),
        "groups": {
            name: {"lowest": float(column.min()), "highest": float(column.max())}
            for name, column in zip(table.groups, table.mixtures.T, strict=True)
        },
        "targets": {
            name: {
                "lowest": float(column.min()),
                "lowest_run": table.names[int(column.argmin())],
                "highest": float(column.max()),
                "highest_run": table.names[int(column.argmax())],
                "noise": None if noise is None else float(noise[i]),
            }
            for i, (name, column) in enumerate(zip(table.targets, table.losses.T, strict=True))
        },
        "size": _range(table.size),
        "tokens": _range(table.tokens),
    }


def _without_copies(named: dict[str, Mapping[str, Any]]) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Runs whose whole sequences and losses differ; mixtures a hair apart may draw the very same text."""
    found: dict[str, str] = {}
    notes = []
    for name, run in named.items():
        first = found.setdefault(repr((run["drawn"], run["validation"]["end"])), name)
        if first != name:
            notes.append(
                f"{name} drew the same sequences as {first}, with the same losses: left out of {TABLE}"
            )
    return {name: named[name] for name in found.values()}, notes


def _table(named: Mapping[str, Mapping[str, Any]]) -> Table:
    runs = list(named.values())
    drawn = np.array([run["drawn"] for run in runs], dtype=np.float64)
    return Table(
        groups=tuple(runs[0]["groups"]),
        names=tuple(named),
        mixtures=drawn / drawn.sum(axis=1, keepdims=True),
        size=np.array([run["parameters_count"] for run in runs], dtype=np.float64),
        tokens=np.array([run["cost"]["train_tokens"] for run in runs], dtype=np.float64),
        targets=tuple(runs[0]["targets"]),
        losses=np.array([run["validation"]["end"] for run in runs]),
    )


def _repetitions(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """For each run the number of its mixture (at its size and tokens); for each mixture how many runs."""
    scales = [values for values in (runs.size, runs.tokens) if values is not None]
    keys = np.column_stack([runs.mixtures.round(9), *scales])
    _, place, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return place.reshape(-1), count


def _noise(table: Table, place: np.ndarray, count: np.ndarray) -> np.ndarray | None:
    """[n] standard deviation within mixtures, pooled: sqrt(sum (L - mean)^2 / (runs - mixtures))."""
    free = len(place) - len(count)
    if not free:
        return None
    means = np.array([np.bincount(place, losses) / count for losses in table.losses.T])
    return np.sqrt(((table.losses.T - means[:, place]) ** 2).sum(axis=1) / free)


def _range(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else [float(values.min()), float(values.max())]
