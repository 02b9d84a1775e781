"""The findings as sentences, each computed from the answers: what the paper says, what was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.paper_study.plan import CONTROL, OTHERS, PUBLISHED, SETTINGS

from aioli.analysis.numbers import bounds, percent, signed

__all__ = ["findings"]

Answers = Mapping[str, Any]
RELATIVES = ("aioli", "aioli (released settings)", "aioli_static", "aioli_diagonal")


def findings(found: Answers) -> list[str]:
    """One sentence or two for every question that the stored runs answer."""
    told: list[str] = []
    if found["unrestricted"]:
        told += _unrestricted(found["unrestricted"])
    if found["explained"]:
        told += _explained(found["explained"])
    if found["laws"]:
        told += _laws(found["laws"])
    if found["restricted"]:
        told += _restricted(found["restricted"])
    if found["out_of_domain"]:
        told += _out_of_domain(found["out_of_domain"])
    return told


def _span(triple: Any, form: str = "percent", like: float = 10) -> str:
    shown = percent(triple[0]) if form == "percent" else signed(triple[0], like)
    between = bounds(triple[1], triple[2], form, like)
    return f"{shown} ({between})" if between else shown


def _unrestricted(found: Answers) -> list[str]:
    methods = found["methods"]
    told = []
    for label in RELATIVES:
        if label in methods:
            row = methods[label]
            published = (
                f"; published, of the same settings: {row['published_mean']:+.3f}, lower in "
                f"{row['published_lower_in']}"
                if label == "aioli"
                else ""
            )
            told.append(
                f"{label}: lower than stratified in {row['lower_in']} of {row['settings']} settings on "
                f"average, by a 95% interval in {row['better']}, higher by one in {row['worse']}; mean "
                f"change {_span(row['change'], 'signed')} in perplexity, "
                f"{_span(row['percent'])}, {_span(row['loss'], 'signed', 0.1)} nats of mean loss{published}."
            )
    worst = {label: methods[label]["worst"] for label in OTHERS if label in methods}
    if worst:
        label = max(worst, key=lambda name: worst[name]["change"][0])
        row = worst[label]
        told.append(
            f"The worst of the other published methods: {label} on {SETTINGS[row['setting']].title}, "
            f"{_span(row['change'], 'signed')} in perplexity, {_span(row['percent'])}; published: up to "
            f"{PUBLISHED['worst']} worse."
        )
    if CONTROL in methods:
        row = methods[CONTROL]
        told.append(
            "The control, stratified with the order of its groups shaken, differs by "
            f"{_span(row['percent'])} over {row['settings']} settings, in one by up to "
            f"{percent(row['worst']['percent'][0])}: all rows share the luck of the stratified runs and move "
            f"together with it. {_against_both(methods)}"
        )
    never = [label for label, row in methods.items() if row["worse"] == 0 and label != CONTROL]
    ahead = [
        label for label, row in methods.items() if row["percent"][2] is not None and row["percent"][2] < 0
    ]
    told.append(
        "Better than stratified on average over the settings, by a 95% interval over seeds: "
        + (", ".join(f"{label} ({_span(methods[label]['percent'])})" for label in ahead) or "none")
        + f". Worse by an interval in no setting: {', '.join(never) or 'none'}. (Intervals are not corrected "
        f"for {len(methods)} methods.)"
    )
    return told


def _against_both(methods: Mapping[str, Any]) -> str:
    """Whose verdicts are others against the mean of stratified and the control."""
    told = []
    for label, row in methods.items():
        before, after = row["decided"], row["decided_by_both"]
        for name in SETTINGS:
            if label != CONTROL and before.get(name) != after.get(name):
                then, now = (each.get(name, "undecided") for each in (before, after))
                told.append(f"{label} on {SETTINGS[name].title} {now} instead of {then}")
    return f"Held against the mean of both, verdicts by an interval that change: {'; '.join(told) or 'none'}."


def _explained(found: Answers) -> list[str]:
    """For Aioli and its relatives, the other published methods, and the control."""
    parts = [
        f"{label} {percent(row['by_mixture'][0])} of {percent(row['change'][0])}, left {_span(row['rest'])}"
        for label in (*RELATIVES, *OTHERS, CONTROL)
        if (row := found.get(label))
    ]
    if not parts:
        return []
    return [
        "What the shares drawn over the whole run explain of a change, by the log-linear law of the sweep's "
        "ten runs (left: the order of the groups, probes above all, the law's error, and noise, the luck of "
        f"stratified included): {'; '.join(parts)}."
    ]


def _laws(found: Answers) -> list[str]:
    told = []
    if found["static_mean"]:
        each = found["static_mean"]["log-linear"]
        held = "" if each["held_out_r2"] is None else f", {each['held_out_r2']:.3f} held out"
        told.append(
            f"Static log-linear law, ten runs a setting: R2 {each['r2']:.3f} fitted{held}; published "
            f"{found['published']['log-linear']}."
        )
    for horizon, each in (found.get("dynamic_mean") or {}).items():
        held, sums = (
            f"{each[k]:.3f}" if each[k] is not None else "unknown" for k in ("held_out_r2", "sums_r2")
        )
        told.append(
            f"Linear dynamic law over {horizon} steps: R2 {each['r2']:.3f} fitted, {held} held out; of "
            f"the sum over targets {sums} held out; published {found['published']['linear, dynamic']}."
        )
    shape = found.get("shape") or {"targets": 0, "sums": 0}
    if shape["targets"]:
        told.append(
            f"The group that lowers a target's loss most is its own in {shape['own']} of {shape['targets']} "
            "laws of one target (branches of every seed, checkpoint and horizon)."
        )
    if shape["sums"]:
        told.append(
            f"The sum of targets is concave in {shape['concave']} of {shape['sums']} laws: it falls most "
            "inside the simplex, not at a corner."
        )
    for horizon, forms in found["correlation"].items():
        parts = []
        for form, each in forms.items():
            if each["r2"] is not None:
                between = each["r2_interval"]
                told_between = f" ({between[0]:.2f} to {between[1]:.2f})" if between else ""
                parts.append(
                    f"{form} R2 {each['r2']:.2f}{told_between}, r {each['r']:+.2f}, of ranks "
                    f"{each['spearman']:+.2f} ({len(each['dots'])} pairs; p {each['p']:.2f} for a higher r "
                    "by chance)"
                )
        if parts:
            told.append(
                f"Similarity to the law over {horizon} steps against improvement, over pairs of method "
                f"and setting: {'; '.join(parts)}; published R2 {PUBLISHED['similarity_r2']}."
            )
    if found["order"]:
        rows = [list(each.values())[-1] for each in found["order"].values()]
        horizon = list(next(iter(found["order"].values())))[-1]
        told.append(
            f"Order of the groups' gains over {horizon} steps between the first and the last checkpoint: "
            f"of {sum(row['pairs'] for row in rows)} pairs of groups "
            f"{sum(row['told_in_both'] for row in rows)} are told apart at both, and "
            f"{sum(row['reversed'] for row in rows)} of these change places."
        )
    return told


def _restricted(found: Answers) -> list[str]:
    best, worst, theirs = found["best"], found["worst"], PUBLISHED["restricted"]
    return [
        f"Restricted: of {found['count']} cases {found['improved']} improve on average when Aioli begins "
        f"from the learned mixture ({found['better']} by a 95% interval, {found['worse']} become worse by "
        f"one), by {_span(found['change'], 'signed')} in perplexity, {_span(found['percent'])}; published "
        f"{theirs['improved']} of {theirs['count']}, {theirs['mean']:+.2f}.",
        f"The best case: {best['method']} on {SETTINGS[best['setting']].title}, "
        f"{_span(best['change'], 'signed')} in perplexity ({percent(best['percent'][0])}); the worst: "
        f"{worst['method']} on {SETTINGS[worst['setting']].title}, {_span(worst['change'], 'signed')}; "
        f"published best {theirs['best']:+.2f}. (Picked from {found['count']}: intervals leave that out.)",
    ]


def _out_of_domain(found: Answers) -> list[str]:
    rows = sorted(found["methods"].items(), key=lambda item: item[1]["perplexity"])
    told = "; ".join(f"{label} {_span(row['percent'])}" for label, row in rows)
    return [f"Out of domain, against stratified: {told}."]
