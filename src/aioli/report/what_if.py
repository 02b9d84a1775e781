"""What-if: sliders over a law, evaluated in the page itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup

from aioli.errors import InputError
from aioli.protocol import Array
from aioli.report.browser_law import browser_law
from aioli.report.filling import embedded
from aioli.static_law import FittedLaw

if TYPE_CHECKING:
    from aioli.fitting.fit import Fit

__all__ = ["REPLICATES", "WhatIf", "thinned", "what_if_of_diagnosis", "what_if_of_fit"]

REPLICATES = 40
"""Most replicates of a fit that a page carries."""
DIGITS = 10
HELP = (
    "Move a slider: the other groups keep their ratios. Arrow keys move it by one percent, Page Up and Page "
    "Down by more. What the law predicts stands beside its prediction at {}."
)


class WhatIf(NamedTuple):
    """Sliders, the rows of predictions, and the laws as JSON; `refusal` says why there are none."""

    id: str
    title: str
    help: str
    caption: str
    groups: tuple[str, ...]
    targets: tuple[str, ...]
    start: str
    choice_label: str
    choices: tuple[str, ...]
    data: Markup
    refusal: str = ""


def what_if_of_diagnosis(diagnosis: Mapping[str, Any], name: str) -> WhatIf | None:
    """The linear dynamic law at every checkpoint and horizon; None in a diagnosis without covariances."""
    weights = np.array(diagnosis["weights"])
    places = [
        (
            f"step {point['step']}, {law['horizon']} steps on",
            _dynamic(point, law, weights, diagnosis.get("orders", 1)),
        )
        for point in diagnosis["points"]
        if point["seed"] == diagnosis["seed"]
        for law in point["laws"]
        if "variances" in law
    ]
    if not places:
        return None
    caption = (
        "Losses in nats per token after the horizon, with the 95% interval of one run; the difference has "
        "that of the law alone. The mean is weighted as the run's objective weighs targets."
    )
    start = "the run's own mixture"
    return WhatIf(
        id=name,
        title="What if the mixture were another?",
        help=f"The linear law measured by branches. {HELP.format(start)}",
        caption=caption,
        groups=tuple(diagnosis["groups"]),
        targets=(*diagnosis["targets"], "mean over targets"),
        start=start,
        choice_label="Checkpoint and horizon",
        choices=tuple(title for title, _ in places),
        data=embedded({"choices": [_short(content) for _, content in places]}),
    )


def what_if_of_fit(fit: Fit, name: str = "what-if") -> WhatIf:
    """A static law fitted to whole runs, with a thinned set of its replicates."""
    start = "the mean of the runs"
    caption = (
        "Final losses in nats per token, with the 95% interval of one run; the difference has that of the "
        f"law alone, from {min(len(fit.replicates), REPLICATES)} refits. The mean is "
        "weighted as the objective is."
    )
    found = WhatIf(
        id=name,
        title="What if the mixture were another?",
        help=HELP.format(start),
        caption=caption,
        groups=fit.table.groups,
        targets=(*fit.table.targets, "mean over targets"),
        start=start,
        choice_label="",
        choices=("the fit",),
        data=Markup(""),
    )
    try:
        return found._replace(data=embedded({"choices": [_short(_fitted(fit))]}))
    except InputError as error:
        return found._replace(choices=(), refusal=str(error))


def thinned(fit: Fit) -> tuple[FittedLaw, ...]:
    """At most REPLICATES of the fit's replicates."""
    return fit.replicates[:REPLICATES]


def _dynamic(point: Mapping[str, Any], law: Mapping[str, Any], weights: Array, orders: int) -> dict[str, Any]:
    """The law at one horizon; the last row is the weighted mean of targets."""
    n, matrix = len(weights), np.array(law["matrix"])
    losses = np.array(point["losses"])
    return {
        "kind": "dynamic",
        "start": point["mixture"],
        "trained": law["mixtures"],
        "law": {
            "losses": [*losses, weights @ losses / n],
            "matrix": [*matrix, np.array(law["sums"]) / n],
            "axes": law["axes"],
            "variances": [*law["variances"], np.array(law["sums_variances"]) / n**2],
            "noise": [*law["noise"], law["sums_noise"] / n],
            "one_run": [
                *_one_run(law, "noise", "order_noise", orders),
                *(each / n for each in _one_run(law, "sums_noise", "sums_order_noise", orders)),
            ],
            "mean": np.array(law["mixtures"]).mean(axis=0),
            "branches": law["branches"],
            "critical": law["critical"],
        },
    }


def _one_run(law: Mapping[str, Any], noise: str, between: str, orders: int) -> Array:
    """Scatter of a single run around the law, which was fitted to means over orders of the data."""
    found = np.atleast_1d(np.array(law[noise], dtype=np.float64))
    return np.sqrt(found**2 + (1 - 1 / orders) * np.atleast_1d(law.get(between, 0.0)) ** 2)


def _fitted(fit: Fit) -> dict[str, Any]:
    scales = [
        None if values is None else float(values.max()) for values in (fit.table.size, fit.table.tokens)
    ]
    return {
        "kind": "fitted",
        "start": fit.table.mixtures.mean(axis=0),
        "trained": np.unique(fit.table.mixtures, axis=0),
        "law": {
            "law": browser_law(fit.fitted, *scales),
            "replicates": [browser_law(one, *scales) for one in thinned(fit)],
            "noise": fit.noise,
            "weights": fit.weights,
        },
    }


def _short(value: Any) -> Any:
    """Plain values with numbers of ten significant digits."""
    if isinstance(value, Mapping):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_short(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    return value
