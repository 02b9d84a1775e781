"""The paper's claims one by one: its figure, ours, and whether ours says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from benchmarks.paper_study.differences import triple
from benchmarks.paper_study.plan import OTHERS, PUBLISHED, SETTINGS
from scipy.stats import binomtest

from aioli.analysis.numbers import bounds, signed

__all__ = ["HOLDS", "NOT_HERE", "RULE", "UNDECIDED", "Claim", "claims"]

HOLDS, NOT_HERE, UNDECIDED = "holds", "not here", "undecided"
NEAR = 0.05
"""A fit is as good as published down to this much less of R2."""
RULE = (
    "A claim holds, or does not hold here, where a 95% interval says so, over seeds or, for a count of "
    "cases, of a binomial share; a claim of every setting holds where each one's interval says so, and does "
    f"not where one says the opposite. A law holds where its R2 is at most {NEAR} below the published one. "
    "Intervals are not corrected for how many there are; worst and best cases are picked."
)
Answers = Mapping[str, Any]


class Claim(NamedTuple):
    """What the paper says; HOLDS, NOT_HERE or UNDECIDED; its figure; ours; what stands behind ours."""

    text: str
    verdict: str
    published: str
    here: str
    detail: str = ""


def claims(found: Answers) -> list[Claim]:
    """Those that the stored runs can speak to, in the paper's order."""
    told: list[Claim] = []
    if found["unrestricted"]:
        told += _unrestricted(found["unrestricted"])
    if found["laws"]:
        told += _laws(found["laws"])
    if found["restricted"]:
        told += _restricted(found["restricted"])
    return told


def _decide(low: float | None, high: float | None, wanted: float = 0.0) -> str:
    """Whether a change lies below what the claim allows: surely, surely not, or undecided."""
    if low is None or high is None:
        return UNDECIDED
    return HOLDS if high < wanted else NOT_HERE if low > wanted else UNDECIDED


def _between(values: Sequence[float | None]) -> str:
    return bounds(values[1], values[2], "signed", 10)


def _share(count: int, of: int) -> str:
    """Whether more than half of all such cases would be so."""
    found = binomtest(count, of).proportion_ci()
    return _decide(1 - found.high, 1 - found.low, 0.5)


def _unrestricted(found: Answers) -> Iterator[Claim]:
    methods = found["methods"]
    if aioli := methods.get("aioli"):
        every = aioli["better"] == aioli["settings"]
        yield Claim(
            "Aioli is below stratified sampling in every setting",
            NOT_HERE if aioli["worse"] else HOLDS if every else UNDECIDED,
            "6 of 6",
            f"{aioli['lower_in']} of {aioli['settings']}",
            f"by an interval lower in {aioli['better']}, higher in {aioli['worse']}",
        )
        published: Mapping[str, float] = PUBLISHED["mean"]
        yield Claim(
            "Aioli's mean change of perplexity is a gain",
            _decide(*aioli["change"][1:]),
            f"{published['aioli']:+.3f}",
            signed(aioli["change"][0], 10),
            _between(aioli["change"]),
        )
        for name in ("aioli_static", "aioli_diagonal"):
            if (form := methods.get(name)) and form["seeds"] == aioli["seeds"]:
                gap = triple(np.subtract(aioli["by_seed_change"], form["by_seed_change"]))
                yield Claim(
                    f"Aioli is below {name}, on average over settings",
                    _decide(gap[1], gap[2]),
                    f"{published['aioli'] - published[name]:+.3f}",
                    signed(gap[0], 10),
                    _between(gap),
                )
    others = {label: methods[label] for label in OTHERS if label in methods}
    if others:
        never = [label for label, row in others.items() if not row["worse"]]
        every = [label for label, row in others.items() if row["better"] == row["settings"]]
        yield Claim(
            "No other method is below stratified in every setting",
            NOT_HERE if every else UNDECIDED if never else HOLDS,
            "each above in 1 to 5",
            f"{', '.join(every)} below in all"
            if every
            else f"each above in {min(row['settings'] - row['lower_in'] for row in others.values())} or more",
            f"by an interval in {min(row['worse'] for row in others.values())} or more",
        )
        label = max(others, key=lambda name: others[name]["worst"]["change"][0])
        worst = others[label]["worst"]
        _, low, high = worst["change"]
        yield Claim(
            "Badly set laws cost whole points of perplexity",
            {HOLDS: NOT_HERE, NOT_HERE: HOLDS}.get(_decide(low, high, 1.0), UNDECIDED),
            f"up to {PUBLISHED['worst']:+.1f} (DoReMi)",
            f"up to {signed(worst['change'][0], 10)}, {label}",
            f"{_between(worst['change'])}, {SETTINGS[worst['setting']].title}",
        )


