"""Cone programs, put together block by block and solved by Clarabel with its status checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.protocol import Array
from aioli.solvers.optional import required

__all__ = ["Affine", "ConeProgram", "Index", "Solved", "constant", "dense", "picked", "stacked"]

clarabel, sparse = required("clarabel"), required("scipy.sparse")

TOLERANCES = (1e-11, 1e-9)
"""Tried one after the other until the solver reports success."""
ENOUGH = 1e-7
"""A solve that stalls is accepted when its gap and residuals are below this."""

Index = NDArray[np.int64]
Entries = tuple[Index, Index, Array]


class Affine(NamedTuple):
    """k expressions constant + entries @ x; entries: (row, variable, value) triples."""

    constant: Array
    entries: tuple[Entries, ...] = ()

    def __len__(self) -> int:
        return self.constant.size

    def plus(self, other: Affine | Array | float) -> Affine:
        """The sum, row by row."""
        if isinstance(other, Affine):
            return Affine(self.constant + other.constant, self.entries + other.entries)
        return Affine(self.constant + other, self.entries)

    def times(self, factor: Array | float) -> Affine:
        """Each row times its factor."""
        scale = np.broadcast_to(np.asarray(factor, dtype=np.float64), (len(self),))
        entries = tuple((rows, columns, value * scale[rows]) for rows, columns, value in self.entries)
        return Affine(self.constant * scale, entries)

    def summed(self, rows: Index, weight: Array, count: int) -> Affine:
        """[count] expressions; row i of this one is added to rows[i] with its weight."""
        entries = tuple((rows[old], columns, value * weight[old]) for old, columns, value in self.entries)
        return Affine(np.bincount(rows, weight * self.constant, count), entries)

    def chosen(self, rows: Index) -> Affine:
        """Some of the rows, each once."""
        place = np.full(len(self), -1)
        place[rows] = np.arange(rows.size)
        entries: list[Entries] = []
        for old, columns, value in self.entries:
            kept = place[old] >= 0
            entries.append((place[old][kept], columns[kept], value[kept]))
        return Affine(self.constant[rows], tuple(entries))


def constant(values: Array) -> Affine:
    """Expressions without variables."""
    return Affine(np.asarray(values, dtype=np.float64))


def picked(variables: Index) -> Affine:
    """Each variable as an expression of its own."""
    k = variables.size
    return Affine(np.zeros(k), ((np.arange(k), variables, np.ones(k)),))


def dense(matrix: Array, variables: Index) -> Affine:
    """matrix [k, c] @ x[variables]."""
    rows, columns = np.nonzero(matrix)
    return Affine(np.zeros(matrix.shape[0]), ((rows, variables[columns], matrix[rows, columns]),))


def stacked(parts: list[Affine]) -> Affine:
    """Expressions one below the other."""
    starts = np.cumsum([0, *(len(part) for part in parts)])
    entries = [
        (rows + start, columns, value)
        for part, start in zip(parts, starts, strict=False)
        for rows, columns, value in part.entries
    ]
    return Affine(np.concatenate([part.constant for part in parts]), tuple(entries))


class Solved(NamedTuple):
    """status: "optimal", "infeasible" or "failed" (with `told`, the solver's word). values of all variables,
    duals of each block in order, the primal and the dual objective."""

    status: str
    told: str
    values: Array
    duals: list[Array]
    objective: float
    bound: float


@dataclass
class ConeProgram:
    """minimise cost . x subject to blocks of cone constraints on affine expressions of x."""

    count: int = 0
    offset: float = 0.0
    costs: list[Entries] = field(default_factory=lambda: [])
    blocks: list[Affine] = field(default_factory=lambda: [])
    cones: list[Any] = field(default_factory=lambda: [])

    def variables(self, count: int) -> Index:
        """New free variables."""
        self.count += count
        return np.arange(self.count - count, self.count)

    def minimise(self, what: Affine) -> None:
        """Add an expression (one row) to what is minimised."""
        self.costs.extend(what.entries)
        self.offset += float(what.constant.sum())

    def zero(self, what: Affine) -> int:
        """what = 0; returns the block's place among the duals."""
        return self._add(what, [clarabel.ZeroConeT(len(what))])

    def nonnegative(self, what: Affine) -> int:
        """what >= 0."""
        return self._add(what, [clarabel.NonnegativeConeT(len(what))])

    def exponential(self, x: Affine, y: Affine, z: Affine) -> int:
        """y exp(x / y) <= z, row by row, y > 0."""
        return self._add(_interleaved(x, y, z), [clarabel.ExponentialConeT()] * len(x))

    def power(self, x: Affine, y: Affine, z: Affine, share: Array) -> int:
        """x^share y^(1 - share) >= |z|, row by row, x, y >= 0."""
        return self._add(_interleaved(x, y, z), [clarabel.PowerConeT(float(a)) for a in share])

    def solve(self) -> Solved:
        """The optimum, or that there is none; every tolerance is tried before giving up."""
        whole = stacked(self.blocks)
        rows, columns, value = (np.concatenate(part) for part in zip(*whole.entries, strict=True))
        matrix = sparse.csc_matrix((-value, (rows, columns)), shape=(len(whole), self.count))
        cost = np.zeros(self.count)
        for _, variables, weights in self.costs:
            np.add.at(cost, variables, weights)
        nothing = sparse.csc_matrix((self.count, self.count))
        result: Any = None
        for tolerance in TOLERANCES:
            solver = clarabel.DefaultSolver(
                nothing, cost, matrix, whole.constant, self.cones, _settings(tolerance)
            )
            result = solver.solve()
            if _kind(result) != "failed":
                break
        ends = np.cumsum([len(block) for block in self.blocks])[:-1]
        return Solved(
            _kind(result),
            str(result.status),
            np.array(result.x),
            np.split(np.array(result.z), ends),
            result.obj_val + self.offset,
            result.obj_val_dual + self.offset,
        )

    def _add(self, what: Affine, cones: list[Any]) -> int:
        self.blocks.append(what)
        self.cones.extend(cones)
        return len(self.blocks) - 1


def _interleaved(*parts: Affine) -> Affine:
    """The parts' rows in turn: first rows of all, second rows of all, ..."""
    k = len(parts)
    entries = [
        (k * rows + place, columns, value)
        for place, part in enumerate(parts)
        for rows, columns, value in part.entries
    ]
    return Affine(np.column_stack([part.constant for part in parts]).ravel(), tuple(entries))


def _settings(tolerance: float) -> Any:
    settings: Any = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.linesearch_backtrack_step = 0.9  # many power cones stall at the default of 0.8
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    settings.reduced_tol_gap_abs = settings.reduced_tol_gap_rel = settings.reduced_tol_feas = ENOUGH
    return settings


def _kind(result: Any) -> str:
    status = str(result.status)
    if status in ("Solved", "AlmostSolved"):
        return "optimal"
    return "infeasible" if status in ("PrimalInfeasible", "AlmostPrimalInfeasible") else "failed"
