"""Every seed of a comparison as one tidy table: a row for each method, seed, target and metric."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aioli.analysis.extra import total_cost
from aioli.files import replace_file

__all__ = ["csv_text", "write_csv"]

COLUMNS = ("method", "seed", "target", "metric", "value")
RUN_METRICS = ("train_tokens", "evaluation_tokens", "probe_steps", "flops", "joules", "seconds")


def csv_text(results: Mapping[str, Any]) -> str:
    """The table as CSV; rows with an empty target are about the run: means over targets, and costs.

    Those with an empty seed are about the method: its percent change, the interval, and what is noise.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in results["runs"].values():
        for target, metric, value in _rows(results["targets"], run):
            writer.writerow([run["label"], run["seed"], target, metric, "" if value is None else repr(value)])
    for method in results["methods"]:
        for metric, value in _of_method(method):
            writer.writerow([method["label"], "", "", metric, "" if value is None else value])
    return text.getvalue()


def write_csv(results: Mapping[str, Any], path: Path) -> None:
    """Write the table to `path`, replacing it in one step."""
    replace_file(path, csv_text(results))


def _rows(targets: list[str], run: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    losses = run["test"]["loss"]
    metrics = {
        "loss": losses,
        "perplexity": [_perplexity(loss) for loss in losses],
        "bits_per_byte": run["test"].get("bits_per_byte") or [None] * len(targets),
    }
    for metric, values in metrics.items():
        for target, value in zip(targets, values, strict=True):
            yield target, metric, value
        yield "", metric, None if None in values else sum(values) / len(values)
    for metric in RUN_METRICS:
        yield "", metric, (run.get("cost") or {}).get(metric)
    yield "", "extra_runs", len((run.get("extra") or {}).get("runs", ()))
    for metric, value in total_cost(run).items():
        yield "", f"{metric}_in_all", value


def _of_method(method: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The change of mean test perplexity in percent, and what such seeds can show (`analysis.noise`)."""
    yield "spread_percent", method.get("spread")
    if method["relative"] is None:
        return
    for key in ("mean", "low", "high", "sd"):
        yield f"change_percent_{key}", method["relative"][key]
    noise = method["noise"] or {}
    yield "change_percent_detectable", noise.get("detectable")
    yield "change_seeds_needed", noise.get("seeds")
    if method["decided"]:
        yield "decided", method["decided"]["verdict"]


def _perplexity(loss: float | None) -> float | None:
    if loss is None:
        return None
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
