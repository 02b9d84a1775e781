"""Mixtures that are known before the first step, or follow from the losses alone."""

from __future__ import annotations

from collections.abc import Mapping

from aioli.data.similarity_settings import Direction, SimilaritySettings
from aioli.methods.entry import BASELINE, Proportions, listed
from aioli.methods.matched import Matched
from aioli.methods.similar import Similar
from aioli.methods.static import Static, Stratified, Temperature, UniMax
from aioli.protocol import Citation, Problem

__all__ = [
    "example_mixture",
    "matched",
    "proportional",
    "similar",
    "static",
    "stratified",
    "temperature",
    "unimax",
]

TEMPERATURE = Citation("Massively Multilingual Neural Machine Translation in the Wild", "1907.05019")
UNIMAX = Citation("UniMax: Fairer and more Effective Language Sampling", "2304.09151")
SIMILAR = Citation("A prior from the texts (this project)")
MATCHED = Citation("Sampling matched to the objective (this project)")


@listed(BASELINE)
def stratified() -> Stratified:
    """Equal proportions for all groups."""
    return Stratified()


@listed(BASELINE)
def proportional() -> Temperature:
    """Proportions as the groups' sizes in tokens (the natural mixture)."""
    return Temperature(tau=1.0)


@listed(TEMPERATURE)
def temperature(tau: float = 2.0) -> Temperature:
    """Proportions as sizes to the power 1/tau."""
    return Temperature(tau)


@listed(UNIMAX)
def unimax(max_epochs: float = 4.0) -> UniMax:
    """As uniform as a cap on repetitions allows."""
    return UniMax(max_epochs)


def example_mixture(problem: Problem) -> dict[str, float]:
    """Uneven proportions that depend on the groups' sizes, not on their order."""
    sizes = [(2 + n % 7) * (n > 0) for n in problem.group_tokens]
    return {group: size / sum(sizes) for group, size in zip(problem.groups, sizes, strict=True)}


@listed(BASELINE, example=lambda problem: {"proportions": example_mixture(problem)})
def static(proportions: Proportions) -> Static:
    """The user's own proportions."""
    return Static(proportions)


@listed(MATCHED, law="none", estimator="running training losses", solver="gradient of the objective")
def matched(
    objective: str | None = None,
    tau: float | None = None,
    round_steps: int | None = None,
    smoothing: float = 0.5,
    floor: float = 0.01,
) -> Matched:
    """Each group as often as its loss matters to the objective; needs no measurement."""
    return Matched(objective, tau, round_steps, smoothing, floor)


def example_divergences(problem: Problem) -> dict[str, object]:
    """Divergences that depend on the names alone, as if texts had been compared."""
    letters = {group: sum(map(ord, group)) % 7 / 7 for group in problem.groups}
    return {"tau": 0.5, "divergences": {target: letters for target in problem.targets}}


@listed(SIMILAR, estimator="n-grams of the texts", example=example_divergences)
def similar(
    tau: float | Mapping[str, float] | None = None,
    direction: Direction = "target_group",
    buckets: int = 65536,
    sample: int = 300_000,
    smoothing: float = 0.1,
    seed: int = 0,
    window: int = 20,
    max_overlap: float = 0.05,
    allow_contamination: bool = False,
    divergences: Mapping[str, Mapping[str, float]] | None = None,
) -> Similar:
    """Groups whose text is near the targets' more often; needs no measurement."""
    settings = SimilaritySettings(
        direction, buckets, sample, smoothing, seed, window, max_overlap, allow_contamination
    )
    return Similar(tau, settings, divergences)
