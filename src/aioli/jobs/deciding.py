"""Seeds added to a comparison until every method is decided: which runs come next, where methods stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aioli.analysis.noise import noise_of
from aioli.analysis.numbers import bounds, percent
from aioli.analysis.runs import by_label
from aioli.analysis.sequential import Decision, sequence_interval
from aioli.analysis.stopped import changes_of, standings
from aioli.config import Config
from aioli.jobs.planning import RunPlan
from aioli.sweep.spec import RunSpec

__all__ = ["Round", "rounds"]

WORDS = {"lower": "better", "higher": "worse"}
Finished = Callable[[Sequence[RunSpec]], list[dict[str, Any]]]


class Round(NamedTuple):
    """Runs to carry out together.

    Attributes:
        plan: the runs. most: how many may come in all, those of this round and before it included.
        told: a line for each method that was looked at just before this round.
    """

    plan: RunPlan
    most: int
    told: tuple[str, ...] = ()


def rounds(plan: RunPlan, config: Config, finished: Finished) -> Iterator[Round]:
    """The rounds of a comparison; each but the first depends on results, so carry one out before the next.

    Without a rule there is one with every run. With one, the first holds as many seeds as it takes to decide
    anything, and each after it one more seed, of the methods that are not decided and of the baseline. The
    last is empty: it says where the methods stand.

    Args:
        finished: the results of those of the given runs that are finished.
    """
    rule, baseline = config.stopping, config.baseline
    if rule is None or baseline is None:
        yield Round(plan, len(plan.compared) + len(plan.extra))
        return
    left = [choice.label for choice in config.methods if choice.label != baseline]
    given: dict[str, RunSpec] = {}
    told: tuple[str, ...] = (
        f"each method gets seeds until it is decided: {rule.first} at least, {len(config.seeds)} at most",
    )
    done, wanted = 0, config.seeds[: rule.first]
    while left and wanted:
        ended = {result["id"] for result in finished(list(given.values()))}
        possible = _of(plan, config.seeds[done:], [baseline, *left], ended).ordered()
        following = _of(plan, wanted, [baseline, *left], ended)
        yield Round(following, len(given.keys() | {spec.id for spec in possible}), told)
        given |= {spec.id: spec for spec in following.ordered()}
        done += len(wanted)
        results, order = finished(plan.compared), config.seeds[:done]
        found = standings(results, baseline, order, rule)
        told = tuple(_lines(results, baseline, left, found, config, order))
        left = [label for label in left if label not in found or found[label].verdict is None]
        wanted = config.seeds[done : done + 1]
    yield Round(RunPlan((), ()), len(given), told)


def _of(plan: RunPlan, seeds: Sequence[int], labels: Iterable[str], ended: set[str]) -> RunPlan:
    """The part of a plan for some seeds and methods: with all that they read, without what has ended."""
    wanted = set(labels)
    every = {spec.id: spec for spec in (*plan.compared, *plan.extra)}
    compared = [spec for spec in plan.compared if spec.seed in seeds and spec.label in wanted]
    needed: dict[str, RunSpec] = {}
    waiting = [run for spec in compared for run in spec.inputs.values()]
    while waiting:
        run = waiting.pop()
        if run in every and run not in needed and run not in ended:
            needed[run] = every[run]
            waiting += every[run].inputs.values()
    own = {spec.id for spec in compared}
    extra = [spec for spec in every.values() if spec.id in needed and spec.id not in own]
    return RunPlan(tuple(spec for spec in compared if spec.id not in ended), tuple(extra))


def _lines(
    results: Sequence[Mapping[str, Any]],
    baseline: str,
    labels: Sequence[str],
    found: Mapping[str, Decision],
    config: Config,
    order: Sequence[int],
) -> Iterator[str]:
    """Where each method stands, in a line: its change, the interval, decided or seeds still expected."""
    rule = config.stopping
    assert rule is not None
    runs = by_label(results)
    for label in labels:
        stand = found.get(label)
        if stand is None:
            yield f"{label}: undecided after {len(order)} seeds, no result to compare"
            continue
        changes = changes_of(runs[label], runs[baseline], order[: stand.seeds])
        change = sequence_interval(changes, rule.alpha)
        between = bounds(change.low, change.high, "percent")
        size = f"{percent(change.mean)}{f' ({between})' if between else ''}"
        seeds = f"{stand.pairs} seeds"
        if stand.verdict is not None:
            word = WORDS.get(stand.verdict, f"equal within {rule.margin:g}%")
            yield f"{label}: {size}, decided after {seeds}: {word}"
            continue
        noise, most = noise_of(changes, rule), len(config.seeds)
        if noise is None:
            expected = ""
        elif noise.seeds is None or noise.seeds > most:
            expected = f"; as it goes, more than the {most} given would be needed"
        else:
            expected = f"; as it goes, about {max(noise.seeds, stand.pairs + 1)} in all"
        yield f"{label}: {size}, undecided after {seeds}{expected}"
