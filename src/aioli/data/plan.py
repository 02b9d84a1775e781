"""How many sequences of each group every optimiser step takes, now and through changing proportions.

The deficit of a group is its cumulative target minus the sequences drawn of it. A step of B sequences on
proportions p adds B p_j to deficit j. Its whole part w_j = ceil(B p_j) - 1 is drawn outright; the rest,
f_j = B p_j - w_j in (0, 1], sums over the a groups with p_j > 0 to a whole number R <= a, and those R
sequences are dealt one at a time by chairman assignment on the rates q_j = f_j / R. With d_j the deficit
once a draw's q_j has been added, eps = 1/(2a - 2), and deficits centred over those a groups:

  some d_j > 1:  serve the largest;
  otherwise:     among d_j >= eps serve the group that would first exceed 1 - eps, ties to the lower index.

Somebody always has d_j >= eps, for the centred d_j sum to 1 and 1/a >= eps. A group with p_j = 0 is never
drawn and keeps its deficit until it returns. What holds after every draw, so after every step:

1. Constant proportions: |deficit| <= 1 - eps (Tijdeman 1980). Call draw k = 0, 1, ... of group j a job that
   may be served from the first draw n with n q_j >= k + eps, and must be by the first with
   n q_j > k + 1 - eps. Serving within these windows is the bound. Jobs whose windows lie inside the draws
   s+1..t have s q_j - eps < k < t q_j - 1 + eps: fewer than (t-s) q_j + 2 eps of them. If at most a - 1
   groups have such jobs, the total is below t - s + 1. If all have, it is A + B - 2a + t - s, where
   A = sum(ceil(u_j) - u_j + eps), u_j = t q_j + eps, and B = sum(v_j - floor(v_j) + eps), v_j = s q_j - eps,
   are whole numbers below a + a eps <= a + 1, so each is at most a. Either way at most t - s jobs must fit
   into t - s draws, so earliest deadline first meets every deadline (Hall). A group with d_j > 1 is then
   the only one due: the first clause agrees with the second.
2. The same set of groups present from the start, proportions otherwise arbitrary at every step:
   -1 < deficit <= H_a = 1 + 1/2 + ... + 1/a <= 1 + ln a. Below: only positive d_j are served. Above: the
   mean of the k largest deficits stays at most b_k = 1 + sum_{i=k+1..a} 1/i. It does at k = a (the mean
   is 0) and after a draw with all d_j <= 1. Otherwise take the k largest after the draw: if the served
   group is among them, their sum did not grow; if not, it exceeded each of them, so their mean is at most
   the mean of those k + 1 groups before the serving, hence at most b_{k+1} + 1/(k+1) = b_k.
3. Groups leaving (p_j = 0) and returning at will, m in all: |deficit| <= 2(m - 1). The sum of the k largest
   stays at most 2k(m-k). Where a draw, which adds at most 1, would carry a set of k groups past that, the
   bounds at k-1 and k+1 put more than 2 between the k-th and the next deficit, so the set is the k
   largest and each d_j in it exceeds those outside by more than 1: nobody outside it is served while
   a member is present, and its sum does not grow. No rule can do better than a constant times m: keep
   asking for equal parts of two groups with equal deficits; whichever is served, they part by 1, the sum
   of squares grows, and at the end m distinct multiples of 1/2 span (m-1)/2: some |deficit| >= (m-1)/4.

Arithmetic is float64 on small numbers, with a tolerance of 1e-9 in the windows. Plans are pure functions
of a `Plan`: nothing is kept between calls, so continuing from a saved plan is exact.

Departures: Tijdeman deals every sequence in turn. Dealing only the fractional parts keeps the bounds at
every step, makes the counts of neighbouring steps as equal as they can be, and costs R draws, not B.

References: R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980) 323-330.
M. Ajtai et al., Fairness in scheduling, J. Algorithms 29 (1998) 306-357: point 3 is their carpool problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from math import fsum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["Plan", "advance", "deficits", "from_json", "retarget", "start", "step_counts", "to_json"]

Counts = NDArray[np.int64]

_VERSION = 1
_TOLERANCE = 1e-9  # n q_j - k is exact to this for five million steps without a change
_SMALLEST = 1e-290  # of a rate, so that windows stay finite
_SCANS = 32  # draws made by scanning before the heap is tried again


class Plan(NamedTuple):
    """Where the drawing stands, after a whole number of steps.

    Attributes:
        proportions: [m] of the current stretch; all 0 before the first.
        batch: sequences of a step in the current stretch.
        base: [m] deficits when the stretch began.
        steps: steps made in the stretch.
        dealt: [m] sequences dealt in the stretch beyond the whole parts.
        drawn: [m] sequences drawn since the beginning of the run.
        deviation: largest |deficit| after any step so far.
    """

    proportions: Array
    batch: int
    base: Array
    steps: int
    dealt: Counts
    drawn: Counts
    deviation: float


def start(groups: int) -> Plan:
    """The plan of `groups` groups before the first step."""
    none = np.zeros(groups, np.int64)
    return Plan(np.zeros(groups), 0, np.zeros(groups), 0, none, none, 0.0)


def retarget(plan: Plan, proportions: Array, batch: int) -> Plan:
    """Begin a stretch on new proportions [m] (validated, summing to 1); unchanged ones continue the old."""
    if batch == plan.batch and np.array_equal(proportions, plan.proportions):
        return plan
    fresh = np.zeros_like(plan.dealt)
    return plan._replace(proportions=proportions, batch=batch, base=deficits(plan), steps=0, dealt=fresh)


def deficits(plan: Plan) -> Array:
    """[m] cumulative target minus sequences drawn."""
    if plan.steps == 0:
        return plan.base
    _, rates, extra = _split(plan)
    return plan.base + (plan.steps * extra) * rates - plan.dealt


def step_counts(plan: Plan, steps: int) -> Counts:
    """[steps, m] sequences of each group in each of the next steps.

    >>> step_counts(retarget(start(3), np.array([0.5, 0.3, 0.2]), 4), 5).tolist()
    [[2, 1, 1], [2, 1, 1], [2, 1, 1], [2, 2, 0], [2, 1, 1]]
    """
    whole, rates, extra = _split(plan)
    present = np.flatnonzero(plan.proportions)
    base = plan.base[present]
    base = base - fsum(base) / base.size
    dealt = _deal(base, rates[present], plan.steps * extra, plan.dealt[present], steps * extra)
    cells = np.repeat(np.arange(steps) * whole.size, extra) + present[dealt]
    return np.bincount(cells, minlength=steps * whole.size).reshape(steps, whole.size) + whole


def advance(plan: Plan, counts: Counts) -> Plan:
    """The plan after steps that drew `counts` [steps, m], as given by `step_counts`."""
    whole, rates, extra = _split(plan)
    steps = len(counts)
    dealt = plan.dealt + np.cumsum(counts - whole, axis=0)
    draws = (plan.steps + 1 + np.arange(steps))[:, None] * extra
    deviation = float(np.max(np.abs(plan.base + draws * rates - dealt), initial=plan.deviation))
    return plan._replace(
        steps=plan.steps + steps,
        dealt=dealt[-1] if steps else plan.dealt,
        drawn=plan.drawn + counts.sum(axis=0),
        deviation=deviation,
    )


def _split(plan: Plan) -> tuple[Counts, Array, int]:
    """Whole parts w [m], rates q [m] of the sequences left over, and their number R in a step."""
    share = plan.batch * plan.proportions
    whole = np.maximum(np.ceil(share - _TOLERANCE) - 1, 0)
    extra = int(plan.batch - whole.sum())
    return whole.astype(np.int64), (share - whole) / extra, extra


def _deal(base: Array, rates: Array, draws: int, dealt: Counts, count: int) -> Counts:
    """The groups [count] that draws `draws` + 1, ... serve; deficits are base + draws * rates - dealt."""
    if rates.size == 1:
        return np.zeros(count, np.int64)
    rates = np.maximum(rates, _SMALLEST)
    dealt = dealt.copy()
    served = np.empty(count, np.int64)
    done = 0
    while done < count:
        ahead = _deal_by_heap(base, rates, draws + done, dealt, count - done)
        served[done : done + ahead.size] = ahead
        dealt += np.bincount(ahead, minlength=rates.size)
        done += ahead.size
        for _ in range(min(_SCANS, count - done)):
            served[done] = group = _serve(base, rates, draws + done + 1, dealt)
            dealt[group] += 1
            done += 1
    return served


def _windows(owed: Array, rates: Array, groups: int) -> tuple[Array, Array, Array]:
    """The draws, as real numbers, at which jobs [k] reach a deficit of eps, of 1 - eps and of 1."""
    eps = 1 / (2 * groups - 2)
    return (owed + (eps - _TOLERANCE)) / rates, (owed + (1 - eps + _TOLERANCE)) / rates, (owed + 1) / rates


def _serve(base: Array, rates: Array, n: int, dealt: Counts) -> int:
    """The group that draw n serves: the rule itself, by looking at every group."""
    release, deadline, late = _windows(dealt - base, rates, rates.size)
    overdue = late < n
    if overdue.any():
        return int(np.argmax(np.where(overdue, base + n * rates - dealt, -np.inf)))
    released = release <= max(n, release.min())
    return int(np.argmin(np.where(released, deadline, np.inf)))


def _deal_by_heap(base: Array, rates: Array, draws: int, dealt: Counts, count: int) -> Counts:
    """What `_serve` would answer for the next draws, up to the first with another group past a deficit of 1.

    Windows do not depend on when earlier jobs are served, so all of them are computed and sorted at once.
    """
    last = draws + count
    jobs = np.maximum(np.floor(base + last * rates) - dealt + 2, 0).astype(np.int64)
    group = np.repeat(np.arange(rates.size), jobs)
    job = np.arange(group.size) + np.repeat(dealt - np.cumsum(jobs) + jobs, jobs)
    release, deadline, late = _windows(job - base[group], rates[group], rates.size)
    released = release <= last
    group, deadline, late = group[released], deadline[released], late[released]
    arrival = np.maximum(np.ceil(release[released]) - (draws + 1), 0).astype(np.int64)

    by_deadline = np.argsort(deadline, kind="stable")
    rank = np.empty_like(by_deadline)
    rank[by_deadline] = np.arange(rank.size)
    arrivals = rank[np.argsort(arrival, kind="stable")].tolist()
    order = _earliest_first(arrivals, np.cumsum(np.bincount(arrival, minlength=count)).tolist())

    served = by_deadline[order]
    turn = np.full(group.size, np.inf)
    turn[served] = np.arange(served.size)
    overdue = np.maximum(np.floor(late) - draws, 0)
    end = np.min(overdue[overdue < turn], initial=served.size)
    return group[served[: int(end)]]


def _earliest_first(arrivals: list[int], arrived: list[int]) -> list[int]:
    """Take the least of those present in every slot; `arrived` is how many have come by then."""
    ready: list[int] = []
    order = []
    seen = 0
    for count in arrived:
        while seen < count:
            heappush(ready, arrivals[seen])
            seen += 1
        if not ready:
            break
        order.append(heappop(ready))
    return order


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain numbers and lists; `from_json` gives back the same plan bit for bit."""
    values = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in plan._asdict().items()
    }
    return {"version": _VERSION, **values}


