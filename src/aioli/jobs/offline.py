"""One published offline method, from tables to a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aioli.errors import InputError
from aioli.jobs.design_files import write_design
from aioli.jobs.solutions import VERSION, describe_solution
from aioli.jobs.wishes import Wishes, mixture_problem
from aioli.methods.offline import Offline, build_offline
from aioli.methods.offline_mixmin import MixMin
from aioli.methods.offline_search import BestCandidates
from aioli.table import Table
from aioli.table_formats import read_columns

__all__ = ["offline", "offline_documents", "propose_runs"]


def offline(
    name: str,
    table: Table,
    wishes: Wishes,
    *,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The solution of an offline method on a table, as `aioli solve` writes one.

    A method that starts from a reference takes the natural mixture where the tokens are known, else the mean
    of the runs' mixtures; one with a cap on repeats applies it where tokens and length of the run are known.

    Raises:
        InputError: an unknown method or parameter, a table that it cannot use, wishes that cannot be met.
    """
    method = _of_tables(name, parameters)
    wishes, notes = _completed(method, table, wishes)
    problem = mixture_problem(table.groups, table.targets, wishes)
    answer = method.solve(table, problem, seed)
    content = describe_solution(answer.solution, problem, table, wishes)
    at = None if problem.reference is None else answer.fitted.predict(problem.reference[None])[0]
    for i, target in enumerate(table.targets):
        content["by_target"][target]["at_reference"] = None if at is None else float(at[i])
    content["warnings"] = [*notes, *content["warnings"]]
    return {"method": name, "parameters": dict(parameters or {}), "runs": len(table)} | content


def propose_runs(
    name: str,
    table: Table,
    wishes: Wishes,
    count: int,
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> None:
    """Write a design of the next `count` runs, drawn from a method's best candidates, for `aioli sweep run`.

    Raises:
        InputError: as `offline`; a method that ranks no candidates, or too few of them that are new.
    """
    method = _of_tables(name, parameters)
    if not isinstance(method.solver, BestCandidates):
        raise InputError(f"{name} ranks no candidates to run next: climb and regmix do")
    if count < 1:
        raise InputError(f"propose at least 1 run, got {count}")
    wishes, _ = _completed(method, table, wishes)
    problem = mixture_problem(table.groups, table.targets, wishes)
    best, _ = method.solver.ranked(method.law.fit(table, seed=seed), problem, seed=seed)
    chosen = method.solver.propose(best, table.mixtures, count, seed)
    write_design([dict(zip(table.groups, p.tolist(), strict=True)) for p in chosen], out)


def offline_documents(
    name: str, likelihoods: Path, *, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The solution of a method that reads how likely each source's model finds the targets' documents.

    Args:
        likelihoods: a table with a document a row: `tokens`, and a column a source with the log-likelihood
            of the whole document under that source's model, in nats.

    Raises:
        InputError: a method that reads runs, an unusable file.
    """
    method = build_offline(name, parameters)
    if not isinstance(method, MixMin):
        raise InputError(f"{name} is fitted to runs: give --mixtures and --losses, or --table")
    found = read_columns(likelihoods)
    sources = [column for column in found.values if column not in ("tokens", "index", "name")]
    if "tokens" not in found.values or not sources:
        raise InputError(
            f"{likelihoods}: expected a column `tokens` and a column of log-likelihoods a source, got "
            f"{', '.join(found.values)}"
        )
    values = np.array([found.numbers(source) for source in sources])
    try:
        answer = method.solve(values, np.array(found.numbers("tokens")))
    except InputError as error:
        raise InputError(f"{likelihoods}: {error}") from None
    return {
        "method": name,
        "parameters": dict(parameters or {}),
        "documents": len(found),
        "version": VERSION,
        "proportions": dict(zip(sources, answer.proportions.tolist(), strict=True)),
        "status": "optimal" if answer.gap <= method.tolerance else "local",
        "solver": f"{'exponentiated gradient' if method.rate else 'expectation maximisation'}, "
        f"{answer.steps} steps",
        "gap": answer.gap,
        "objective": {"name": "nats per token of the mixed models", "value": answer.objective},
        "by_group": {
            source: {"proportion": share, "reference": None, "floor": 0.0, "cap": 1.0, "epochs": None}
            for source, share in zip(sources, answer.proportions.tolist(), strict=True)
        },
        "warnings": ["proportions are of documents: shares of tokens differ where sources' lengths do"],
    }


def _of_tables(name: str, parameters: Mapping[str, Any] | None) -> Offline:
    method = build_offline(name, parameters)
    if isinstance(method, MixMin):
        raise InputError(f"{name} reads no runs: give it --likelihoods FILE")
    return method


def _completed(method: Offline, table: Table, wishes: Wishes) -> tuple[Wishes, list[str]]:
    """The wishes with what the method adds to them, and what the user should know of that."""
    notes = []
    known = wishes.tokens is not None and wishes.train_tokens is not None
    if method.max_repeats is not None and wishes.constraints.max_repeats is None:
        if known:
            constraints = replace(wishes.constraints, max_repeats=method.max_repeats)
            wishes = replace(wishes, constraints=constraints)
        else:
            notes.append("no cap on repeats: it needs the tokens of the groups and of the run")
    if method.needs_reference and wishes.reference is None:
        if wishes.tokens is not None:
            wishes = replace(wishes, reference="natural")
        else:
            mean = dict(zip(table.groups, table.mixtures.mean(axis=0).tolist(), strict=True))
            wishes = replace(wishes, reference=mean)
            notes.append(
                "the reference is the mean of the runs' mixtures: give the groups' tokens, or a reference, "
                "for the natural one"
            )
    return wishes, notes
