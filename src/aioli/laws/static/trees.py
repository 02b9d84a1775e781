# pyright: reportUnknownMemberType=false
"""Gradient-boosted trees: one ensemble a target, no assumption on the form of the law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from aioli.errors import InputError
from aioli.laws.static.features import Columns, columns_of
from aioli.protocol import Array
from aioli.static_law import ConvexLosses
from aioli.table import Table

__all__ = ["FittedTrees", "Trees"]


@dataclass(frozen=True, eq=False)
class FittedTrees:
    """One booster a target over the columns that the table had."""

    columns: Columns
    boosters: tuple[lightgbm.Booster, ...]

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] losses; constant beyond the range that the training runs span."""
        features = self.columns.of(mixtures, size, tokens)
        return np.column_stack([np.asarray(one.predict(features, num_threads=1)) for one in self.boosters])

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """None: steps are not convex."""
        return None

    def to_json(self) -> dict[str, Any]:
        """LightGBM's own text, which holds every number in full."""
        return {
            "columns": self.columns.to_json(),
            "boosters": [one.model_to_string() for one in self.boosters],
        }


@dataclass(frozen=True)
class Trees:
    """Gradient-boosted regression trees (LightGBM) on the proportions, one ensemble a target.

    The settings of RegMix; LightGBM's defaults for what is not named. One thread, bit for bit repeatable.

    Attributes:
        rounds: trees a target. rate: what each adds of its gradient step. leaves: largest number a tree.
        smallest_leaf: runs that a leaf needs; fewer than twice as many runs make trees without a split, so
            it is lowered to a quarter of the runs where those are few.

    References:
        Liu et al., "RegMix: Data Mixture as Regression for Language Model Pre-training", arXiv 2407.01492.

    Departures:
        The released notebook stops early on the runs it reports on; here all rounds are used.
    """

    rounds: int = 1000
    rate: float = 0.01
    leaves: int = 31
    smallest_leaf: int = 20

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.rate <= 0 or self.leaves < 2 or self.smallest_leaf < 1:
            raise InputError(
                f"trees need rounds >= 1, rate > 0, leaves >= 2 and smallest_leaf >= 1, got {self.rounds}, "
                f"{self.rate}, {self.leaves} and {self.smallest_leaf}"
            )

    @property
    def name(self) -> str:
        return "trees"

    def parameters(self, m: int) -> int | None:
        """None: trees grow with the runs."""
        return None

    def fit(self, table: Table, weights: Array | None = None, seed: int = 42) -> FittedTrees:
        """Boosted trees of all targets.

        Raises:
            InputError: fewer than 4 runs with weight.
        """
        counted = len(table) if weights is None else int((weights > 0).sum())
        if counted < 4:
            raise InputError(f"trees need at least 4 runs, got {counted}")
        columns = columns_of(table)
        features = columns.of(table.mixtures, table.size, table.tokens)
        settings = self._settings(counted, seed)
        boosters = [
            lightgbm.train(
                settings,
                lightgbm.Dataset(features, label=losses, weight=weights, params={"verbose": -1}),
                num_boost_round=self.rounds,
            )
            for losses in table.losses.T
        ]
        return FittedTrees(columns, tuple(boosters))

    def refit(self, fitted: Any, table: Table, weights: Array, seed: int = 0) -> Sequence[FittedTrees]:
        """Grown anew for each row of weights."""
        return [self.fit(table, row, seed) for row in weights]

    def from_json(self, plain: Mapping[str, Any]) -> FittedTrees:
        """Trees from LightGBM's text.

        Raises:
            InputError: text that is not of LightGBM.
        """
        try:
            boosters = tuple(lightgbm.Booster(model_str=text) for text in plain["boosters"])
            return FittedTrees(Columns.from_json(plain["columns"]), boosters)
        except (KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
            raise InputError(f"these are not saved trees ({type(error).__name__}: {error})") from None

    def _settings(self, runs: int, seed: int) -> dict[str, Any]:
        return {
            "objective": "regression",
            "boosting": "gbdt",
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": min(self.smallest_leaf, max(1, runs // 4)),
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
