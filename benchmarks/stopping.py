"""What sequential stopping decides, and with how many seeds: `python -m benchmarks.stopping [--quick]`.

Simulated comparisons: paired percent changes drawn from a normal distribution of known mean and deviation,
up to 20 seeds, the default rule (`aioli.analysis.sequential.Stopping`). Wrong is a decision for a
difference where there is none; `alpha` allows 5% of these.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from aioli.analysis.sequential import Stopping

SEEDS = 20
CASES = ((0.0, 1.0), (0.0, 0.5), (0.0, 0.3), (0.0, 0.1), (-1.0, 1.0), (-1.0, 0.5), (-2.0, 0.5))
"""True change and deviation of the paired changes, in percent."""


def decided(change: float, deviation: float, comparisons: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of the verdicts, and the mean number of seeds."""
    rule = Stopping()
    found = [
        rule.decision((change + deviation * rng.normal(size=SEEDS)).tolist()) for _ in range(comparisons)
    ]
    verdicts = [one.verdict or "undecided" for one in found]
    shares = {name: round(verdicts.count(name) / comparisons, 4) for name in dict.fromkeys(verdicts)}
    return {
        "change": change,
        "deviation": deviation,
        "verdicts": shares,
        "mean_seeds": round(float(np.mean([one.pairs for one in found])), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 comparisons of each kind")
    comparisons = 200 if parser.parse_args().quick else 2000
    rng = np.random.default_rng(0)
    rows = [decided(change, deviation, comparisons, rng) for change, deviation in CASES]
    print(json.dumps({"benchmark": "stopping", "comparisons": comparisons, "cases": rows}))


if __name__ == "__main__":
    main()
