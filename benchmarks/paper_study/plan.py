"""What the study runs, and what the paper (arXiv 2411.05735) reports of the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aioli.protocol import Array
from aioli.sweep.designs import grid, grid_steps, space_filling
from aioli.sweep.region import Region

__all__ = [
    "CONTROL",
    "FULL",
    "OTHERS",
    "PUBLISHED",
    "QUICK",
    "SETTINGS",
    "Plan",
    "Setting",
    "compared_laws",
    "learners",
    "static",
    "sweep_mixtures",
    "with_aioli",
]

Entry = str | dict[str, Any]
CONTROL = "stratified, shaken"
OTHERS = ("grid search", "dml", "skill_it", "doremi", "doge")
"""The paper's methods besides Aioli, by our labels."""
PUBLISHED: dict[str, Any] = {
    "mean": {"aioli": -0.274, "aioli_static": -0.140, "aioli_diagonal": -0.230},
    "worst": 6.9,
    "similarity_r2": 0.491,
    "restricted": {"improved": 28, "count": 30, "mean": -1.20, "best": -12.01},
}
"""The paper's figures that are not of one setting: changes of perplexity, and R2."""


@dataclass(frozen=True)
class Setting:
    """One of the six.

    Attributes:
        name: of the recipe in `benchmarks.corpora`. title: short, for tables and plots. groups: how many.
        mirrors: the paper's setting.
        released: Aioli's settings in the released code for as many groups (its one-hot factor is our focus).
        stratified: test perplexity of stratified sampling in the paper.
        published: change of the mean test perplexity against it, by method.
    """

    name: str
    title: str
    groups: int
    mirrors: str
    released: Mapping[str, float]
    stratified: float
    published: Mapping[str, float]


TWO = {"eta": 0.2, "memory": 0.1, "round_steps": 250, "sweeps": 4, "probe_steps": 4, "focus": 0.625}
THREE = {"eta": 0.1, "memory": 0.5, "round_steps": 250, "sweeps": 4, "probe_steps": 6, "focus": 0.5}
SEVEN = {"eta": 1.0, "memory": 0.1, "round_steps": 200, "sweeps": 2, "probe_steps": 10, "focus": 0.75}
METHODS = ("grid search", "DML", "Skill-It", "DoReMi", "DoGE", "Aioli")
TABLE_2 = {
    # ours: (title, groups, the paper's setting, released, its stratified perplexity, changes by METHODS)
    "code_dictionary": (
        "code, dictionary", 2, "arXiv/SE", TWO, 16.532, (-0.399, -0.241, -0.326, -0.307, 0.419, -0.205),
    ),
    "math_formal_speeches": (
        "maths, speeches", 2, "GH/C4", TWO, 35.991, (-0.407, -0.110, 0.551, 5.303, 0.184, -0.340),
    ),
    "books_techdocs": (
        "books, techdocs", 2, "Books/SE", TWO, 47.192, (-0.645, -0.644, -0.728, -0.217, -0.678, -0.439),
    ),
    "latex_books_biomed": (
        "latex, books, biomed", 3, "A/B/SE", THREE, 35.114, (-0.247, -0.599, -0.568, -0.393, 1.843, -0.226),
    ),
    "code_encyclopedic_multilingual": (
        "code, encycl., multil.", 3, "CC/GH/W", THREE, 41.583, (0.298, 0.242, -0.195, 6.898, 0.604, -0.196),
    ),
    "seven": ("seven groups", 7, "SlimPajama", SEVEN, 26.426, (0.490, 1.641, -0.184, 0.703, 0.949, -0.240)),
}  # fmt: skip
SETTINGS = {
    name: Setting(name, *row[:-1], dict(zip(METHODS, row[-1], strict=True))) for name, row in TABLE_2.items()
}


