"""The paper's study on real text: `python -m benchmarks.paper_study [--stage NAME] [--quick | --report]`.

Six settings of `benchmarks.corpora`, in stages: `unrestricted` (every method against stratified sampling),
`laws` (true laws at checkpoints, and the methods' own), `restricted` (mixtures learned on half-length
runs, with and without Aioli on top), `out_of_domain`. Every run is found again by its id: a stopped study
goes on with the same command. Finished runs are stored as small JSON lines in `--results`, from which
`--report` alone writes the page and the table. The last line printed is one JSON object with the answers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.paper_study.plan import FULL, QUICK, SETTINGS
from benchmarks.paper_study.questions import answers
from benchmarks.paper_study.report import write_report
from benchmarks.paper_study.stages import OUT_OF_DOMAIN, STAGES, Study

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "paper_study"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", action="append", choices=list(STAGES), help="default: all, in this order")
    parser.add_argument("--setting", action="append", choices=list(SETTINGS), help="default: all six")
    parser.add_argument("--corpora", type=Path, default=Path("benchmarks/corpora/cache"))
    parser.add_argument("--out", type=Path, default=Path("runs/paper_study"), help="where runs go")
    parser.add_argument(
        "--results", type=Path, default=None, help="stored lines and page; default: docs/results/paper_study"
    )
    parser.add_argument("--workers", type=int, default=None)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="one setting, short runs: does everything work?")
    how.add_argument("--report", action="store_true", help="train nothing: write page and table again")
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else FULL
    out = given.out.resolve() / ("quick" if given.quick else "full")
    results = given.results or (out / "results" if given.quick else RESULTS)
    if not given.report:
        study = Study(plan, given.corpora.resolve(), out, results, given.workers)
        for stage in given.stage or STAGES:
            settings = [OUT_OF_DOMAIN] if stage == OUT_OF_DOMAIN else given.setting or plan.settings
            for setting in settings:
                STAGES[stage](study, setting)
                print(f"{stage} {setting}: done", flush=True)
                write_report(results)
    write_report(results)
    print(json.dumps({"benchmark": "paper_study", **answers(results)}))


if __name__ == "__main__":
    main()