def from_json(record: Mapping[str, Any], groups: int) -> Plan:
    """Read what `to_json` wrote.

    Raises:
        InputError: another version, a missing or malformed entry, or another number of groups.
    """
    if record.get("version") != _VERSION:
        raise InputError(
            f"this aioli reads version {_VERSION} of the drawing plan, got {record.get('version')!r}"
        )
    try:
        plan = Plan(
            proportions=np.array(record["proportions"], np.float64),
            batch=int(record["batch"]),
            base=np.array(record["base"], np.float64),
            steps=int(record["steps"]),
            dealt=np.array(record["dealt"], np.int64),
            drawn=np.array(record["drawn"], np.int64),
            deviation=float(record["deviation"]),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"the drawing plan in this checkpoint is damaged: {problem!r}") from None
    for name, value in plan._asdict().items():
        shape = (groups,) if isinstance(value, np.ndarray) else ()
        signed = name in ("base", "dealt")
        if np.shape(value) != shape or not np.isfinite(value).all() or (np.min(value) < 0 and not signed):
            raise InputError(
                f"the drawing plan in this checkpoint is damaged: expected {name} to be "
                f"{f'{groups} numbers' if shape else 'one number'}{'' if signed else ' >= 0'}, "
                f"got {record[name]!r}"
            )
    return plan
