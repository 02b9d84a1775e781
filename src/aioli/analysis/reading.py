"""A comparison in a few plain sentences, written from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aioli.analysis.numbers import bounds, count, percent, quantity, ratio, signed

__all__ = ["is_decided", "verdict", "write_reading"]

FEW = 3
"""Most methods whose numbers a sentence repeats; of more it names what stands out."""
SHORTEST = 5.0
"""Seconds of a run below which its wall-clock time says more about the machine than about the method."""
Summary = Mapping[str, Any]


def is_decided(method: Summary) -> bool:
    """Whether seeds were added to a method until its interval was decided, and it was."""
    return bool((method.get("decided") or {}).get("verdict"))


def verdict(method: Summary) -> str:
    """How a method's mean test perplexity compares with the baseline's.

    "lower" or "higher" where the 95% interval of the paired difference excludes zero, "undecided" where
    it includes zero, "unknown" without an interval, "baseline" for the baseline itself. Where seeds were
    added until it was decided, what was decided, then also "equal": within the margin.
    """
    if method["difference"] is None:
        return "baseline"
    if is_decided(method):
        return str(method["decided"]["verdict"])
    stopped = method.get("decided") is not None
    change = method["relative"] if stopped else method["difference"]["perplexity"]
    if change["low"] is None:
        return "unknown"
    if change["high"] < 0:
        return "lower"
    return "higher" if change["low"] > 0 else "undecided"


def write_reading(results: Mapping[str, Any]) -> str:
    """The reading of a comparison: what is lower, what is higher, what is undecided, cost, seeds."""
    methods, baseline = results["methods"], results["baseline"]
    if baseline is None:
        names = _join([method["label"] for method in methods])
        return f"No baseline was run, so there is nothing to compare {names} with. {_seeds(results)}".rstrip()
    others = [method for method in methods if method["label"] != baseline]
    if not others:
        return f"Only the baseline, {baseline}, was run, so nothing is compared. {_seeds(results)}".rstrip()
    sentences = [
        _decided(others, baseline),
        _equal(others, results),
        _undecided(others, baseline),
        _unknown(others, baseline),
        _spread(results),
        _cost(others, baseline),
        _extra(others, baseline),
        _seeds(results),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _join(parts: Sequence[str]) -> str:
    if len(parts) < 3:
        return " and ".join(parts)
    return ", ".join(parts[:-1]) + ", and " + parts[-1]


def _decided(others: Sequence[Summary], baseline: str) -> str:
    """The methods whose interval excludes zero, the better ones first; empty when there are none."""
    changes = [
        f"{percent(abs(method['relative']['mean'])).lstrip('+')} {kind} for {_evidence(method, told=True)}"
        for kind in ("lower", "higher")
        for method in others
        if verdict(method) == kind
    ]
    return f"Against {baseline}, mean test perplexity is {_join(changes)}." if changes else ""


def _equal(others: Sequence[Summary], results: Mapping[str, Any]) -> str:
    """The methods that were decided to be within the margin of the baseline."""
    these = [_evidence(method) for method in others if verdict(method) == "equal"]
    if not these:
        return ""
    margin = f"{results['stopping']['margin']:g}%"
    return f"Within {margin} of {results['baseline']}, too close to matter: {_join(these)}."


def _undecided(others: Sequence[Summary], baseline: str) -> str:
    """The methods that the runs cannot tell from the baseline, and what such runs overlook."""
    these = [method for method in others if verdict(method) == "undecided"]
    if not these:
        return ""
    kind = _kind(these[0])
    subject = f"The {kind} interval includes" if len(these) == 1 else f"The {kind} intervals include"
    pronoun = "it" if len(these) == 1 else "them"
    brief = len(these) > FEW
    names = _join([method["label"] if brief else _evidence(method) for method in these])
    told = f"{subject} zero for {names}, so these runs cannot tell {pronoun} from {baseline}"
    return f"{told}{_overlooked(these)}."


def _overlooked(these: Sequence[Summary]) -> str:
    """Which changes so few and so noisy seeds are likely not to show."""
    noise = [(method["noise"]["detectable"], method["of"]) for method in these if method.get("noise")]
    if not noise:
        return ""
    (low, _), (high, _) = min(noise), max(noise)
    least, most = (percent(each, high).strip("+%") for each in (low, high))
    counts = sorted({seeds for _, seeds in noise})
    seeds = f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f": {seeds} easily miss changes below {least if least == most else f'{least} to {most}'}%"


def _spread(results: Mapping[str, Any]) -> str:
    """How much the baseline itself changes from seed to seed."""
    spread = next(m.get("spread") for m in results["methods"] if m["label"] == results["baseline"])
    if not spread:
        return ""
    size = percent(spread).lstrip("+")
    return f"From seed to seed {results['baseline']} itself varies by {size} (standard deviation)."


def _unknown(others: Sequence[Summary], baseline: str) -> str:
    these = [_evidence(method) for method in others if verdict(method) == "unknown"]
    if not these:
        return ""
    return f"The difference in mean test perplexity to {baseline} has no interval for {_join(these)}."


def _evidence(method: Summary, told: bool = False) -> str:
    """A method with its difference of mean test perplexity, the interval and the wins.

    Args:
        told: whether the percent change has been said before.
    """
    if method["difference"]["perplexity"]["mean"] is None:
        return f"{method['label']} (no seed in common)"
    seeds = f"{method['of']} seed{'' if method['of'] == 1 else 's'}"
    stopped = method.get("decided") is not None
    parts = _change(method, told) if stopped else _difference(method)
    parts.append(f"lower on {method['wins']} of {seeds}")
    if stopped:
        parts.append(f"{'decided' if is_decided(method) else 'undecided'} after {seeds}")
    return f"{method['label']} ({', '.join(parts)})"


def _difference(method: Summary) -> list[str]:
    change, level = method["difference"]["perplexity"], method["test"]["perplexity"]["mean"]
    between = bounds(change["low"], change["high"], "signed", level)
    percents = [percent(method["relative"]["mean"])] * (verdict(method) == "unknown")
    return [signed(change["mean"], level), *percents, *([f"95% interval {between}"] if between else [])]


def _change(method: Summary, told: bool) -> list[str]:
    """The percent change, on which it was decided, and its interval."""
    relative = method["relative"]
    between = bounds(relative["low"], relative["high"], "percent")
    mean = [] if told else [percent(relative["mean"])]
    return [*mean, *([f"{_kind(method)} interval {between}"] if between else [])]


def _kind(method: Summary) -> str:
    """Which interval a method has: for a number of seeds fixed before, or one that always holds."""
    return "95%" if method.get("decided") is None else "anytime-valid"


def _cost(others: Sequence[Summary], baseline: str) -> str:
    """Wall-clock ratios, as approximations: two runs that do the same work differ by what else ran."""
    timed = [method for method in others if _long_enough(method["cost"])]
    if len(timed) > FEW:
        ranked = sorted(timed, key=lambda method: method["cost"]["seconds_ratio"])
        ends = [f"{ratio(m['cost']['seconds_ratio'])} ({m['label']})" for m in (ranked[0], ranked[-1])]
        return f"Wall-clock time relative to {baseline}: from about {ends[0]} to about {ends[1]}."
    phrases = []
    for method in timed:
        cost = method["cost"]
        extras = [
            text
            for key, text in (
                ("probe_steps", f"{count(cost['probe_steps'])} probe steps"),
                ("evaluation_tokens", f"{quantity(cost['evaluation_tokens'])} evaluation tokens"),
            )
            if cost[key]
        ]
        inside = f" ({', '.join(extras)} a run)" if extras else ""
        phrases.append(f"about {ratio(cost['seconds_ratio'])} for {method['label']}{inside}")
    return f"Wall-clock time relative to {baseline}: {_join(phrases)}." if phrases else ""


def _extra(others: Sequence[Summary], baseline: str) -> str:
    """Who had to be preceded by other runs, and what that makes of its training tokens."""
    told = []
    for method in others:
        relative = method["cost"]["total"].get("train_tokens_ratio")
        if method["extra_runs"] and relative is not None:
            told.append(f"{method['label']} {method['extra_runs']} ({ratio(relative)})")
    if not told:
        return ""
    return f"Extra runs before each, and with them its training tokens relative to {baseline}: {_join(told)}."


def _long_enough(cost: Mapping[str, Any]) -> bool:
    """Whether a method's runs, and the baseline's, took long enough to be compared."""
    relative = cost.get("seconds_ratio")
    return relative is not None and cost["seconds"] >= SHORTEST * max(1.0, relative)


def _seeds(results: Mapping[str, Any]) -> str:
    methods = results["methods"]
    fewest = min(len(m["seeds"]) if m["of"] is None else m["of"] for m in methods if not is_decided(m))
    lacking: dict[tuple[int, ...], list[str]] = {}
    for method in methods:
        if method["missing_seeds"]:
            lacking.setdefault(tuple(method["missing_seeds"]), []).append(method["label"])
    missing = [
        f"{_join(labels)} {'has' if len(labels) == 1 else 'have'} no result for "
        f"seed{'s' * (len(seeds) > 1)} {_join([str(seed) for seed in seeds])}"
        for seeds, labels in lacking.items()
    ]
    finished = {method["label"] for method in methods}
    failed = dict.fromkeys(run["label"] for run in results["failures"] if run["label"] not in finished)
    absent = "; ".join([*missing, *(f"{label} has no finished run" for label in failed)])
    if not results["illustration"]:
        return f"{absent}." if absent else ""
    number = f"{fewest} seed{'' if fewest == 1 else 's'}" if fewest else "no seed in common"
    return f"With {number} this is an illustration, not a claim{f'; {absent}' if absent else ''}."