@dataclass(frozen=True)
class Plan:
    """Sizes of the study.

    Attributes:
        seeds: of the unrestricted comparison. few_seeds: of all that follows it.
        search_seed: of runs that a mixture is learned from; no other run shares it.
        overrides: of the configs. half: more of them, for runs of half the length.
        at, horizons: steps at which laws are measured, and over how many.
        statics: mixtures tried out of domain.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    few_seeds: tuple[int, ...] = (0, 1, 2)
    search_seed: int = 100
    overrides: tuple[str, ...] = ()
    half: tuple[str, ...] = ("train.steps=750", "train.warmup=50")
    at: tuple[int, ...] = (300, 1000)
    horizons: tuple[int, ...] = (5, 20, 75, 300)
    searched: int = 10
    statics: int = 20
    settings: tuple[str, ...] = field(default_factory=lambda: tuple(SETTINGS))

    @property
    def quick(self) -> bool:
        return bool(self.overrides)

    def methods(self, setting: Setting) -> list[Entry]:
        """Every online method of the comparison without limits on extra runs.

        DoGE's mu keeps the published ratio of learning rate to mu, Skill-It's graph comes from one-hot runs
        of a fifth of the length, and the bandit waits for the end of the learning-rate warm-up. The last is
        a control, what comes of changing nothing that matters: all rows share the luck of the same
        stratified runs, which no row's interval knows.
        """
        matched = {"matched": {"objective": "mean_perplexity"}, "label": "matched"}
        if self.quick:
            return ["stratified", matched, "aioli", {"skill_it": {}, "run_steps": 0.2, "label": "skill_it"}]
        return [
            "stratified",
            "proportional",
            matched,
            "aioli",
            {"aioli_ema": dict(setting.released), "label": "aioli (released settings)"},
            "aioli_static",
            "aioli_diagonal",
            {"odm": {"warmup_steps": 100}, "label": "odm"},
            "ado",
            {"skill_it": {}, "run_steps": 0.2, "label": "skill_it"},
            "doremi",
            {"doge": {"mu": 0.16}, "label": "doge"},
            shaken(setting.groups),
        ]


def shaken(groups: int) -> Entry:
    """The control: proportions a thousandth off, which only changes the order in which groups are dealt."""
    nudge = np.zeros(groups)
    nudge[[0, -1]] = 0.001, -0.001
    return {"static": {"proportions": (1 / groups + nudge).tolist()}, "label": CONTROL}


def compared_laws(plan: Plan) -> list[Entry]:
    """The methods whose own law is measured at checkpoints; what they need runs as the comparison has it."""
    if plan.quick:
        return ["aioli", {"odm": {"warmup_steps": 0}, "label": "odm"}]
    return [
        "aioli",
        "aioli_diagonal",
        {"skill_it": {}, "run_steps": 0.2, "label": "skill_it"},
        {"doremi": {}, "use": "model", "label": "doremi"},
        {"doge": {"mu": 0.16}, "use": "model", "label": "doge"},
        {"odm": {"warmup_steps": 0}, "label": "odm"},
        "ado",
    ]


def learners(plan: Plan) -> list[Entry]:
    """Methods that learn a mixture in runs of half the length: proxies themselves, and Skill-It's mean."""
    skill_it: Entry = {"skill_it": {}, "label": "skill_it"}
    if plan.quick:
        return ["stratified", skill_it]
    doge: Entry = {"doge": {"mu": 0.16}, "use": "model", "label": "doge"}
    return ["stratified", {"doremi": {}, "use": "model", "label": "doremi"}, doge, skill_it]


def sweep_mixtures(groups: int, runs: int) -> Array:
    """[runs, m] mixtures of the sweep that grid search and DML share, every group at least .1/m.

    The grid of so many points where there is one (two and three groups), else mixtures far from each other.
    """
    region = Region.simplex(groups)
    found = grid(grid_steps(runs, region), region) if runs >= groups else np.empty((0, groups))
    if len(found) != runs:
        found = space_filling(runs, region, seed=0)
    return 0.9 * found + 0.1 / groups


def static(label: str, mixture: Mapping[str, float]) -> Entry:
    return {"static": {"proportions": dict(mixture)}, "label": label}


def with_aioli(label: str, mixture: Mapping[str, float]) -> Entry:
    return {"aioli": {"prior": dict(mixture)}, "label": label}


FULL = Plan()
QUICK = Plan(
    seeds=(0, 1),
    few_seeds=(0, 1),
    overrides=("train.steps=150", "train.warmup=20"),
    half=("train.steps=75", "train.warmup=10"),
    at=(40,),
    horizons=(5, 20),
    searched=6,
    statics=3,
    settings=("code_dictionary",),
)
