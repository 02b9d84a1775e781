"""Published ways from a table of finished runs to a mixture: law x fitted from x solver, each one sentence.

`OFFLINE` is what `aioli methods` prints of them and `aioli offline NAME` runs; MixMin, which reads documents
in the place of runs, is in `aioli.methods.offline_mixmin`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from aioli.errors import InputError, nearest
from aioli.fitting.registry import build_law
from aioli.methods.construct import construct
from aioli.methods.offline_mixmin import MixMin
from aioli.methods.offline_search import BestCandidates
from aioli.methods.registry import MethodInfo, parameters_of
from aioli.protocol import Citation
from aioli.solvers.minimise import minimise
from aioli.solvers.problem import MixtureProblem, Solution
from aioli.static_law import FittedLaw, StaticLaw
from aioli.table import Table

__all__ = [
    "OFFLINE",
    "Answer",
    "Offline",
    "OfflineEntry",
    "OfflineSolver",
    "Optimum",
    "build_offline",
    "describe_offline",
]


class OfflineSolver(Protocol):
    """How a mixture follows from a fitted law; the arguments are those of `aioli.solvers.minimise`."""

    def solve(
        self,
        fitted: FittedLaw,
        problem: MixtureProblem,
        replicates: Sequence[FittedLaw] = (),
        *,
        size: float | None = None,
        tokens: float | None = None,
        seed: int = 0,
    ) -> Solution: ...


@dataclass(frozen=True)
class Optimum:
    """The mixture of least predicted objective within all bounds and limits (`aioli.solvers.minimise`).

    Attributes:
        kl: strength of KL(p || reference) in nats, where the problem names none.
    """

    kl: float = 0.0

    def solve(
        self,
        fitted: FittedLaw,
        problem: MixtureProblem,
        replicates: Sequence[FittedLaw] = (),
        *,
        size: float | None = None,
        tokens: float | None = None,
        seed: int = 0,
    ) -> Solution:
        """The optimum, or the best of many starts where the law is not convex.

        Raises:
            InputError: a penalty without a reference, or limits that no mixture meets.
        """
        asked = replace(problem, kl=self.kl) if self.kl and not problem.kl else problem
        return minimise(fitted, asked, replicates, size=size, tokens=tokens, seed=seed)


class Answer(NamedTuple):
    """The fitted law, and the mixture that follows."""

    fitted: FittedLaw
    solution: Solution


@dataclass(frozen=True)
class Offline:
    """Fit `law` to a table of runs, and give the mixture that `solver` finds in it.

    Attributes:
        max_repeats: passes over a group allowed where the user knows the tokens and names none.
        needs_reference: whether the solver starts from, or keeps to, a reference mixture.
    """

    law: StaticLaw
    solver: OfflineSolver
    max_repeats: float | None = None
    needs_reference: bool = False

    def solve(self, table: Table, problem: MixtureProblem, seed: int = 0) -> Answer:
        """The mixture for a problem on the groups and targets of a table.

        Raises:
            InputError: a table that the law cannot be fitted to, or limits that no mixture meets.
        """
        fitted = self.law.fit(table, seed=seed)
        return Answer(fitted, self.solver.solve(fitted, problem, seed=seed))


@dataclass(frozen=True)
class OfflineEntry:
    """What the table of methods says of an offline method; `runs` are those that it needs before."""

    build: Callable[..., Offline | MixMin]
    summary: str
    citation: Citation
    law: str
    estimator: str
    solver: str
    runs: str
    reads: str = "table of runs"


OFFLINE: dict[str, OfflineEntry] = {}


def _listed(title: str, arxiv: str, **parts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(build: Callable[..., Any]) -> Callable[..., Any]:
        summary = (inspect.getdoc(build) or "").split("\n")[0]
        OFFLINE[build.__name__] = OfflineEntry(build, summary, Citation(title, arxiv), **parts)
        return build

    return enter


def build_offline(name: str, parameters: Mapping[str, Any] | None = None) -> Offline | MixMin:
    """An offline method by name, from plain values.

    Raises:
        InputError: an unknown method or parameter (naming the nearest), a missing or a wrong value.
    """
    if name not in OFFLINE:
        raise InputError(f"unknown offline method {name!r}; {nearest(name, OFFLINE)}")
    return construct(f"offline method {name!r}", OFFLINE[name].build, parameters or {}, {})


def describe_offline() -> dict[str, MethodInfo]:
    """The rows of the offline methods in the table of methods, by name."""
    return {
        name: MethodInfo(
            name=name,
            summary=entry.summary,
            parameters=parameters_of(entry.build),
            citation=entry.citation,
            law=entry.law,
            estimator=entry.estimator,
            solver=entry.solver,
            signals=(entry.reads,),
            extra_runs=entry.runs,
        )
        for name, entry in OFFLINE.items()
    }


@_listed(
    "RegMix: Data Mixture as Regression for Language Model Pre-training",
    "2407.01492",
    law="trees",
    estimator="runs on random mixtures",
    solver="mean of the best candidates",
    runs="512",
)
def regmix(
    rounds: int = 1000, rate: float = 0.01, candidates: int = 100_000, best: int = 128, strength: float = 1.0
) -> Offline:
    """Boosted trees on the runs; the mean of the best of many mixtures drawn around the natural one.

    References:
        arXiv 2407.01492; the released notebook for 128 (the paper has 100).
    Departures:
        The notebook stops boosting early on its test runs; here all rounds are used.
    """
    search = BestCandidates(candidates=candidates, best=best, strength=strength)
    return Offline(build_law({"trees": {"rounds": rounds, "rate": rate}}), search, needs_reference=True)


@_listed(
    "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
    "2403.16952",
    law="log-linear",
    estimator="runs on chosen mixtures",
    solver="optimum",
    runs=">= m + 1",
)
def dml(huber: float = 0.02) -> Offline:
    """Log-linear laws L_i = c_i + exp(t_i . p), Huber; the optimum of the weighted sum of targets.

    References:
        arXiv 2403.16952.
    Departures:
        The published pipeline enumerates a grid of proportions (steps of 1/16 and their halves) under a
        largest proportion each; the law is convex, so here the optimum itself is found. k_i of exp(k_i +
        t_i . p) is part of t_i, since proportions sum to 1.
    """
    return Offline(build_law({"log_linear": {"huber": huber}}), Optimum())


@_listed(
    "Olmix: A Framework for Data Mixing Throughout LM Development",
    "2602.12237",
    law="log-linear",
    estimator="runs around the natural mixture",
    solver="optimum, KL to the natural",
    runs=">= 3 (m + 1)",
)
def olmix_base(huber: float = 0.02, kl: float = 0.05, max_repeats: float = 4.0) -> Offline:
    """Log-linear laws; the optimum with a KL penalty to the natural mixture and a cap on repeats.

    min_p sum_i w_i exp(t_i . p) + kl KL(p || natural), p_j <= max_repeats N_j / D.

    References:
        arXiv 2602.12237.
    Departures:
        A convex solver with its status checked in the place of the released one; infeasible caps are
        refused before.
    """
    return Offline(
        build_law({"log_linear": {"huber": huber}}),
        Optimum(kl),
        max_repeats=max_repeats,
        needs_reference=True,
    )


@_listed(
    "CLIMB: CLustering-based Iterative Data Mixture Bootstrapping for Language Model Pre-training",
    "2504.13161",
    law="trees",
    estimator="runs in rounds, each near the last's best",
    solver="mean of the best candidates",
    runs="some rounds",
)
def climb(rounds: int = 1000, rate: float = 0.01, candidates: int = 100_000, best: int = 1000) -> Offline:
    """Boosted trees on the runs so far; the next runs are drawn from the best candidates (--propose).

    One round is: fit to all runs, rank candidates, propose new runs among the best. Run them, add them to
    the table, and ask again.

    References:
        arXiv 2504.13161.
    Departures:
        No search code was published; how many candidates are kept is ours, and the clustering that makes
        the groups is not part of this.
    """
    search = BestCandidates(candidates=candidates, best=best)
    return Offline(build_law({"trees": {"rounds": rounds, "rate": rate}}), search)


@_listed(
    "MixMin: Finding Data Mixtures via Convex Minimization",
    "2502.10510",
    law="mixture of the sources' models",
    estimator="one small model a source",
    solver="expectation maximisation",
    runs="m",
    reads="log-likelihoods of documents",
)
def mixmin(rate: float | None = None, steps: int = 10_000, tolerance: float = 1e-9) -> MixMin:
    """The mixture under which one small model a source, mixed, finds the targets' documents likeliest.

    References:
        arXiv 2502.10510; see `aioli.methods.offline_mixmin.MixMin` for the departures.
    """
    return MixMin(rate, steps, tolerance)
