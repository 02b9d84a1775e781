"""The estimators that are compared, each as a method that makes one estimate."""

from __future__ import annotations

from typing import Any

__all__ = ["estimators"]

SOLVER = {"exponentiated_gradient": {"eta": 0.2}}
MOST_STEPS = 400
"""An estimator that would train longer is left out."""
PROBES = ((1, 4), (2, 4), (4, 4), (1, 20), (2, 20), (1, 75))
BLOCKS = ((2, 20), (4, 20), (2, 75), (4, 50))
PEEKS = ("alignment", "doge_score", "directional")


def sentence(label: str, estimator: Any) -> dict[str, Any]:
    return {"lmo": {"estimator": estimator, "solver": SOLVER}, "label": label}


def estimators(groups: int, targets_are_groups: bool, left: int, quick: bool = False) -> list[dict[str, Any]]:
    """Methods that make one estimate each, as a config names them.

    Args:
        left: steps of the run after the last checkpoint.
    """
    most = min(MOST_STEPS, left - 1)
    peeks = [*PEEKS, "excess_over_reference"] if targets_are_groups else PEEKS
    probes = [{"sweeps": sweeps, "probe_steps": steps} for sweeps, steps in PROBES]
    found = [
        sentence(f"probes {each['sweeps']}x{each['probe_steps']}", {"probes": each})
        for each in probes
        if each["sweeps"] * each["probe_steps"] * groups <= most
    ]
    found += [
        sentence(f"blocks {pairs}x{steps}", {"blocks": {"pairs": pairs, "block_steps": steps}})
        for pairs, steps in BLOCKS
        if 2 * pairs * steps <= most
    ]
    if quick:
        return [*found[:2], sentence("directional 0", {"directional": {"measure_steps": 0}})]
    if targets_are_groups:
        size = {"sweeps": 2, "probe_steps": 4, "diagonal": True}
        found.append(sentence("probes 2x4 diagonal", {"probes": size}))
        found.append({"sheared": {}, "label": "excess over target"})
    for peek in peeks:
        for steps in (0, 20)[: 1 if peek == "directional" else 2]:  # one reading, wherever it is taken
            found.append(sentence(f"{peek} {steps}", {peek: {"measure_steps": steps}}))
    found.append({"skill_it": {}, "run_steps": 0.2, "label": "one-hot graph"})
    return found