def _laws(found: Answers) -> Iterator[Claim]:
    published = found["published"]
    if found["static_mean"]:
        each = found["static_mean"]["log-linear"]
        yield Claim(
            "A log-linear static law fits whole runs",
            HOLDS if each["r2"] >= published["log-linear"] - NEAR else NOT_HERE,
            f"R2 {published['log-linear']}",
            f"R2 {each['r2']:.3f}",
            "" if each["held_out_r2"] is None else f"of runs left out {each['held_out_r2']:.3f}",
        )
    dynamic = list((found.get("dynamic_mean") or {}).values())
    if dynamic:
        fits = [each["r2"] for each in dynamic]
        held_out = [each["held_out_r2"] for each in dynamic if each["held_out_r2"] is not None]
        yield Claim(
            "A linear dynamic law fits short stretches of training",
            HOLDS if min(fits) >= published["linear, dynamic"] - NEAR else NOT_HERE,
            f"R2 {published['linear, dynamic']}",
            f"R2 {min(fits):.3f} to {max(fits):.3f}",
            f"of branches left out {min(held_out):.3f} to {max(held_out):.3f}" if held_out else "",
        )
    fits = [each["raw"] for each in found["correlation"].values() if each["raw"]["r2"] is not None]
    spans = [each["r2_interval"] for each in fits if each["r2_interval"]]
    if spans:
        theirs = PUBLISHED["similarity_r2"]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        rising = all(each["r"] > 0 for each in fits)
        yield Claim(
            "How near a method's law is to the true one tells what it gains",
            NOT_HERE if high < theirs else HOLDS if rising and low > theirs - NEAR else UNDECIDED,
            f"R2 {theirs}",
            f"R2 {min(each['r2'] for each in fits):.2f} to {max(each['r2'] for each in fits):.2f}",
            f"intervals reach {high:.2f}",
        )


def _restricted(found: Answers) -> Iterator[Claim]:
    theirs, best, bad = PUBLISHED["restricted"], found["best"], found["bad"]
    yield Claim(
        "Aioli on top of a mixture learned in shorter runs improves it",
        _share(found["improved"], found["count"]),
        f"{theirs['improved']} of {theirs['count']} cases",
        f"{found['improved']} of {found['count']} cases",
        f"by an interval better in {found['better']}, worse in {found['worse']}",
    )
    yield Claim(
        "Its mean change over these cases is a gain",
        _decide(*found["change"][1:]),
        f"{theirs['mean']:+.2f}",
        signed(found["change"][0], 10),
        _between(found["change"]),
    )
    yield Claim(
        "It improves mixtures that are bad",
        _decide(*bad["change"][1:]) if bad["count"] else UNDECIDED,
        f"best case {theirs['best']:+.2f}",
        f"best case {signed(best['change'][0], 10)}, {best['method']}",
        f"{bad['count']} at least {bad['least']:.0f}% above stratified by other seeds, mean "
        f"{signed(bad['change'][0], 10)}: {_between(bad['change'])}"
        if bad["count"]
        else f"none is {bad['least']:.0f}% above stratified",
    )
