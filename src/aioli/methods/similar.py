"""A mixture that follows how near each group's text is to the targets'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aioli.data.similarity_settings import SimilaritySettings
from aioli.errors import InputError, nearest
from aioli.methods.static import Fixed
from aioli.protocol import Array, Problem
from aioli.simplex import softmax

__all__ = ["NAME", "Similar", "replace_similar"]

NAME = "similar"
MIXTURES = ("prior", "sampling")
"""Parameters of methods that are mixtures; where the value is `similar`, its mixture is meant."""

Tables = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Similar(Fixed):
    """p_j = sum_i w_i softmax_j(-D_ij / tau_i), w the target weights: static, decided by the texts alone.

    D_ij is the divergence of target i from group j. Each target gets a mixture of its own and the weights
    average these, so that a target with few near groups is not outvoted. Where the targets are the groups,
    each is nearest to itself and the result is close to the target weights.

    Args:
        tau: how far the mixture spreads, in nats; one number, or one a target. None: chosen from the texts.
        settings: how the texts are compared.
        divergences: D by target and group. None: computed from the texts when a run starts. Groups without
            data may be left out.

    Raises:
        InputError: a value out of range; at `init`, missing divergences.

    References:
        Selecting data by hashed n-grams of a target: arXiv 2302.03169 (DSIR), which weighs documents;
        here whole groups are weighed.
    """

    tau: float | Mapping[str, float] | None = None
    settings: SimilaritySettings = field(default_factory=SimilaritySettings)
    divergences: Tables | None = None

    def __post_init__(self) -> None:
        given = self.tau if isinstance(self.tau, Mapping) else {"": self.tau}
        for name, tau in given.items():
            if tau is not None and not 0 < tau < np.inf:
                raise InputError(f"tau must be positive, got {tau}" + f" for target {name!r}" * bool(name))

    def mixture(self, problem: Problem) -> Array:
        if self.divergences is None:
            raise InputError(
                "similar needs the divergences of the targets from the groups: train and compare compute "
                "them from the corpus; in a loop of your own, give it divergences and tau as "
                "aioli.data.similarity.compare_texts finds them"
            )
        rows = [self._target(problem, name) for name in problem.targets]
        return problem.weights @ np.stack(rows)

    def _target(self, problem: Problem, name: str) -> Array:
        """[m] the mixture of one target."""
        assert self.divergences is not None
        row = _find(self.divergences, name, "divergences")
        tau = _find(self.tau, name, "tau") if isinstance(self.tau, Mapping) else self.tau
        if tau is None:
            raise InputError("similar needs tau where divergences are given")
        groups = problem.groups
        for group in row:
            if group not in groups:
                raise InputError(f"divergences name an unknown group {group!r}; {nearest(group, groups)}")
        values = np.array([row.get(group, np.nan) for group in groups], dtype=np.float64)
        missing = [groups[j] for j in np.flatnonzero(problem.available & ~np.isfinite(values))]
        if missing:
            raise InputError(
                f"divergences of {name!r} need every group with data; missing: {', '.join(missing)}"
            )
        return softmax(np.where(problem.available, -values / tau, -np.inf))


def _find(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise InputError(f"{what} need every target; missing: {name!r}")
    return table[name]


def replace_similar(
    parameters: Mapping[str, Any],
    mixture: Callable[[dict[str, Any]], Any],
    method: Callable[[dict[str, Any]], Any],
) -> dict[str, Any]:
    """Parameters of a method, as YAML or JSON gives them, with every `similar` among them replaced.

    `similar`, or `{similar: {...}}`, may stand for a mixture (`prior: similar`) or for a method (`default:
    similar`), also inside the parameters of methods that are parameters themselves.

    Args:
        mixture, method: what to put in the place of the one and of the other, given the parameters of
            `similar`.

    >>> replace_similar({"eta": 1, "prior": "similar"}, lambda given: [0.5, 0.5], lambda given: "stratified")
    {'eta': 1, 'prior': [0.5, 0.5]}
    """
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        given = _parameters_of(value)
        if given is not None:
            found[key] = mixture(given) if key in MIXTURES else method(given)
        elif isinstance(value, Mapping):
            found[key] = replace_similar(value, mixture, method)
        else:
            found[key] = value
    return found


def _parameters_of(value: Any) -> dict[str, Any] | None:
    """The parameters where `value` is `similar` or {similar: {...}}; else None."""
    if value == NAME:
        return {}
    if isinstance(value, Mapping) and list(value) == [NAME] and isinstance(value[NAME], Mapping | None):
        return dict(value[NAME] or {})
    return None
