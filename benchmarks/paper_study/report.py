"""The study's table (Markdown) and page (HTML with plots), from the answers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper_study.claims import RULE, claims
from benchmarks.paper_study.page import fill_page
from benchmarks.paper_study.plan import SETTINGS
from benchmarks.paper_study.questions import answers
from benchmarks.paper_study.sentences import findings

from aioli.analysis.numbers import MISSING, bounds, percent, signed
from aioli.files import replace_file

__all__ = ["write_report"]

READING = "reading.md"
"""What a person concluded, beside the stored runs; stands first in the Markdown."""
Answers = Mapping[str, Any]


def write_report(results: Path) -> None:
    """Write RESULTS.md, and RESULTS/report.html, from the runs stored in RESULTS."""
    found = answers(results)
    results.mkdir(parents=True, exist_ok=True)
    reading = results / READING
    written = reading.read_text() if reading.exists() else ""
    replace_file(results.with_suffix(".md"), markdown(found, written, results.name))
    replace_file(results / "report.html", fill_page(found))


def markdown(found: Answers, written: str, name: str) -> str:
    """The whole result as Markdown."""
    parts = [
        "# The paper's study on real text",
        f"[page with plots]({name}/report.html) · stored runs in `{name}/` · all runs: `python -m "
        "benchmarks.paper_study`; this file and the page from the stored runs: the same with `--report`.",
        *_claims(found),
        written.strip(),
        "## Findings, computed from the stored runs",
        "\n".join(f"* {each}" for each in findings(found)),
    ]
    makers: dict[str, Callable[[Answers], list[str]]] = {
        "unrestricted": _unrestricted,
        "laws": _laws,
        "restricted": _restricted,
        "out_of_domain": _out_of_domain,
    }
    for stage, make in makers.items():
        if found[stage]:
            parts += make(found[stage])
    return "\n\n".join(part for part in parts if part) + "\n"


def _claims(found: Answers) -> list[str]:
    rows = [
        [
            each.text,
            each.verdict,
            each.published,
            f"{each.here} ({each.detail})" if each.detail else each.here,
        ]
        for each in claims(found)
    ]
    head = ["the paper says", "holds?", "its figure", "here"]
    return ["## The paper's claims, asked again", RULE, table(head, rows)] if rows else []


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _interval(triple: Sequence[float | None], form: str = "percent", like: float | None = None) -> str:
    mean, low, high = triple
    shown = percent(mean) if form == "percent" else signed(mean, like)
    told = bounds(low, high, form, like)
    return f"{shown} ({told})" if told else shown


def _number(value: float | None, form: str = ".3f") -> str:
    return MISSING if value is None else f"{value:{form}}"


def _unrestricted(found: Answers) -> list[str]:
    names = [name for name in SETTINGS if name in found["settings"]]
    rows = []
    for label, overall in found["methods"].items():
        cells = []
        for name in names:
            row = found["settings"][name]["methods"].get(label)
            if row is None:
                cells.append(MISSING)
                continue
            mark = {"better": "**", "worse": "_"}.get(row["verdict"], "")
            theirs = "" if row["published"] is None else f" [{row['published']:+.2f}]"
            cells.append(f"{mark}{signed(row['change'][0], 10)}{mark}{theirs}")
        means = _interval(overall["change"], "signed", 10)
        if overall["published_mean"] is not None:
            means += f" [{overall['published_mean']:+.3f}]"
        lower = f"{overall['lower_in']} of {overall['settings']}"
        loss = _interval(overall["loss"], "signed", 0.1)
        rows.append([label, *cells, lower, means, loss, f"{overall['flops']:.2f}x"])
    levels = ["stratified, perplexity"]
    levels += [
        f"{found['settings'][name]['stratified'][0]:.2f} [{SETTINGS[name].stratified:.2f}]" for name in names
    ]
    head = ["method", *(f"{SETTINGS[n].title} ({SETTINGS[n].mirrors})" for n in names)]
    head += ["lower in", "mean over settings (95%)", "of mean loss, nats", "FLOPs in all"]
    detail = []
    for name in names:
        each = found["settings"][name]
        detail.append(f"### {SETTINGS[name].title}")
        detail.append(
            table(
                ["method", "change (95%)", "of mean loss, nats", "lower in", "smallest change it could see",
                 "probe steps in its run", "tokens read in its run", "extra runs", "FLOPs in all"],
                [
                    [
                        label,
                        "the runs of stratified" if row["same_runs"] else _interval(row["percent"]),
                        MISSING if row["same_runs"] else _interval(row["loss"], "signed", 0.1),
                        MISSING if row["same_runs"] else f"{row['lower_in']} of {len(row['seeds'])}",
                        MISSING if row["same_runs"] else percent(row["detectable"]).lstrip("+"),
                        f"{row['probe_steps']:.0f}",
                        f"{row['read_tokens'] / 1e6:.2f}M",
                        str(row["extra_runs"]),
                        f"{row['flops']:.2f}x",
                    ]
                    for label, row in sorted(each["methods"].items(), key=lambda item: item[1]["percent"][0])
                ],
            )
        )  # fmt: skip
    return [
        "## Unrestricted: every method against stratified sampling",
        "Change of mean test perplexity, paired by seed; in square brackets the paper's figure of the "
        "setting that ours mirrors (another corpus, a model a thousand times larger). **Bold**: lower by a "
        "95% interval over seeds; _italic_: higher by it. The mean over settings is taken for each seed "
        "first. Grid search and DML rest on one sweep with a seed of its own: their intervals leave out the "
        "luck of that choice, while Skill-It, DoReMi and DoGE learn anew for each seed. The ten mixtures of "
        "three groups contain the equal one, those of two and of seven groups do not. All methods but "
        "matched aim at the mean loss, which the mean perplexity follows only where all targets move alike: "
        "its change stands beside.",
        table(head, [[*levels, "", "", "", "1.00x"], *rows]),
        *detail,
    ]


def _laws(found: Answers) -> list[str]:
    parts = ["## Laws"]
    if found["static"]:
        rows = [
            [SETTINGS[name].title, *(_number(each[law][key]) for law in ("log-linear", "linear")
                                     for key in ("r2", "held_out_r2"))]
            for name, each in found["static"].items()
        ]  # fmt: skip
        parts += [
            "Static laws on whole runs (a sweep of ten mixtures, one seed), R2, mean over targets; held out: "
            "each run predicted from the others, median over targets. For seven groups ten runs fit eight "
            "numbers a target, so that the fitted R2 says little. The paper has "
            f"{found['published']['log-linear']} for the log-linear law.",
            table(["setting", "log-linear", "held out", "linear", "held out"], rows),
        ]
    if found["dynamic"]:
        horizons = list(found["dynamic_mean"])
        rows = [
            [SETTINGS[name].title]
            + [
                f"{_number(each[h]['r2'])} / {_number(each[h]['held_out_r2'])} / "
                f"{_number(each[h]['sums_r2'])}"
                for h in horizons
            ]
            for name, each in found["dynamic"].items()
        ]
        parts += [
            "The linear dynamic law on branches off checkpoints, by horizon: R2 fitted (mean over targets) / "
            "held out (median) / held out for the sum over targets that methods act on (median). The paper "
            f"has {found['published']['linear, dynamic']}.",
            table(["setting", *(f"{h} steps" for h in horizons)], rows),
        ]
        parts += [
            "### Fidelity",
            _fidelity(found),
            "### Do the column sums change their order?",
            _order(found),
        ]
    return parts


def _fidelity(found: Answers) -> str:
    horizons = list(found["dynamic_mean"])
    shown = [horizons[0], horizons[-1]]
    labels = list(dict.fromkeys(label for each in found["fidelity"].values() for label in each[horizons[0]]))
    rows = []
    for label in labels:
        row = [label]
        for horizon in shown:
            for form in ("raw", "centred"):
                values = [
                    each[horizon][label][form]["mean"]
                    for each in found["fidelity"].values()
                    if label in each[horizon] and each[horizon][label][form]["mean"] is not None
                ]
                row.append(f"{sum(values) / len(values):+.2f}" if values else MISSING)
        rows.append(row)
    head = ["method", *(f"{form}, {h} steps" for h in shown for form in ("raw", "centred"))]
    told = (
        "Similarity of column sums to those of branches, mean over settings, checkpoints and seeds. Each "
        "method makes one estimate at checkpoints of the stratified runs; the paper compares at checkpoints "
        "of the method's own run, and averages Aioli's matrices over rounds. `another seed's law` is that of "
        "the same branches off other seeds' runs: what is known without the luck of a run."
    )
    return f"{told}\n\n{table(head, rows)}"


def _order(found: Answers) -> str:
    rows = []
    for name, each in found["order"].items():
        horizon = list(each)[-1]
        row = each[horizon]
        rows.append(
            [SETTINGS[name].title, str(row["pairs"]), ", ".join(map(str, row["told_apart"])),
             str(row["told_in_both"]), str(row["reversed"])]
        )  # fmt: skip
    steps = next(iter(next(iter(found["order"].values())).values()))["steps"]
    told = f"told apart at steps {', '.join(map(str, steps))}"
    return table(["setting", "pairs of groups", told, "at both", "reversed"], rows)


def _restricted(found: Answers) -> list[str]:
    rows = [
        [
            SETTINGS[case["setting"]].title,
            case["method"],
            " ".join(f"{share:.2f}" for share in case["mixture"]),
            _interval(case["alone"]["percent"]),
            _interval(case["with_aioli"]["percent"]),
            _interval(case["gain"]["percent"]),
            signed(case["gain"]["change"][0], 10),
        ]
        for case in found["cases"]
    ]
    head = ["setting", "learned by", "mixture", "alone against stratified", "with Aioli against stratified",
            "Aioli's change", "in perplexity"]  # fmt: skip
    return [
        "## Restricted: mixtures learned in runs of half the length, with Aioli on top",
        "Each mixture was learned once and trained with three seeds, as it is and with Aioli beginning "
        "from it.",
        table(head, rows),
    ]


def _out_of_domain(found: Answers) -> list[str]:
    rows = [
        [label, f"{row['perplexity']:.2f}", _interval(row["percent"]), str(row["extra_runs"]),
         f"{row['flops']:.2f}x"]
        for label, row in sorted(found["methods"].items(), key=lambda item: item[1]["perplexity"])
    ]  # fmt: skip
    rows.append(["stratified", f"{found['stratified'][0]:.2f}", "", "0", "1.00x"])
    return [
        f"## Out of domain: twelve groups, {found['target']} held out",
        table(["method", "perplexity", "change (95%)", "extra runs", "FLOPs in all"], rows),
    ]
