"""Groups that come and go: the groups that stay keep their ratios and count as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aioli.errors import InputError, nearest
from aioli.protocol import Array, read_only
from aioli.regroup import check_parents
from aioli.solvers.evaluate import divergence
from aioli.solvers.problem import MixtureProblem
from aioli.static_law import ConvexLosses
from aioli.table import Runs, Table

__all__ = ["KEPT", "Reuse"]

KEPT = "kept groups"
"""Name of the one group that stands for all groups that keep their ratios."""
SAME = 0.02
"""A run fits the ratios when its proportions are off by no more in sum."""


@dataclass(frozen=True, eq=False)
class Reuse:
    """The groups of a mixture, of which some are affected by a change and the others keep their ratios.

    With share rho of the kept groups together, p_j = rho ratio_j for them: what has to be found is rho and
    the proportions of the affected groups, 1 + a numbers in this order.

    Attributes:
        groups: [m] names after the change. affected: names of those affected.
        ratios: [m] of the kept groups, summing to 1 (0 for affected ones).

    Raises:
        InputError: unknown names, or ratios that do not sum to 1.

    References:
        OlmixBase, arXiv 2602.12237 (mixture reuse).
    Departures:
        The cap of the kept groups together is the tightest one of its members, min_j cap_j / ratio_j, so that
        none of them is exceeded.
    """

    groups: tuple[str, ...]
    ratios: Array
    affected: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.affected:
            if name not in self.groups:
                raise InputError(f"affected names an unknown group {name!r}; {nearest(name, self.groups)}")
        ratios = np.array(self.ratios, dtype=np.float64)
        wrong = ratios.shape != (len(self.groups),) or ratios.min() < 0 or abs(ratios.sum() - 1) > 1e-6
        if wrong or ratios[self._affected].any():
            raise InputError(
                "ratios need one number >= 0 a group, 0 for affected ones, summing to 1; got "
                f"{ratios.tolist()!r:.200}"
            )
        object.__setattr__(self, "ratios", read_only(ratios / ratios.sum()))

    @classmethod
    def of(
        cls,
        before: Mapping[str, float],
        groups: Sequence[str],
        parents: Mapping[str, tuple[str, ...]] | None = None,
        revised: Sequence[str] = (),
    ) -> Reuse:
        """What a change leaves of the mixture `before` (name -> proportion).

        A group with the name of an old one is kept. Affected are groups without one (added), those that
        `parents` says come from old ones (split, merged), and those `revised`: their data changed, or they
        are to be chosen anew because they matter to the affected ones (partial reuse). Old groups that
        nothing comes from are dropped.

        >>> change = Reuse.of({"web": 0.5, "code": 0.3, "law": 0.2}, ["web", "code", "wiki"])
        >>> change.ratios.round(3).tolist(), change.affected
        ([0.625, 0.375, 0.0], ('wiki',))

        Raises:
            InputError: unknown names, or no kept group with a positive proportion.
        """
        parents, names = parents or {}, tuple(groups)
        check_parents(tuple(before), names, parents)
        affected = tuple(n for n in names if n not in before or parents.get(n, (n,)) != (n,) or n in revised)
        for name in revised:
            if name not in names:
                raise InputError(f"revised names an unknown group {name!r}; {nearest(name, names)}")
        ratios = np.array([0.0 if name in affected else before[name] for name in names])
        if not ratios.sum() > 0:
            raise InputError("no group keeps its place in the mixture: there is nothing to reuse")
        return cls(names, ratios / ratios.sum(), affected)

    @property
    def collapsed_groups(self) -> tuple[str, ...]:
        """Names of the 1 + a groups that are left to choose between."""
        return (KEPT, *self.affected)

    def expand(self, collapsed: Array) -> Array:
        """[..., m] proportions from [..., 1 + a]."""
        whole = collapsed[..., :1] * self.ratios
        whole[..., self._affected] = collapsed[..., 1:]
        return whole

    def collapse(self, mixtures: Array) -> Array:
        """[..., 1 + a] from [..., m] proportions; what the kept groups have is summed."""
        part = mixtures[..., self._affected]
        return np.concatenate([1 - part.sum(axis=-1, keepdims=True), part], axis=-1)

    def table(self, table: Table) -> Table:
        """Runs of the m groups as runs of the 1 + a: a new swarm made for this change.

        Raises:
            InputError: other groups, or runs that do not keep the ratios.
        """
        if table.groups != self.groups:
            raise InputError(f"the runs have the groups {table.groups}, the change {self.groups}")
        return replace(table, groups=self.collapsed_groups, mixtures=self._kept_mixtures(table))

    def losses(self, losses: ConvexLosses) -> ConvexLosses:
        """A law of the m groups as one of the 1 + a: full reuse of what was fitted, with no new runs.

        Linear and exponential terms depend on p through sums over groups, which collapse exactly:
        t . p = rho sum_j t_j ratio_j + the affected groups' part.

        Raises:
            InputError: powers or inverses, which do not.
        """
        if losses.powers is not None or losses.inverses is not None:
            raise InputError("a law with powers of proportions cannot be collapsed: solve with all groups")
        terms = losses.exponentials
        if terms is not None:
            terms = terms._replace(second=self._columns(terms.second))
        return ConvexLosses(losses.constant, self._columns(losses.linear), terms)

    def problem(self, problem: MixtureProblem, expanded: bool = False) -> tuple[MixtureProblem, float]:
        """The problem in 1 + a proportions, and a constant to add to its objective.

        The divergence from the reference counts the kept groups as one. `expanded` counts them singly, which
        adds rho KL(ratios || reference within them). That is the divergence from another reference, in
        which the kept groups have exp(-KL) of their share, up to a constant: the second value, in nats.

        Raises:
            InputError: floors and caps of the kept groups that their ratios cannot meet together.
        """
        bounds = self._bounds(problem)
        single = replace(
            problem,
            **bounds,
            reference=None,
            kl=0.0,
            max_kl=np.inf,
            max_variation=np.inf,
            groups=self.collapsed_groups,
        )
        if problem.reference is None:
            return single, 0.0
        reference, constant = self._reference(problem.reference, expanded)
        room = problem.max_kl + constant
        if room < 0:
            raise InputError(
                f"max_kl {problem.max_kl:.6g} is below {-constant:.6g}, the cost of the kept groups alone"
            )
        whole = replace(single, reference=reference, kl=problem.kl, max_kl=room)
        return replace(whole, max_variation=problem.max_variation), -problem.kl * constant

    def _bounds(self, problem: MixtureProblem) -> dict[str, Array]:
        """The tightest bounds of all kept groups as those of their sum, then those of the affected ones."""
        kept = self.ratios > 0
        stuck = ~kept & (problem.lower > 0)
        stuck[self._affected] = False
        if stuck.any():
            name = problem.groups[int(stuck.argmax())]
            raise InputError(f"{name} keeps a proportion of 0, below its floor: call it revised")
        lower = float((problem.lower[kept] / self.ratios[kept]).max())
        least = int(np.argmin(np.where(kept, problem.upper / np.maximum(self.ratios, 1e-300), np.inf)))
        upper = float(problem.upper[least] / self.ratios[least])
        if lower > upper:
            raise InputError(
                f"the kept groups need {lower:.6g} in all for their floors, but the cap of "
                f"{problem.groups[least]} leaves them {upper:.6g}: loosen one, or call a group revised"
            )
        return {
            what: np.append(first, getattr(problem, what)[self._affected])
            for what, first in (("lower", lower), ("upper", upper))
        }

    def _reference(self, reference: Array, expanded: bool) -> tuple[Array, float]:
        """[1 + a] and the log of the sum that it had."""
        collapsed = self.collapse(reference)
        if not expanded:
            return collapsed, 0.0
        inside = reference.copy()
        inside[self._affected] = 0
        apart = float(divergence(self.ratios, inside / max(inside.sum(), 1e-300)))
        tilted = collapsed * np.append(np.exp(-apart), np.ones(len(self.affected)))
        return tilted / tilted.sum(), float(np.log(tilted.sum()))

    def _columns(self, matrix: Array) -> Array:
        return np.column_stack([matrix @ self.ratios, matrix[:, self._affected]])

    def _kept_mixtures(self, runs: Runs) -> Array:
        collapsed = self.collapse(runs.mixtures)
        off = np.abs(self.expand(collapsed) - runs.mixtures).sum(axis=1)
        if off.max() > SAME:
            worst = int(off.argmax())
            raise InputError(
                f"run {runs.names[worst]} does not keep the ratios of the kept groups: it is off by "
                f"{off[worst]:.4g} in sum (at most {SAME}); leave out runs that were not made for this change"
            )
        return collapsed

    @property
    def _affected(self) -> list[int]:
        return [self.groups.index(name) for name in self.affected]
